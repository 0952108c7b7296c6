"""``gantools demo``: a small training and all shipped weights, offline, in less than four minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.progress import TrainingReporter
from gantools.errors import UsageError

Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder for images and runs.")]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Training steps. Default: 1000, or what fits into four minutes.")
]


@console.guarded
def demo(output: Output = Path("demo"), steps: Steps = None) -> None:
    """Train a small recipe on drawn shoes, run it and the shipped weights on samples, and show the images on a page."""
    from gantools.demo import run

    if output.exists() and any(output.iterdir()):
        raise UsageError(f"-o {output}: exists and is not empty; name a new folder, or remove it")
    console.result(str(run(output, steps, TrainingReporter(rows_as_json=False), console.message)))
