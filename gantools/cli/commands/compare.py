"""``gantools compare``: models side by side on the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.commands.eval import Device, Export, FeatureWeights, Metrics
from gantools.cli.commands.infer_options import BlendWith, ScaleTo
from gantools.cli.output import console, results
from gantools.cli.output.results import PARTLY_FAILED, Overwrite
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.evaluation.contest import Contest, Outcome

Words = Annotated[
    list[str], typer.Argument(metavar="MODEL... INPUT...", help="Models as for infer, then pictures or folders.")
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A page (.html) or a picture of all.")]
Truth = Annotated[Path | None, typer.Option(metavar="DIR", help="What is wanted, by the pictures' names: figures.")]
Mask = Annotated[str | None, typer.Option(metavar="FILE|DIR|center", help="What is missing, for models that fill.")]
Blends = Annotated[
    list[float] | None,
    typer.Option("--blend", metavar="0..1", help="The first model blended too, as by infer (may be repeated)."),
]
Most = Annotated[int, typer.Option("--most", min=1, help="Pictures shown of folders.")]


@console.guarded
def compare(
    words: Words,
    output: Output,
    truth: Truth = None,
    mask: Mask = None,
    metrics: Metrics = None,
    feature_weights: FeatureWeights = None,
    most: Most = 12,
    export: Export = None,
    scale_to: ScaleTo = "auto",
    blend: Blends = None,
    blend_with: BlendWith = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Show what models make of the same pictures, side by side, with figures where the truth is given."""
    from gantools import api
    from gantools.evaluation.contest import Contest
    from gantools.evaluation.session import Measures
    from gantools.inference.options import parse_scale_to

    results.names_as_stored()
    results.refuse_existing([output], overwrite)
    if metrics is not None and truth is None:
        raise UsageError("--metrics compare with the truth: give --truth DIR")
    asked = tuple(name.strip() for name in metrics.split(",")) if metrics is not None else ()
    measures = Measures(asked, feature_weights=tuple(feature_weights or ()), device=device)
    scale, blends = parse_scale_to(scale_to), tuple(blend or ())
    contest = Contest(tuple(words), output, truth, mask, most, export, scale, blends, blend_with)
    raise typer.Exit(_tell(contest, api.compare(contest, measures)))


def _tell(contest: Contest, outcome: Outcome) -> int:
    """Say what was left out, failed and measured, and where it lies."""
    if outcome.left_out:
        console.message(f"the first {contest.most} pictures of {contest.most + outcome.left_out}; --most N shows more")
    sizes = ", ".join(f"{console.quoted(name)} sees {size}" for name, size in outcome.scales.items())
    console.message(f"{sizes}; --scale-to trained|native|N changes that")
    for failure in outcome.failures:
        console.failure(console.quoted(f"{failure.picture!r}: {failure.error}"))
    if not outcome.shown:
        return 1
    if outcome.evaluation is not None and outcome.evaluation.rows:
        from gantools.cli.output import tables

        tables.figures(outcome.evaluation.means(), outcome.evaluation.metrics)
    console.result(console.quoted(str(contest.output)))
    return PARTLY_FAILED if outcome.failures else 0
