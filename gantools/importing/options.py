"""The options of ``gantools weights import`` and ``api.import_weights``, each declared once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gantools.config.command import CommandOptions, Option

MAX_BYTES = 4_000_000_000
"""Above the largest file of StyleGAN2 with two optimizers' state."""


@dataclass(frozen=True)
class ImportOptions(CommandOptions):
    """What is taken from the file, how it is checked, and where it is written."""

    output: Annotated[
        str | None, Option("Where to [the same name with .safetensors].", "-o --output", metavar="FILE")
    ] = None
    name: Annotated[
        str | None, Option("Install it under this name instead: `gantools infer NAME`.", "--as", metavar="NAME")
    ] = None
    network: Annotated[
        str | None,
        Option("Which of the file's networks [the averaged generator, else the generator].", metavar="NAME"),
    ] = None
    discriminator: Annotated[bool, Option("Also take the discriminator of a StyleGAN2, for training from it.")] = False
    check: Annotated[
        str | None,
        Option("Image of seed 0 (constant noise) by the original StyleGAN2, at any smaller size.", metavar="IMAGE"),
    ] = None
    truncation: Annotated[
        float, Option("Truncation ψ of the image of --check.", "--truncation --trunc", min=0, max=2)
    ] = 1.0
    tolerance: Annotated[float, Option("Largest difference of --check, in levels of 255.", min=0, max=255)] = 2.0
    max_bytes: Annotated[int, Option("Refuse files larger than this.", min=1)] = MAX_BYTES
    overwrite: Annotated[bool, Option("Replace an existing file.")] = False
