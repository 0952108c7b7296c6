"""``gantools ui``: a page on this computer for models and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.ui.options import UiOptions


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(UiOptions):
    """What is typed: the options of the page, and the models that it offers first."""

    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL...]", help="Models that are offered before the installed ones."),
    ] = None


@console.guarded
@options_command(Asked)
def ui(asked: Asked) -> None:
    """Open a page for models and runs, on this computer only: try a model, paint masks, draw, compare, watch a run."""
    from gantools.ui.server import serve

    serve(asked.models or (), asked, console.message)
