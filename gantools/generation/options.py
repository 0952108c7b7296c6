"""The options of ``gantools generate`` and ``gantools.generate``, each declared once. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from gantools.config.command import CommandOptions, Option
from gantools.errors import UsageError


def parse_grid(given: str) -> tuple[int, int]:
    """Read ``4x6`` as 4 rows of 6. Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,3})[x×]([0-9]{1,3})", given)
    if not found or not int(found[1]) or not int(found[2]):
        raise UsageError(f"--grid {given}: give rows and columns, such as 4x6")
    return int(found[1]), int(found[2])


def _seeds(given: str) -> tuple[int, ...]:
    from gantools.generation.latents import parse_seeds

    return parse_seeds(given)


@dataclass(frozen=True)
class GenerateOptions(CommandOptions):
    """What is made, how, and where it is written."""

    output: Annotated[
        str | None,
        Option("Folder of images, or one file. Default: MODEL-images/, MODEL-grid.png, …", "-o --output", "DIR|FILE"),
    ] = None
    count: Annotated[int, Option("How many images (of each label or text): seeds 0, 1, 2, …", "-n --count", min=1)] = 16
    seeds: Annotated[
        tuple[int, ...] | None, Option("These seeds instead, such as 0-15,85.", metavar="SEEDS", parse=_seeds)
    ] = None
    label: Annotated[
        list[str] | None,
        Option("Only this class, by name or number; can be repeated; all: every one.", "--label --class"),
    ] = None
    text: Annotated[list[str] | None, Option("What images show, for models that read text; can be repeated.")] = None
    texts: Annotated[str | None, Option("File with a text in every line.", metavar="FILE")] = None
    code: Annotated[
        list[str] | None, Option("Value or range of a code of InfoGAN, such as c1=3 or c2=-1:1.", metavar="NAME=VALUE")
    ] = None
    latents: Annotated[
        str | None, Option("NumPy file of latent vectors (z) or styles (w) instead of seeds.", metavar="FILE")
    ] = None
    grid: Annotated[tuple[int, int] | None, Option("One sheet of R × C images.", metavar="RxC", parse=parse_grid)] = (
        None
    )
    truncation: Annotated[
        float | None,
        Option("StyleGAN2: 1 is the trained variety, 0 the mean image.", "--truncation --trunc", min=-2, max=2),
    ] = None
    truncated_rows: Annotated[
        int | None, Option("Truncate only the first rows of styles, the coarse ones.", metavar="N", min=1)
    ] = None
    noise: Annotated[
        Literal["const", "random", "none"],
        Option("StyleGAN2: noise stored with the weights, that of a seed, or none.", "--noise --noise-mode"),
    ] = "const"
    steps: Annotated[bool, Option("Show each level of the network, side by side (LAPGAN, ProGAN, StackGAN).")] = False
    interpolate: Annotated[bool, Option("A walk from image to image: .webp, .gif, .png (animated) or .mp4.")] = False
    frames: Annotated[int, Option("Frames from one image of a walk to the next.", min=1, max=10_000)] = 30
    fps: Annotated[float, Option("Frames per second of a walk.", min=0.1, max=240)] = 24.0
    space: Annotated[
        Literal["auto", "z", "w"], Option("What a walk goes through: latent vectors, or styles (auto: if any).")
    ] = "auto"
    loop: Annotated[bool, Option("The walk returns to its first image.")] = False
    format: Annotated[Literal["png", "jpg", "webp", "tif"], Option("Format of the images.")] = "png"
    batch: Annotated[int, Option("Images computed at once; above 1 their last digits may differ.", min=1)] = 1
    skip_existing: Annotated[bool, Option("Leave existing files as they are.")] = False
    overwrite: Annotated[bool, Option("Replace existing files.")] = False
    export: Annotated[str | None, Option("Which network, where the weights hold several.", metavar="NAME")] = None
    device: Annotated[str, Option("auto, cpu, cuda, cuda:N or mps.", environment="GANTOOLS_DEVICE")] = "auto"
