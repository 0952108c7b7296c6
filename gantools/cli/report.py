"""``gantools report``: a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli import console


@console.guarded
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder; it may still be training.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to [RUN/report.html].")
    ] = None,
) -> None:
    """Write a run's curves, samples, settings and environment as one HTML page that needs no network."""
    from gantools import api

    console.result(str(api.report(run, output)))
