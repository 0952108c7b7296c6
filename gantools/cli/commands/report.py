"""``gantools report``: a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.errors import UsageError


@console.guarded
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder; it may still be training.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to [RUN/report.html].")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write TensorBoard events into this new folder instead.")
    ] = None,
) -> None:
    """Write a run's curves, samples, settings and environment as one HTML page that needs no network."""
    from gantools import api

    if tensorboard is not None:
        if output is not None:
            raise UsageError("-o and --tensorboard both say where to write; give one")
        from gantools.report.tensorboard import export

        console.message(f"{export(run, tensorboard)} values; look at them with: tensorboard --logdir {tensorboard}")
        console.result(str(tensorboard))
        return
    console.result(str(api.report(run, output)))
