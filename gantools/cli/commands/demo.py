"""``gantools demo``: everything once, offline, in less than four minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.progress import TrainingReporter
from gantools.errors import UsageError


@console.guarded
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="New folder for pictures and runs.")
    ] = Path("demo"),
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Length of the training. Default: 1000, or what fits four minutes."),
    ] = None,
) -> None:
    """Train a small recipe on drawn shoes, run it and the shipped weights on samples, and show the pictures."""
    from gantools.demonstration import tour

    if output.exists() and any(output.iterdir()):
        raise UsageError(f"-o {output}: exists and is not empty; name a new folder, or remove it")
    shown = tour.run(output, steps, TrainingReporter(rows_as_json=False), console.message)
    console.result(str(shown.page))
    for line in shown.closing_lines():
        console.message(line)
