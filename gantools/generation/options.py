"""The options of ``gantools generate`` and ``gantools.generate``, each declared once. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from gantools.config.command import CommandOptions, Option, option_of
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


def _images(given: str) -> tuple[str, ...]:
    """Read ``85,100-102,me.npz`` as ``seed:85``, …, ``me.npz``. Raises UsageError."""
    named: list[str] = []
    for part in given.split(","):
        if re.fullmatch(r"[0-9]+(-[0-9]+)?", part):
            named += [f"seed:{seed}" for seed in _seeds(part)]
        elif part:
            named.append(part)
    if not named:
        raise UsageError(f"--rows-seeds, --cols {given}: names no image; give for example 85,100-102,me.npz")
    return tuple(named)


_TRUNCATION = Option(
    "Of seeds: 1 is the trained variety, 0 the mean image.", "--truncation --trunc", min=-2, max=2, metavar="N"
)
_NOISE, _DEVICE = option_of(GenerateOptions, "noise"), option_of(GenerateOptions, "device")
_LABEL = Option("Class of seeds, for models with classes.", "--label --class")
_SKIP, _OVERWRITE = Option("Leave existing files as they are."), Option("Replace existing files.")


@dataclass(frozen=True)
class MixOptions(CommandOptions):
    """Which styles are mixed, and where the images are written."""

    output: Annotated[
        str | None,
        Option("One image; a folder. Default: A-ROWS-of-B.png, or MODEL-mix.png.", "-o --output", "FILE|DIR"),
    ] = None
    rows: Annotated[
        str,
        Option(
            "Rows of B: coarse (pose, shape), middle (features), fine (colours), all, or 0-3,8.",
            "--rows --styles",
            "ROWS",
        ),
    ] = "coarse"
    both: Annotated[bool, Option("Rows of A put into B too.")] = False
    row_images: Annotated[
        tuple[str, ...] | None,
        Option("A sheet instead: its rows, such as 85,100,me.npz.", "--rows-seeds --row-seeds", "SEEDS", parse=_images),
    ] = None
    column_images: Annotated[
        tuple[str, ...] | None,
        Option("Columns of the sheet, whose styles go into those rows.", "--cols --col-seeds", "SEEDS", parse=_images),
    ] = None
    truncation: Annotated[float, _TRUNCATION] = 1.0
    noise: Annotated[Literal["const", "random", "none"], _NOISE] = "const"
    label: Annotated[str | None, _LABEL] = None
    skip_existing: Annotated[bool, _SKIP] = False
    overwrite: Annotated[bool, _OVERWRITE] = False
    device: Annotated[str, _DEVICE] = "auto"


@dataclass(frozen=True)
class EditOptions(CommandOptions):
    """Where images are moved to, and where they are written."""

    output: Annotated[
        str | None,
        Option(
            "Strip .png or .jpg; .webp, .gif or .mp4 moves; a folder. Default: A-NAME.png.", "-o --output", "FILE|DIR"
        ),
    ] = None
    direction: Annotated[
        str | None, Option("File of a direction, or its name (see directions list).", metavar="FILE|NAME")
    ] = None
    start: Annotated[float, Option("First distance.", "--from", "N", min=-1000, max=1000)] = -3.0
    end: Annotated[float, Option("Last distance.", "--to", "N", min=-1000, max=1000)] = 3.0
    steps: Annotated[int, Option("How many images from first to last.", min=1, max=10_000)] = 20
    keep: Annotated[
        list[str] | None, Option("Direction along which nothing shall change; can be repeated.", metavar="FILE|NAME")
    ] = None
    rows: Annotated[str, Option("Move only these rows: coarse, middle, fine, or 0-3,8.", metavar="ROWS")] = "all"
    fps: Annotated[float, Option("Images per second where they move.", min=0.1, max=240)] = 24.0
    loop: Annotated[bool, Option("Moving images go there and back, again and again.")] = False
    truncation: Annotated[float, _TRUNCATION] = 1.0
    noise: Annotated[Literal["const", "random", "none"], _NOISE] = "const"
    label: Annotated[str | None, _LABEL] = None
    skip_existing: Annotated[bool, _SKIP] = False
    overwrite: Annotated[bool, _OVERWRITE] = False
    device: Annotated[str, _DEVICE] = "auto"


@dataclass(frozen=True)
class LearnOptions(CommandOptions):
    """What a direction is learnt from, and where it is written."""

    name: Annotated[str | None, Option("What the direction is called.")] = None
    output: Annotated[
        str | None, Option("File .npz or folder. Default: beside the weights.", "-o --output", "FILE|DIR")
    ] = None
    scores: Annotated[
        str | None, Option("CSV with a column seed or file (seed0085.png, me.npz) and a score.", metavar="FILE")
    ] = None
    column: Annotated[str | None, Option("Its column of scores, where there are several.")] = None
    attribute: Annotated[
        str | None, Option("A column of captions.csv, or a class, of labelled images (--data).", metavar="NAME")
    ] = None
    data: Annotated[str | None, Option("Labelled images, from which a classifier learns first.", metavar="DIR")] = None
    value: Annotated[str | None, Option("Which value of a column or attribute is meant, such as red.")] = None
    positive: Annotated[str | None, Option("Folder of styles (.npz) of what is meant.", metavar="DIR")] = None
    negative: Annotated[str | None, Option("Folder of styles of what is not.", metavar="DIR")] = None
    measure: Annotated[
        Literal["brightness", "contrast", "saturation", "red", "green", "blue", "size"] | None,
        Option("What can be measured in the images themselves."),
    ] = None
    closed_form: Annotated[
        int | None, Option("Without scores: the K directions that the weights amplify most.", metavar="K", min=1)
    ] = None
    rows: Annotated[str | None, Option("With --closed-form: of these rows only.", metavar="ROWS")] = None
    count: Annotated[int, Option("How many samples are scored.", "-n --count", min=6, max=1_000_000)] = 20_000
    extremes: Annotated[float, Option("Share of the lowest and highest scores.", min=0.0001, max=0.5)] = 0.02
    keep: Annotated[
        list[str] | None,
        Option("Direction along which this one shall change nothing; can be repeated.", metavar="FILE|NAME"),
    ] = None
    label: Annotated[str | None, Option("Only samples of this class.", "--label --class")] = None
    overwrite: Annotated[bool, Option("Replace an existing direction.")] = False
    device: Annotated[str, _DEVICE] = "auto"
