"""``gantools data edges|crappify|blur|mask|lowres|gray``: a folder of photos becomes a folder of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import typer

from gantools.cli.commands import data_common as common
from gantools.cli.commands.data_common import Changing, ChangingAtRandom
from gantools.cli.options import options_command
from gantools.cli.output import console


class BlurKind(Enum):
    """Kinds of blur. Enums because typer takes no lists of literals."""

    motion = "motion"
    defocus = "defocus"
    gaussian = "gaussian"


class Degradation(Enum):
    """What a crappifier does."""

    low_resolution = "low_resolution"
    text = "text"
    jpeg = "jpeg"
    gray = "gray"
    noise = "noise"
    missing = "missing"


@dataclass(kw_only=True, eq=False, repr=False)
class Edges(ChangingAtRandom):
    """What is typed after ``data edges``."""

    low: Annotated[float | None, typer.Option(help="Lower threshold of Canny's detector [45].")] = None
    high: Annotated[float | None, typer.Option(help="Upper threshold of Canny's detector [100].")] = None
    hints: Annotated[int, typer.Option(min=0, help="Dabs of the photo's colours on each outline.")] = 0
    size_px: Annotated[int | None, typer.Option("--size", min=1, help="First make squares of this side.")] = None
    fit: Annotated[
        Literal["stretch", "crop", "pad"], typer.Option(help="With --size: how a photo becomes a square.")
    ] = "stretch"
    settings: Annotated[bool, common.settings_flag("gantools.data.options.datasets:EdgeOptions")] = False


@console.guarded
@options_command(Edges)
def edges(asked: Edges) -> None:
    """Draw the outlines of photos, black on white, as pix2pix does; --hints dabs the photo's colours onto them."""
    from gantools.data.options.datasets import EdgeOptions
    from gantools.data.prepare.change import Outline

    flags = {"canny_low": asked.low, "canny_high": asked.high, "max_hints": asked.hints}
    options = common.read_settings(EdgeOptions, asked.changes, flags)
    asked.apply("edges", Outline(options, asked.size_px, asked.fit), asked.seed)


@dataclass(kw_only=True, eq=False, repr=False)
class Crappify(ChangingAtRandom):
    """What is typed after ``data crappify``."""

    do: Annotated[
        list[Degradation] | None,
        typer.Option(help="What is done, in this order [low_resolution, text, jpeg]."),
    ] = None
    settings: Annotated[bool, common.settings_flag("gantools.data.prepare.options:CrappifyOptions")] = False


@console.guarded
@options_command(Crappify)
def crappify(asked: Crappify) -> None:
    """Degrade good photos: small, with text, compressed; of the same size, as restore learns to undo."""
    from gantools.data.prepare import change
    from gantools.data.prepare.options import CrappifyOptions

    options = common.read_settings(
        CrappifyOptions, asked.changes, {"do": [each.value for each in asked.do] if asked.do else None}
    )
    asked.apply("crappify", change.Crappify(options.degradations()), asked.seed)


@dataclass(kw_only=True, eq=False, repr=False)
class Blur(ChangingAtRandom):
    """What is typed after ``data blur``."""

    kind: Annotated[list[BlurKind] | None, typer.Option(help="Kinds to draw from [motion].")] = None
    kernel: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Measured kernels to draw from: .npy or .mat.")
    ] = None
    settings: Annotated[bool, common.settings_flag("gantools.data.options.blur:BlurOptions")] = False


@console.guarded
@options_command(Blur)
def blur(asked: Blur) -> None:
    """Blur photos by camera shake, defocus or a measured kernel, and add noise."""
    from gantools.data.options.blur import BlurOptions
    from gantools.data.prepare import change

    options = common.read_settings(BlurOptions, asked.changes, _weights(asked.kind or [], asked.kernel or []))
    if options.measured_weight:
        from gantools.data.degrade.blur import measured_kernels

        measured_kernels(options.kernel_files)  # an unusable file is refused before any work
    asked.apply("blur", change.Blur(options), asked.seed)


def _weights(kinds: Sequence[BlurKind], kernels: Sequence[str]) -> dict[str, Any]:
    """Settings that draw from these kinds and kernel files alone; nothing where none is named."""
    if not kinds and not kernels:
        return {}
    wanted = {*(kind.value for kind in kinds), *(["measured"] if kernels else [])}
    weights = {f"{name}_weight": float(name in wanted) for name in ("motion", "defocus", "gaussian", "measured")}
    return {**weights, "kernel_files": list(kernels) or None}


@dataclass(kw_only=True, eq=False, repr=False)
class Mask(ChangingAtRandom):
    """What is typed after ``data mask``."""

    kind: Annotated[
        Literal["center", "random_block", "random_region"] | None,
        typer.Option(help="What is missing [random_region]."),
    ] = None
    alone: Annotated[bool, typer.Option("--alone", help="Write the masks themselves: white is missing.")] = False
    settings: Annotated[bool, common.settings_flag("gantools.data.prepare.options:MasksOptions")] = False


@console.guarded
@options_command(Mask)
def mask(asked: Mask) -> None:
    """Mask out a part of every photo; with --alone and the same seed, write the masks that belong to them."""
    from gantools.data.prepare import change
    from gantools.data.prepare.options import MasksOptions

    options = common.read_settings(MasksOptions, asked.changes, {"kind": asked.kind})
    asked.apply("mask", change.Mask(options.chosen(), asked.alone), asked.seed)


@dataclass(kw_only=True, eq=False, repr=False)
class LowRes(Changing):
    """What is typed after ``data lowres``."""

    scale: Annotated[int, typer.Option(min=1, max=16, help="How many times smaller.")] = 4


@console.guarded
@options_command(LowRes)
def lowres(asked: LowRes) -> None:
    """Shrink photos by the bicubic down-scaling that super-resolution is measured with."""
    from gantools.data.prepare.change import Shrink

    asked.apply("lowres", Shrink(asked.scale))


@console.guarded
@options_command(Changing)
def gray(asked: Changing) -> None:
    """Take the colours out of photos."""
    from gantools.data.prepare import change

    asked.apply("gray", change.gray)
