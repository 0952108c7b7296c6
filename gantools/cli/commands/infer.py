"""``gantools infer``: images, folders and pipes through a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.commands.infer_names import check_streams, inputs_of
from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import ModelName, Printing
from gantools.inference.options import InferOptions

if TYPE_CHECKING:
    from gantools.inference.pipeline.results import Results


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(InferOptions, Printing):
    """What is typed: the options of inference, and those that the command line alone has."""

    model: ModelName
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...", help="Images, folders, s3://, gs:// or https:// URLs, or - for standard input."
        ),
    ] = None
    files_from: Annotated[
        str | None, typer.Option("--files-from", metavar="FILE|-", help="Read names of inputs too, one per line.")
    ] = None
    null: Annotated[
        bool, typer.Option("-0", "--null", help="--files-from: names end with NUL, as find -print0 has them.")
    ] = False


@console.guarded
@options_command(Asked)
def infer(asked: Asked) -> None:
    """Put images through a model. Exit codes: 0 all done, 1 failed, 2 invalid command, 3 some inputs failed."""
    from gantools import api

    asked.choose()
    inputs = inputs_of(asked.inputs or (), asked.files_from, asked.null)
    check_streams(asked.inputs or (), asked.output, json_lines=asked.json_lines, print0=asked.print0)
    options = replace(asked, listed=asked.files_from is not None)
    if not inputs and options.listed:
        console.message("nothing to do: --files-from names no images")
    with api.infer(asked.model, inputs, options) as found:
        code = _print_all(found, asked, inputs)
    if asked.dry_run and console.Settings.verbose and (estimate := api.estimate(asked.model, inputs, options)):
        console.message(estimate)
    raise typer.Exit(code)


def _print_all(found: Results, asked: Asked, inputs: Sequence[str]) -> int:
    """Print each result as it comes, then a summary; the exit code."""
    for note in found.notes:
        console.message(console.quoted(note))
    left = results.left_out(inputs, asked.output, recursive=asked.recursive)
    printer = asked.printer(len(found.jobs))
    total = sum(not job.skip for job in found.jobs)  # results that are there already shall not look like speed
    try:
        with progress("images") as update:
            for result in found:
                printer.print(result)
                if result.status != "skipped" and not asked.dry_run:
                    update(printer.counts["done"] + printer.counts["failed"], total)
    except (KeyboardInterrupt, SystemExit):
        _print_how_to_resume(found, asked, printer.counts)
        raise
    return printer.conclude({**found.facts, **left})


def _print_how_to_resume(found: Results, asked: Asked, counts: Mapping[str, int]) -> None:
    """What a stopped run of several images has left behind: files that were being written are finished too."""
    outputs = [job.output for job in found.jobs if job.output is not None]
    if len(outputs) < 2:
        return
    found.close()
    local = [output for output in outputs if isinstance(output, Path)]
    if asked.overwrite or len(local) < len(outputs):  # nobody waits for a store now
        count = counts["done"] + counts["skipped"]
    else:
        count = sum(map(os.path.lexists, local))
    option = "" if asked.skip_existing else " with --skip-existing"
    option += " instead of --overwrite" if asked.overwrite else ""
    console.message(f"stopped: {count} of {len(outputs)} are done; the same command{option} does the rest")
