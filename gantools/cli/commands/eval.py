"""``gantools eval``: how good a model is, or how similar two folders are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import PARTLY_FAILED, Json, Overwrite
from gantools.errors import UsageError
from gantools.evaluation.options import EvalOptions

if TYPE_CHECKING:
    from gantools.evaluation.result import Evaluation

LIMIT_MISSED = 4


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(EvalOptions):
    """What is typed: the options of an evaluation, and those that the command line alone has."""

    model: Annotated[
        str | None, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
    ] = None
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="How inputs are made, such as data.blur.motion_px=[8,16]."),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Local images as the recipe trains on, or ready pairs in folders low/ and high/."
        ),
    ] = None
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--pairs", metavar="OUT_DIR TRUTH_DIR", help="Without a model: two local folders, matched by name."
        ),
    ] = None
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write all values as JSON.")] = (
        None
    )
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the values of each image as CSV.")
    ] = None
    overwrite: Overwrite = False
    json_lines: Json = False


@console.guarded
@options_command(Asked)
def evaluate(asked: Asked) -> None:
    """Score a model beside a simple baseline. Exit codes: 0, 3 some images failed, 4 --fail-under was missed."""
    results.refuse_existing([asked.output, asked.csv, asked.sheet], asked.overwrite)
    results.names_as_stored()
    with progress("images") as update:
        found = _measured(asked, update)
    _write(found, asked)
    _print(found, asked.json_lines)
    raise typer.Exit(_exit_code(found, asked))


def _measured(asked: Asked, update: Callable[[int, int], None]) -> Evaluation:
    from gantools import api

    if asked.pairs is not None:
        of_model = (asked.model, asked.data, asked.inputs, asked.export, asked.blend_with)
        if any(of_model) or asked.blend is not None or asked.scale_to != "auto":
            raise UsageError(
                "--pairs compares two folders without a model: leave out the model, --data, --inputs, --export, "
                "--scale-to and --blend"
            )
        return api.evaluate_pairs(*asked.pairs, asked, progress=update)
    if asked.model is None or asked.data is None:
        raise UsageError("give a model and --data DIR, or --pairs OUT_DIR TRUTH_DIR")
    return api.evaluate(asked.model, asked.data, asked, overrides=asked.overrides or (), progress=update)


def _write(found: Evaluation, asked: Asked) -> None:
    from gantools import files

    if asked.output is not None:
        content = {"schema": console.SCHEMA, **found.as_dict(), "rows": [row.as_dict() for row in found.rows]}
        files.write_bytes(asked.output, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    if asked.csv is not None:
        files.write_bytes(asked.csv, found.as_csv().encode(errors="surrogateescape"))


def _print(found: Evaluation, json_lines: bool) -> None:
    if json_lines:
        for row in found.rows:
            console.result_json(row.as_dict())
        console.result_json({"summary": found.as_dict()})
        return
    from gantools.cli.output import tables

    about = ", ".join(f"{name} {value}" for name, value in found.subject.items())
    console.message(f"{console.quoted(about)}; {console.quoted(found.data)}")
    if "sees" in found.subject:
        console.message("--scale-to trained|native|N changes the size at which the network sees images")
    if not found.rows:
        return
    mean = "mean of " if found.samples is None else ""
    console.result(f"{mean}{found.images} images, compared with {found.reference}")
    tables.print_metrics(found.means(), found.metrics)
    console.result(f"inputs: {found.inputs}")
    for line in found.protocol:
        console.result(line)


def _exit_code(found: Evaluation, asked: Asked) -> int:
    """Print failures and missed limits; the exit code."""
    for failure in found.failures:
        console.failure(console.quoted(f"{failure.image!r}: {failure.error}"))
    if not found.rows:
        return 1
    missed = found.missed(asked.fail_under or ())
    for line in missed:
        console.failure(line)
    return PARTLY_FAILED if found.failures else LIMIT_MISSED if missed else 0
