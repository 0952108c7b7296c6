"""Results of commands over many images: a line for each, the summary, the exit code, shared options."""

from __future__ import annotations

import io
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.output import console
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.jobs.result import Result

PARTLY_FAILED = 3

SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave existing results as they are.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Only print what would be written.")]
ModelName = Annotated[
    str, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Printing:
    """What ``infer`` and ``generate`` print."""

    print0: Annotated[bool, typer.Option("--print0", help="End the names on stdout with NUL, for xargs -0.")] = False
    json_lines: Json = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No messages and no progress; failures only.")] = False
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="A line for every image, with the time it took.")] = (
        False
    )
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; so does the variable NO_COLOR.")] = False

    def choose(self) -> None:
        """Add the command's own flags to the global ones."""
        console.Settings.quiet |= self.quiet
        console.Settings.verbose |= self.verbose
        console.Settings.color &= not self.no_color

    def printer(self, total: int) -> ResultPrinter:
        """The printer of ``total`` results."""
        return ResultPrinter(self.json_lines, total, "\0" if self.print0 else "\n")


def refuse_existing(files: Iterable[str | Path | None], overwrite: bool) -> None:
    """Raise UsageError when a result would replace a file without --overwrite."""
    there = [str(file) for file in files if file is not None and Path(file).exists()]
    if there and not overwrite:
        raise UsageError(f"{', '.join(map(repr, there))}: exists already; --overwrite replaces it")


def left_out(inputs: Iterable[str | Path], output: str | Path | None, *, recursive: bool) -> dict[str, Any]:
    """Print which files in the folders of ``inputs`` are not read, by kind; return the same as JSON values."""
    from gantools.jobs import image_files

    folders = [Path(name) for name in inputs if os.path.isdir(name)]
    left = image_files.left_out(folders, Path(output or os.devnull), recursive=recursive)
    for line in left.lines():
        console.message(console.quoted(line))
    return left.facts()


def names_as_stored() -> None:
    """Print file names on stdout as the bytes that they are in the file system."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


class ResultPrinter:
    """Prints the result of each image: file names or JSON on stdout, failures and messages on stderr."""

    def __init__(self, json_lines: bool, total: int, end: str = "\n") -> None:
        """``end`` is what follows each name on stdout."""
        self.json_lines, self.total, self.end, self.started = json_lines, total, end, time.monotonic()
        self.counts: Counter[str] = Counter()
        self.failure_codes: set[int] = set()

    def print(self, result: Result) -> None:
        """Print the result of one input."""
        self.counts[result.status] += 1
        if result.status == "failed":
            self._failure(result)
        if result.note:
            console.message(console.quoted(f"{result.input!r}: {result.note}"))
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
        """The file name for a pipe; on a terminal a message, but none for each of many images."""
        piped = not sys.stdout.isatty()
        if piped:
            for output in (result.output, *result.more_outputs):
                console.result(str(output), self.end)
        if console.Settings.verbose or (not piped and (self.total == 1 or result.status == "planned")):
            size = f" ({'×'.join(map(str, result.output_size))})" if result.output_size else ""
            took = asdict(result.stages) if result.stages and console.Settings.verbose else {}
            times = ", ".join(f"{stage} {seconds * 1000:.1f} ms" for stage, seconds in took.items())
            names = f"{console.quoted(result.input)} → {console.quoted(str(result.output))}"
            console.message(f"{names}{size}{': ' if times else ''}{times}")

    def conclude(self, facts: Mapping[str, Any]) -> int:
        """Print the summary, in JSON with ``facts`` about the run; the exit code."""
        seconds = round(time.monotonic() - self.started, 3)
        counts = {status: count for status, count in sorted(self.counts.items()) if count}
        if self.json_lines:
            console.result_json({"summary": {**facts, "seconds": seconds, "inputs": self.total, **counts}})
        elif self.total > 1:
            console.message(f"{', '.join(f'{count} {status}' for status, count in counts.items())} in {seconds:.1f} s")
        if not self.failure_codes:
            return 0
        others = self.counts["done"] + self.counts["skipped"] + self.counts["planned"]
        return PARTLY_FAILED if others else min(self.failure_codes)


def _row(result: Result) -> dict[str, Any]:
    return {
        "input": result.input,
        "output": "-" if result.output is None else str(result.output),
        "status": result.status,
        "error": result.error,
        "input_size": result.input_size,
        "output_size": result.output_size,
        "seconds": round(result.seconds, 4),
        "stages": result.stages and {stage: round(each, 4) for stage, each in asdict(result.stages).items()},
        **({"more_outputs": list(map(str, result.more_outputs))} if result.more_outputs else {}),
        **({"note": result.note} if result.note else {}),
        **(result.facts or {}),
    }
