"""``gantools project``: photos become styles of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.progress import ProgressBar
from gantools.cli.output.results import ModelName, Printing
from gantools.generation.projection.options import ProjectOptions


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(ProjectOptions, Printing):
    """What is typed: the options of projection, and those that the command line alone has."""

    model: ModelName
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Photos, or folders of them.")]


class Shown:
    """Shows each search: a bar on a terminal, else a line every 30 seconds."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def photo(self, name: str, done: int, steps: int) -> None:
        self.close()
        self._bar = ProgressBar(console.quoted(name), steps, done, transient=True)

    def step(self, done: int, distance: float) -> None:
        if self._bar:
            self._bar.update(done, f"distance {distance:.4f}")

    def message(self, text: str) -> None:
        (self._bar.print if self._bar else console.message)(console.quoted(text))

    def close(self) -> None:
        if self._bar:
            self._bar.close()
            self._bar = None


@console.guarded
@options_command(Asked)
def project(asked: Asked) -> None:
    """Find the styles that make photos. Exit codes: 0 all done, 1 failed, 2 invalid command, 3 some photos failed."""
    from gantools import api

    asked.choose()
    planned = api.plan_projection(asked.model, asked.photos, asked)
    for note in [f"weights: {planned.weights} ({planned.model.recipe})", *planned.notes]:
        console.message(console.quoted(note))
    left = results.left_out(asked.photos, asked.output, recursive=asked.recursive)
    printer, shown = asked.printer(len(planned.tasks)), Shown()
    try:
        for result in planned.run(shown):
            shown.close()
            printer.print(result)
    except (KeyboardInterrupt, SystemExit):
        shown.close()
        console.message(_how_to_resume(printer.counts["done"], asked))
        raise
    facts = {"weights": str(planned.weights), "recipe": planned.model.recipe}
    raise typer.Exit(printer.conclude({**facts, **left}))


def _how_to_resume(done: int, asked: Asked) -> str:
    """What does the rest of a stopped run: results that it has written exist already."""
    option = " with --skip-existing" if done and not asked.skip_existing and not asked.overwrite else ""
    return f"stopped; the same command{option} goes on from here"
