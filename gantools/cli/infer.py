"""``gantools infer``: pictures, folders and pipes through a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli import console, outcomes
from gantools.cli.outcomes import DryRun, Json, Overwrite, SkipExisting, Teller
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.deconvolution import Deconvolution
    from gantools.inference.session import Session

PLAIN_PROGRESS_SECONDS = 30


class Source(Enum):
    """What the input pictures are."""

    drawing = "drawing"
    photo = "photo"


class Direction(Enum):
    """Which way a model that learnt both translates."""

    a2b = "a2b"
    b2a = "b2a"


class Deconvolve(Enum):
    """How a known blur is undone without a network."""

    wiener = "wiener"
    richardson_lucy = "richardson_lucy"


class Format(Enum):
    """File formats of results."""

    keep = "keep"
    png = "png"
    jpg = "jpg"
    webp = "webp"
    tif = "tif"


class Depth(Enum):
    """Bits per sample of results."""

    keep = "keep"
    eight = "8"
    sixteen = "16"


class Metadata(Enum):
    """Whether EXIF, ICC, XMP and resolution stay."""

    keep = "keep"
    strip = "strip"


class Alpha(Enum):
    """What becomes of transparency."""

    keep = "keep"
    process = "process"
    drop = "drop"


class Gray(Enum):
    """What becomes of gray pictures."""

    auto = "auto"
    keep = "keep"
    color = "color"


class Frames(Enum):
    """What becomes of files with several frames or pages."""

    refuse = "refuse"
    first = "first"


class Precision(Enum):
    """Arithmetic of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


