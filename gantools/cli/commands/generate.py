"""``gantools generate``: images from noise, classes, codes and texts."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import progress
from gantools.cli.output.results import ModelName, Printing
from gantools.generation.options import GenerateOptions


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(GenerateOptions, Printing):
    """What is typed: the options of generation, and those that the command line alone has."""

    model: ModelName


@console.guarded
@options_command(Asked)
def generate(asked: Asked) -> None:
    """Make images with a model that starts from noise. Exit codes: 0 all done, 1 failed, 2 invalid command."""
    from gantools import api

    asked.choose()
    planned = api.plan_generation(asked.model, asked)
    console.message(f"weights: {console.quoted(str(planned.weights))} ({planned.recipe})")
    printer = asked.printer(len(planned.outputs))
    total = len(planned.outputs) - len(planned.kept)
    with progress("images") as update:
        for result in planned.run():
            printer.print(result)
            if result.status != "skipped":
                update(printer.counts["done"] + printer.counts["failed"], total)
    raise typer.Exit(printer.conclude({"weights": str(planned.weights), "recipe": planned.recipe}))
