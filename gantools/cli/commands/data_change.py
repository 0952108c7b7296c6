"""``gantools data edges|crappify|blur|mask|lowres|gray``: a folder of photos becomes a folder of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from gantools.cli.commands import data_common as common
from gantools.cli.commands.data_common import Changes, Format, FormatOption, Output, Quality, Run, Seed, Source, Workers
from gantools.cli.output import console
from gantools.cli.output.results import DryRun, Json, Overwrite, SkipExisting


class Fit(Enum):
    """How an image becomes a square."""

    stretch = "stretch"
    crop = "crop"
    pad = "pad"


class BlurKind(Enum):
    """Kinds of blur."""

    motion = "motion"
    defocus = "defocus"
    gaussian = "gaussian"


class MaskKind(Enum):
    """What is missing."""

    center = "center"
    random_block = "random_block"
    random_region = "random_region"


class Degradation(Enum):
    """What a crappifier does."""

    low_resolution = "low_resolution"
    text = "text"
    jpeg = "jpeg"
    gray = "gray"
    noise = "noise"
    missing = "missing"


EDGE_SETTINGS = common.settings_flag("gantools.data.options:EdgeOptions")
CRAPPIFY_SETTINGS = common.settings_flag("gantools.data.prepare.options:CrappifyOptions")
BLUR_SETTINGS = common.settings_flag("gantools.data.options.blur:BlurOptions")
MASK_SETTINGS = common.settings_flag("gantools.data.prepare.options:MasksOptions")


@console.guarded
def edges(
    source: Source,
    output: Output,
    changes: Changes = None,
    low: Annotated[float | None, typer.Option(help="Lower threshold of Canny's detector [45].")] = None,
    high: Annotated[float | None, typer.Option(help="Upper threshold of Canny's detector [100].")] = None,
    hints: Annotated[int, typer.Option(min=0, help="Dabs of the photo's colours on each outline.")] = 0,
    size_px: Annotated[int | None, typer.Option("--size", min=1, help="First make squares of this side.")] = None,
    fit: Annotated[Fit, typer.Option(help="With --size: how a photo becomes a square.")] = Fit.stretch,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    seed: Seed = 0,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    settings: Annotated[bool, EDGE_SETTINGS] = False,  # noqa: ARG001 - its callback reads it
) -> None:
    """Draw the outlines of photos, black on white, as pix2pix does; --hints dabs the photo's colours onto them."""
    from gantools.data.options.datasets import EdgeOptions
    from gantools.data.prepare.change import Outline

    flags = {"canny_low": low, "canny_high": high, "max_hints": hints}
    change = Outline(common.read_settings(EdgeOptions, changes, flags), size_px, fit.value)
    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("edges", source, change, seed)


@console.guarded
def crappify(
    source: Source,
    output: Output,
    changes: Changes = None,
    do: Annotated[
        list[Degradation] | None, typer.Option(help="What is done, in this order [low_resolution, text, jpeg].")
    ] = None,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    seed: Seed = 0,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    settings: Annotated[bool, CRAPPIFY_SETTINGS] = False,  # noqa: ARG001 - its callback reads it
) -> None:
    """Make bad photos of good ones: small, written on, compressed; of the same size, as restore learns to mend them."""
    from gantools.data.prepare.change import Crappify
    from gantools.data.prepare.options import CrappifyOptions

    flags = {"do": [each.value for each in do] if do else None}
    change = Crappify(common.read_settings(CrappifyOptions, changes, flags).degradations())
    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("crappify", source, change, seed)


@console.guarded
def blur(
    source: Source,
    output: Output,
    changes: Changes = None,
    kind: Annotated[list[BlurKind] | None, typer.Option(help="Kinds to draw from [motion].")] = None,
    kernel: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Measured kernels to draw from: .npy or .mat.")
    ] = None,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    seed: Seed = 0,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    settings: Annotated[bool, BLUR_SETTINGS] = False,  # noqa: ARG001 - its callback reads it
) -> None:
    """Blur photos as a shaking hand, a wrong focus or a measured kernel does, and add noise."""
    from gantools.data.options.blur import BlurOptions
    from gantools.data.prepare.change import Blur

    options = common.read_settings(BlurOptions, changes, _weights(kind or [], kernel or []))
    if options.measured_weight:
        from gantools.data.degrade.blur import measured_kernels

        measured_kernels(options.kernel_files)  # an unusable file is refused before any work
    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("blur", source, Blur(options), seed)


@console.guarded
def mask(
    source: Source,
    output: Output,
    changes: Changes = None,
    kind: Annotated[MaskKind | None, typer.Option(help="What is missing [random_region].")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Write the masks themselves: white is missing.")] = False,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    seed: Seed = 0,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    settings: Annotated[bool, MASK_SETTINGS] = False,  # noqa: ARG001 - its callback reads it
) -> None:
    """Leave a part of every photo out; with --alone and the same seed, write the masks that belong to them."""
    from gantools.data.prepare.change import Mask
    from gantools.data.prepare.options import MasksOptions

    options = common.read_settings(MasksOptions, changes, {"kind": kind.value if kind else None})
    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("mask", source, Mask(options.chosen(), alone), seed)


@console.guarded
def lowres(
    source: Source,
    output: Output,
    scale: Annotated[int, typer.Option(min=1, max=16, help="How many times smaller.")] = 4,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
) -> None:
    """Shrink photos by the bicubic down-scaling that super-resolution is measured with."""
    from gantools.data.prepare.change import Shrink

    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("lowres", source, Shrink(scale))


@console.guarded
def gray(
    source: Source,
    output: Output,
    format: FormatOption = Format.png,
    quality: Quality = 95,
    workers: Workers = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
) -> None:
    """Take the colours out of photos."""
    from gantools.data.prepare import change

    run = Run(output, format, quality, workers, skip_existing, overwrite, dry_run, json_lines)
    run.change("gray", source, change.gray)


def _weights(kinds: Sequence[BlurKind], kernels: Sequence[str]) -> dict[str, Any]:
    """Settings that draw from these kinds and kernel files alone; nothing where none is named."""
    if not kinds and not kernels:
        return {}
    wanted = {kind.value for kind in kinds} | ({"measured"} if kernels else set())
    weights = {f"{name}_weight": float(name in wanted) for name in ("motion", "defocus", "gaussian", "measured")}
    return {**weights, "kernel_files": list(kernels) or None}
