"""``gantools data inspect|preview``: look at a data set before it costs a night."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from gantools.cli.commands import data_common as common
from gantools.cli.commands.data_common import Workers
from gantools.cli.commands.data_examples import As, KindOption
from gantools.cli.output import console
from gantools.cli.output.progress import progress
from gantools.cli.output.results import Json, Overwrite
from gantools.errors import UsageError

REFUSED = 2


class Split(Enum):
    """What is shown."""

    training = "training"
    validation = "validation"


@console.guarded
def inspect(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A data set, searched with its sub-folders.")],
    kind: As = KindOption.auto,
    workers: Workers = None,
    json_lines: Json = False,
) -> None:
    """Decode every image and say what is there and what is wrong. Exit code 2: no recipe could train on it."""
    from gantools.data.prepare import inspect

    wanted = None if kind is KindOption.auto else cast("Any", kind.value)
    with progress("inspect") as update:
        report = inspect.inspect(source, wanted, workers=common.workers_of(workers), progress=update)
    if json_lines:
        console.result_json(inspect.facts(report))
    else:
        for line in inspect.lines(report):
            console.result(console.quoted(line))
    for problem in report.problems:
        console.failure(console.quoted(problem))
    raise typer.Exit(REFUSED if report.problems else 0)


@console.guarded
def preview(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE[/PRESET]", help="Whose data is shown.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Image to write.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", metavar="DIR", help="Folder (may be repeated).")] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="Examples to show.")] = 8,
    split: Annotated[Split, typer.Option(help="What is shown.")] = Split.training,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of order, crops and whatever else is random.")] = None,
    overwrite: Overwrite = False,
    json_lines: Json = False,
) -> None:
    """Show what a recipe would be fed: a row per example, a column per image of it, as it comes from the loader."""
    from gantools import api
    from gantools.images import formats

    formats.format_of(output)
    if output.exists() and not overwrite:
        raise UsageError(f"exists already: {str(output)!r}; --overwrite replaces it")
    own = [] if seed is None else [f"seed={seed}"]
    settings = api.configure(recipe, config, data or (), [*(overrides or ()), *own])
    shown = api.preview_data(settings, output, split=cast("Any", split.value), count=count)
    if json_lines:
        console.result_json({"output": str(output), "data": shown})
    else:
        console.result(str(output))
        console.message(f"{split.value}: {shown}")
