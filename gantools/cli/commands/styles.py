"""``gantools mix`` and ``gantools edit``: images of other styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import progress
from gantools.cli.output.results import ModelName, Printing
from gantools.generation.options import EditOptions, MixOptions

if TYPE_CHECKING:
    from gantools.generation.styled import Work

IMAGES = "seed:85, or a file of styles: .npz of `gantools project`, .npy, .pt."


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Mixed(MixOptions, Printing):
    """What is typed: the options of mixing, and those that the command line alone has."""

    model: ModelName
    images: Annotated[list[str] | None, typer.Argument(metavar="[A B]", help=IMAGES)] = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Edited(EditOptions, Printing):
    """What is typed: the options of editing, and those that the command line alone has."""

    model: ModelName
    images: Annotated[list[str], typer.Argument(metavar="A...", help=IMAGES)]


@console.guarded
@options_command(Mixed)
def mix(asked: Mixed) -> None:
    """Put rows of the styles of B into A, or mix all of --rows-seeds with all of --cols on a sheet.

    There are two rows for each size from 4 px on. Coarse ones style sizes up to 8 px, middle ones up to 32 px, fine
    ones the rest; in images below 128 px coarse ends at an eighth, middle at a quarter of the side.
    Exit codes: 0 all done, 1 failed, 2 invalid command.
    """
    from gantools import api

    asked.choose()
    _carry_out(api.plan_mix(asked.model, asked.images or (), asked), asked)


@console.guarded
@options_command(Edited)
def edit(asked: Edited) -> None:
    """Move images along a direction, such as one of `gantools directions learn`.

    Distances are from the direction's boundary; images whose rows have styles of their own (W+) start where they are.
    Exit codes: 0 all done, 1 failed, 2 invalid command.
    """
    from gantools import api

    asked.choose()
    _carry_out(api.plan_edit(asked.model, asked.images, asked), asked)


def _carry_out(work: Work, asked: Printing) -> None:
    """Make what is planned, say how, and end with the exit code."""
    console.message(f"weights: {console.quoted(str(work.weights))} ({work.recipe})")
    for note in work.notes:
        console.message(console.quoted(note))
    printer = asked.printer(len(work.jobs))
    with progress("images") as update:
        for result in work.run():
            printer.print(result)
            update(sum(printer.counts.values()), len(work.jobs))
    raise typer.Exit(printer.conclude({"weights": str(work.weights), "recipe": work.recipe}))
