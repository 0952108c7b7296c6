"""The options of ``gantools project`` and ``gantools.api.project``, each declared once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gantools.config.command import CommandOptions, Option, option_of
from gantools.generation.options import GenerateOptions


@dataclass(frozen=True)
class ProjectOptions(CommandOptions):
    """How photos are projected, and where the results are written."""

    output: Annotated[
        str | None,
        Option("Folder of the results, NAME.latent.npz and NAME.projected.png. Default for one photo: beside it.",
               "-o --output", "DIR"),
    ] = None  # fmt: skip
    recursive: Annotated[bool, Option("Include sub-folders.", "-r --recursive")] = False
    space: Annotated[
        Literal["w+", "w"], Option("A row of styles for each layer (nearer to the photo), or one (easier to edit).")
    ] = "w+"
    steps: Annotated[int, Option("Steps of the search.", min=1, max=1_000_000)] = 1000
    seed: Annotated[int, Option("Of the noise on styles, and of the first planes of noise.", min=0)] = 303
    lr: Annotated[float, Option("Learning rate between its rise and fall.", min=1e-6, max=10)] = 0.1
    stay: Annotated[
        float, Option("Pull to the mean style: less is nearer to the photo, more is easier to edit.", min=0, max=100)
    ] = 0.1
    label: Annotated[str | None, Option("Class, by name or number, for models with classes.", "--label --class")] = None
    align: Annotated[
        Literal["off", "face"], Option("What is taken of a photo: its middle, or its largest face as in FFHQ.")
    ] = "off"
    video: Annotated[bool, Option("Show the way too: NAME.projection.webp, the photo beside it.")] = False
    video_format: Annotated[Literal["webp", "gif", "mp4"], Option("Format of --video.")] = "webp"
    feature_weights: Annotated[
        str | None,
        Option(
            "Network that compares images: weights of VGG-16 or SqueezeNet 1.0 (as torchvision), or none.",
            metavar="FILE|none",
            default="what `gantools weights fetch` installed",
        ),
    ] = None
    save_every_seconds: Annotated[
        float, Option("How often NAME.project-state is written, from which a stopped search goes on.", "--save-every",
                      "SECONDS", min=0)
    ] = 30.0  # fmt: skip
    skip_existing: Annotated[bool, option_of(GenerateOptions, "skip_existing")] = False
    overwrite: Annotated[bool, option_of(GenerateOptions, "overwrite")] = False
    export: Annotated[str | None, option_of(GenerateOptions, "export")] = None
    device: Annotated[str, option_of(GenerateOptions, "device")] = "auto"
