"""``gantools compare``: models side by side on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.commands.eval import BlendWith, Device, Export, FeatureWeights, Metrics, Scale, names_of
from gantools.cli.output import console, results
from gantools.cli.output.results import PARTLY_FAILED, Overwrite
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.evaluation.compare import ComparisonResult

Words = Annotated[
    list[str], typer.Argument(metavar="MODEL... INPUT...", help="Models as for infer, then images or folders.")
]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="A page (.html), or one image of all results.")
]
Truth = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Ground-truth folder (matching names); enables metrics.")
]
Mask = Annotated[str | None, typer.Option(metavar="FILE|DIR|center", help="Masks, for models that fill missing parts.")]
Blends = Annotated[
    list[float] | None,
    typer.Option("--blend", metavar="0..1", help="Show the first model blended too, as by infer (may be repeated)."),
]
Most = Annotated[int, typer.Option("--most", min=1, help="Images shown of folders.")]


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
    scale_to: Scale = "auto",
    blend: Blends = None,
    blend_with: BlendWith = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Show several models' results for the same images side by side, with metrics where the truth is given."""
    from gantools import api
    from gantools.inference.options import parse_scale_to

    results.names_as_stored()
    results.refuse_existing([output], overwrite)
    if metrics is not None and truth is None:
        raise UsageError("--metrics compare with the truth: give --truth DIR")
    found = api.compare(
        words,
        output,
        truth=truth,
        mask=mask,
        metrics=names_of(metrics),
        feature_weights=feature_weights or (),
        most=most,
        export=export,
        scale_to=parse_scale_to(scale_to),
        blends=blend or (),
        blend_with=blend_with,
        device=device,
    )
    raise typer.Exit(_report(found, output, most))


def _report(found: ComparisonResult, output: Path, most: int) -> int:
    """Print what was left out, failed and measured, and where the result is; the exit code."""
    if found.left_out:
        console.message(f"the first {most} images of {most + found.left_out}; --most N shows more")
    sizes = ", ".join(f"{console.quoted(name)} sees {size}" for name, size in found.scales.items())
    console.message(f"{sizes}; --scale-to trained|native|N changes that")
    for failure in found.failures:
        console.failure(console.quoted(f"{failure.image!r}: {failure.error}"))
    if not found.shown:
        return 1
    if found.evaluation is not None and found.evaluation.rows:
        from gantools.cli.output import tables

        tables.print_metrics(found.evaluation.means(), found.evaluation.metrics)
    console.result(console.quoted(str(output)))
    return PARTLY_FAILED if found.failures else 0
