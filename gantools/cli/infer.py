"""``gantools infer``: pictures, folders and pipes through a model."""

from __future__ import annotations

import io
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli import console
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.plan import Existing
    from gantools.inference.result import Result
    from gantools.inference.session import Session

PARTLY_FAILED = 3
PLAIN_PROGRESS_SECONDS = 30


class Source(Enum):
    """What the input pictures are."""

    drawing = "drawing"
    photo = "photo"


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
FormatOption = Annotated[Format, typer.Option(help="Format of the results.")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP.")]
DepthOption = Annotated[Depth, typer.Option(help="Bits per sample.")]
MetadataOption = Annotated[Metadata, typer.Option(help="EXIF, ICC profile, XMP, resolution.")]
AlphaOption = Annotated[Alpha, typer.Option(help="Transparency: resized, put through the network, or left out.")]
GrayOption = Annotated[Gray, typer.Option(help="Gray pictures stay gray, or get the colours that the network makes.")]
FramesOption = Annotated[Frames, typer.Option(help="Files with several frames or pages.")]
AllowTruncated = Annotated[bool, typer.Option("--allow-truncated", help="Accept what is left of damaged files.")]
MaxPixels = Annotated[
    int | None, typer.Option(min=1, help="Largest input, in pixels; a result may have four times as many.")
]
Export = Annotated[str | None, typer.Option(metavar="NAME", help="Which of several networks in the weights.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave existing results as they are.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Only say what would be written.")]
Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]
Device = Annotated[str, typer.Option(envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic of the network; auto: fp32, the exact one.")]


@console.guarded
def infer(
    model: Model,
    inputs: Inputs,
    output: Output = None,
    recursive: Recursive = False,
    source: From = Source.drawing,
    format: FormatOption = Format.keep,
    quality: Quality = 95,
    depth: DepthOption = Depth.keep,
    metadata: MetadataOption = Metadata.keep,
    alpha: AlphaOption = Alpha.keep,
    gray: GrayOption = Gray.keep,
    frames: FramesOption = Frames.refuse,
    allow_truncated: AllowTruncated = False,
    max_pixels: MaxPixels = None,
    export: Export = None,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    fail_fast: FailFast = False,
    dry_run: DryRun = False,
    json_lines: Json = False,
    device: Device = "auto",
    precision: PrecisionOption = Precision.auto,
) -> None:
    """Put pictures through a model. Exit codes: 0 all done, 1 failed, 2 refused as typed, 3 some inputs failed."""
    from gantools.inference.session import prepare
    from gantools.inference.settings import Settings

    _check_streams(inputs, output, json_lines)
    how = Settings(quality, _bits(depth), _word(metadata), _word(alpha), _word(gray), fail_fast=fail_fast)
    how = replace(how, max_pixels=max_pixels, allow_truncated=allow_truncated, first_frame=frames is Frames.first)
    existing, wanted = _existing(skip_existing, overwrite), None if format is Format.keep else format.value
    session = prepare(model, inputs, output=output, recursive=recursive, format=wanted, existing=existing, settings=how)
    session = replace(session, export=export, device=device, precision=_word(precision))
    teller = _Teller(json_lines, len(session.jobs))
    raise typer.Exit(_rehearse(session, teller) if dry_run else _run(session, source, teller))


def _check_streams(inputs: Sequence[str], output: str | None, json_lines: bool) -> None:
    """Refuse pipes that cannot work; let names on stdout be the bytes that they are in the file system."""
    if output == "-" and json_lines:
        raise UsageError("-o - and --json both want standard output; give one")
    if output == "-" and sys.stdout.isatty():
        raise UsageError("-o - would write a picture's bytes to the terminal; send them to a file or a pipe")
    if "-" in inputs and sys.stdin.isatty():
        raise UsageError("- reads a picture from standard input, which is the terminal; send it a file or a pipe")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def _existing(skip_existing: bool, overwrite: bool) -> Existing:
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other; give one")
    return "skip" if skip_existing else "overwrite" if overwrite else "refuse"


def _bits(depth: Depth) -> Any:
    return "keep" if depth is Depth.keep else int(depth.value)


def _word(choice: Enum) -> Any:
    """An option's value, of which a type checker does not see that it is one of the few allowed words."""
    return choice.value


def _rehearse(session: Session, teller: _Teller) -> int:
    for result in session.rehearse():
        teller.tell(result)
    return teller.conclude(session)


def _run(session: Session, source: Source, teller: _Teller) -> int:
    if source is Source.photo and not all(job.skip for job in session.jobs):
        from gantools import api

        outline = api.outline_from_weights(session.weights)
        session = replace(session, settings=replace(session.settings, prepare=outline))
    console.message(f"weights: {console.quoted(str(session.weights))} ({session.recipe})")
    with _progress(len(session.jobs)) as advance:
        for result in session.run():
            teller.tell(result)
            advance()
    return teller.conclude(session)


class _Teller:
    """Says what comes of each picture: results on stdout, failures and, to a person, the rest on stderr."""

    def __init__(self, json_lines: bool, total: int) -> None:
        self.json_lines, self.total, self.started = json_lines, total, time.monotonic()
        self.counts: Counter[str] = Counter()
        self.failure_codes: set[int] = set()

    def tell(self, result: Result) -> None:
        self.counts[result.status] += 1
        if result.status == "failed":
            self._failure(result)
        if self.json_lines:
            console.result_json(_row(result))
        elif result.content is not None:
            sys.stdout.buffer.write(result.content)
            sys.stdout.buffer.flush()
        elif result.output is not None and result.status in ("done", "planned"):
            self._path(result)

    def _failure(self, result: Result) -> None:
        self.failure_codes.add(result.exit_code)
        console.failure(console.quoted(f"{result.input!r}: {result.error}"))
        if console.Settings.debug and result.traceback:
            console.message(result.traceback)

    def _path(self, result: Result) -> None:
        """A line that a pipe can use, or one for a person, who needs none per picture of many."""
        if not sys.stdout.isatty():
            console.result(str(result.output))
        elif self.total == 1 or result.status == "planned":
            size = f" ({'×'.join(map(str, result.output_size))})" if result.output_size else ""
            console.message(f"{console.quoted(result.input)} → {console.quoted(str(result.output))}{size}")

    def conclude(self, session: Session) -> int:
        """Sum up and return the exit code."""
        seconds = round(time.monotonic() - self.started, 3)
        counts = {status: count for status, count in sorted(self.counts.items()) if count}
        if self.json_lines:
            facts = {"recipe": session.recipe, "weights": str(session.weights), "seconds": seconds}
            console.result_json({"summary": {**facts, "inputs": self.total, **counts}})
        elif self.total > 1:
            console.message(f"{', '.join(f'{count} {status}' for status, count in counts.items())} in {seconds:.1f} s")
        if not self.failure_codes:
            return 0
        return PARTLY_FAILED if self.counts["done"] or self.counts["skipped"] else min(self.failure_codes)


def _row(result: Result) -> dict[str, Any]:
    return {
        "input": result.input,
        "output": "-" if result.output is None else str(result.output),
        "status": result.status,
        "error": result.error,
        "input_size": result.input_size,
        "output_size": result.output_size,
        "seconds": round(result.seconds, 4),
    }


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