Model = Annotated[
    str, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
]
Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help="Pictures, folders, or - for standard input.")]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE|DIR|-", help="Default for one file: beside it.")
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Look into sub-folders.")]
From = Annotated[
    Source, typer.Option("--from", help="photo: first make the outline drawing that the model learnt from.")
]
Mask = Annotated[
    str | None,
    typer.Option(metavar="FILE|DIR|center", help="What is missing (white); a folder: masks by the pictures' names."),
]
KernelOption = Annotated[
    str | None,
    typer.Option(
        "--kernel", metavar="FILE[#N]", help="deblur: undo this known blur (.npy, .mat) without a network or weights."
    ),
]
MethodOption = Annotated[Deconvolve, typer.Option("--method", help="How --kernel is undone.")]
Balance = Annotated[float, typer.Option(min=0, help="--kernel: weight of smoothness in Wiener's filter.")]
Iterations = Annotated[int, typer.Option(min=1, help="--kernel: iterations of Richardson and Lucy.")]
FormatOption = Annotated[Format, typer.Option(help="Format of the results.")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP.")]
DepthOption = Annotated[Depth, typer.Option(help="Bits per sample.")]
MetadataOption = Annotated[Metadata, typer.Option(help="EXIF, ICC profile, XMP, resolution.")]
AlphaOption = Annotated[Alpha, typer.Option(help="Transparency: resized, put through the network, or left out.")]
GrayOption = Annotated[
    Gray, typer.Option(help="Gray pictures stay gray or get the network's colours; auto: as it learnt.")
]
FramesOption = Annotated[Frames, typer.Option(help="Files with several frames or pages.")]
AllowTruncated = Annotated[bool, typer.Option("--allow-truncated", help="Accept what is left of damaged files.")]
MaxPixels = Annotated[
    int | None, typer.Option(min=1, help="Largest input, in pixels; a result may have four times as many.")
]
Export = Annotated[str | None, typer.Option(metavar="NAME", help="Which of several networks in the weights.")]
DirectionOption = Annotated[
    Direction | None, typer.Option(help="Which way a model translates that learnt both (CycleGAN).")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
Device = Annotated[str, typer.Option(envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic of the network; auto: fp32, the exact one.")]


@console.guarded
def infer(
    model: Model,
    inputs: Inputs,
    output: Output = None,
    recursive: Recursive = False,
    source: From = Source.drawing,
    mask: Mask = None,
    kernel: KernelOption = None,
    method: MethodOption = Deconvolve.wiener,
    balance: Balance = 0.01,
    iterations: Iterations = 20,
    format: FormatOption = Format.keep,
    quality: Quality = 95,
    depth: DepthOption = Depth.keep,
    metadata: MetadataOption = Metadata.keep,
    alpha: AlphaOption = Alpha.keep,
    gray: GrayOption = Gray.auto,
    frames: FramesOption = Frames.refuse,
    allow_truncated: AllowTruncated = False,
    max_pixels: MaxPixels = None,
    export: Export = None,
    direction: DirectionOption = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    fail_fast: FailFast = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    device: Device = "auto",
    precision: PrecisionOption = Precision.auto,
) -> None:
    """Put pictures through a model. Exit codes: 0 all done, 1 failed, 2 refused as typed, 3 some inputs failed."""
    from gantools.inference import deconvolution
    from gantools.inference.session import prepare
    from gantools.inference.settings import Settings

    _check_streams(inputs, output, json_lines)
    how = Settings(quality, _bits(depth), _word(metadata), _word(alpha), _word(gray), fail_fast=fail_fast)
    how = replace(how, max_pixels=max_pixels, allow_truncated=allow_truncated, mask=mask)
    how = replace(how, first_frame=frames is Frames.first)
    existing, wanted = outcomes.existing(skip_existing, overwrite), None if format is Format.keep else format.value
    if kernel is not None:
        _refuse_beside_kernel(model, mask=mask, export=export, direction=direction, source=source)
        inverse = deconvolution.Inverse(kernel, _word(method), balance, iterations)
        undone = deconvolution.prepare(inverse, inputs, output, recursive, wanted, existing, how)
        raise typer.Exit(_undo(undone, Teller(json_lines, len(undone.jobs)), dry_run))
    session = prepare(model, inputs, output=output, recursive=recursive, format=wanted, existing=existing, settings=how)
    session = replace(session, export=_export(export, direction), device=device, precision=_word(precision))
    teller = Teller(json_lines, len(session.jobs))
    raise typer.Exit(_rehearse(session, teller) if dry_run else _run(session, source, direction, teller))


def _check_streams(inputs: Sequence[str], output: str | None, json_lines: bool) -> None:
    """Refuse pipes that cannot work; let names on stdout be the bytes that they are in the file system."""
    if output == "-" and json_lines:
        raise UsageError("-o - and --json both want standard output; give one")
    if output == "-" and sys.stdout.isatty():
        raise UsageError("-o - would write a picture's bytes to the terminal; send them to a file or a pipe")
    if "-" in inputs and sys.stdin.isatty():
        raise UsageError("- reads a picture from standard input, which is the terminal; send it a file or a pipe")
    outcomes.names_as_stored()


def _bits(depth: Depth) -> Any:
    return "keep" if depth is Depth.keep else int(depth.value)


def _export(export: str | None, direction: Direction | None) -> str | None:
    """The network that is asked for: a direction is the name of one."""
    if export is not None and direction is not None:
        raise UsageError(f"--export {export} and --direction {direction.value} both name a network; give one")
    return direction.value if direction else export


def _check_direction(session: Session, direction: Direction | None) -> None:
    """Raise UsageError when the weights know two directions and none was chosen, or the other way round."""
    from gantools.checkpoint import weights

    names, path = weights.describe(session.weights).exports, str(session.weights)
    if session.export is None and set(names) == {each.value for each in Direction}:
        raise UsageError(f"{path!r} translates both ways; give --direction a2b or --direction b2a")
    if direction is not None and direction.value not in names:
        raise UsageError(f"--direction {direction.value}: {path!r} has no directions; leave it out")


def _word(choice: Enum) -> Any:
    """An option's value, of which a type checker does not see that it is one of the few allowed words."""
    return choice.value


def _facts(session: Session) -> dict[str, str]:
    return {"recipe": session.recipe, "weights": str(session.weights)}


def _rehearse(session: Session, teller: Teller) -> int:
    for result in session.rehearse():
        teller.tell(result)
    return teller.conclude(_facts(session))


def _run(session: Session, source: Source, direction: Direction | None, teller: Teller) -> int:
    idle = all(job.skip for job in session.jobs)
    if not idle:
        _check_direction(session, direction)
    if source is Source.photo and not idle:
        from gantools import api

        outline = api.outline_from_weights(session.weights)
        session = replace(session, settings=replace(session.settings, prepare=outline))
    console.message(f"weights: {console.quoted(str(session.weights))} ({session.recipe})")
    with _progress(len(session.jobs)) as advance:
        for result in session.run():
            teller.tell(result)
            advance()
    return teller.conclude(_facts(session))


def _refuse_beside_kernel(
    model: str, *, mask: str | None, export: str | None, direction: Direction | None, source: Source
) -> None:
    """Raise UsageError for a network beside a kernel, or options that only networks have."""
    if model != "deblur":
        raise UsageError(f"--kernel undoes a blur without a network: type deblur instead of {model!r}")
    asked = {"--mask": mask, "--export": export, "--direction": direction, "--from": source is Source.photo or None}
    others = [name for name, value in asked.items() if value is not None]
    if others:
        raise UsageError(f"--kernel undoes a blur without a network: leave out {', '.join(others)}")


def _undo(undone: Deconvolution, teller: Teller, dry_run: bool) -> int:
    """Deconvolve by a known kernel."""
    with _progress(len(undone.jobs)) as advance:
        for result in undone.rehearse() if dry_run else undone.run():
            teller.tell(result)
            advance()
    return teller.conclude({"recipe": "deblur", "kernel": undone.inverse.kernel, "method": undone.inverse.method})


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else a line every half minute; nothing for a single picture or under ``-q``."""
    if console.Settings.quiet or total == 1 or not sys.stderr.isatty():
        yield _PlainProgress(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


class _PlainProgress:
    """Says how far a run is, at most every half minute."""

    def __init__(self, total: int) -> None:
        self.total, self.finished = total, 0
        self.started = self.told = time.monotonic()

    def __call__(self) -> None:
        self.finished += 1
        now = time.monotonic()
        if now - self.told >= PLAIN_PROGRESS_SECONDS and self.finished < self.total:
            self.told = now
            left = (now - self.started) / self.finished * (self.total - self.finished)
            console.message(f"{self.finished}/{self.total}, {left:.0f} s left")
