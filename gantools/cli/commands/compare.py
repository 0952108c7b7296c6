"""``gantools compare``: models side by side on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console, results
from gantools.cli.output.results import PARTLY_FAILED, Overwrite
from gantools.evaluation.options import CompareOptions

if TYPE_CHECKING:
    from gantools.evaluation.compare import ComparisonResult


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(CompareOptions):
    """What is typed: the options of a comparison, and those that the command line alone has."""

    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... INPUT...", help="Models, then local images or folders; models from noise take none."
        ),
    ]
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="A page (.html), or one image of all results.")
    ]
    overwrite: Overwrite = False


@console.guarded
@options_command(Asked)
def compare(asked: Asked) -> None:
    """Show several models' results for the same images side by side, with metrics where the truth is given."""
    from gantools import api

    results.names_as_stored()
    results.refuse_existing([asked.output], asked.overwrite)
    raise typer.Exit(_report(api.compare(asked.words, asked.output, asked), asked))


def _report(found: ComparisonResult, asked: Asked) -> int:
    """Print what was left out, failed and measured, and where the result is; the exit code."""
    if found.left_out:
        console.message(f"the first {asked.most} images of {asked.most + found.left_out}; --most N shows more")
    if found.scales:
        sizes = ", ".join(f"{console.quoted(name)} sees {size}" for name, size in found.scales.items())
        console.message(f"{sizes}; --scale-to trained|native|N changes that")
    for failure in found.failures:
        console.failure(console.quoted(f"{failure.image!r}: {failure.error}"))
    if not found.shown:
        return 1
    if found.evaluation is not None and found.evaluation.rows:
        from gantools.cli.output import tables

        tables.print_metrics(found.evaluation.means(), found.evaluation.metrics)
        console.message(f"inputs: {found.evaluation.inputs}")
    console.result(console.quoted(asked.output))
    return PARTLY_FAILED if found.failures else 0
