"""``gantools eval``: how good a model is, or how similar two folders are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.options import option_of
from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import PARTLY_FAILED, Json, Overwrite
from gantools.errors import UsageError
from gantools.inference.options import InferOptions, parse_scale_to

if TYPE_CHECKING:
    from gantools.evaluation.result import Evaluation, Limit

LIMIT_MISSED = 4

Model = Annotated[
    str | None, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="How inputs are made, such as data.blur.motion_px=[8,16]."),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Images as the recipe trains on, or ready pairs in folders low/ and high/."),
]
Pairs = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--pairs", metavar="OUT_DIR TRUTH_DIR", help="Without a model: two folders, matched by name."),
]
Metrics = Annotated[
    str | None, typer.Option(metavar="A,B", help="Metrics; default: the recipe's own. See docs/metrics.md.")
]
FailUnder = Annotated[
    list[str] | None, typer.Option("--fail-under", metavar="METRIC=NUMBER", help="Exit 4 when the mean is worse.")
]
FeatureWeights = Annotated[
    list[Path] | None,
    typer.Option("--feature-weights", metavar="FILE", help="A feature network for metrics (may be repeated)."),
]
Report = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write all values as JSON.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the values of each image as CSV.")]
SheetFile = Annotated[Path | None, typer.Option("--sheet", metavar="FILE", help="Draw the first images side by side.")]
Export = Annotated[str | None, option_of(InferOptions, "export")]
Scale = Annotated[str, option_of(InferOptions, "scale_to")]
Blend = Annotated[float | None, option_of(InferOptions, "blend")]
BlendWith = Annotated[str | None, option_of(InferOptions, "blend_with")]
Device = Annotated[str, option_of(InferOptions, "device")]


@console.guarded
def evaluate(
    model: Model = None,
    overrides: Overrides = None,
    data: Data = None,
    pairs: Pairs = None,
    metrics: Metrics = None,
    fail_under: FailUnder = None,
    feature_weights: FeatureWeights = None,
    output: Report = None,
    csv: Csv = None,
    sheet: SheetFile = None,
    overwrite: Overwrite = False,
    json_lines: Json = False,
    export: Export = None,
    scale_to: Scale = "auto",
    blend: Blend = None,
    blend_with: BlendWith = None,
    device: Device = "auto",
) -> None:
    """Score a model beside a simple baseline. Exit codes: 0, 3 some images failed, 4 --fail-under was missed."""
    from gantools import api
    from gantools.evaluation.result import Limit

    results.refuse_existing([output, csv, sheet], overwrite)
    limits = [Limit.parse(text) for text in fail_under or ()]
    wanted, scale = names_of(metrics), parse_scale_to(scale_to)
    also, networks = [limit.metric.name for limit in limits], feature_weights or ()
    results.names_as_stored()
    if pairs is not None and (model or data or export or blend_with or blend is not None or scale != "auto"):
        raise UsageError(
            "--pairs compares two folders without a model: leave out the model, --data, --export, --scale-to "
            "and --blend"
        )
    if pairs is None and (model is None or data is None):
        raise UsageError("give a model and --data DIR, or --pairs OUT_DIR TRUTH_DIR")
    with progress("images") as update:
        if pairs is not None:
            found = api.evaluate_pairs(
                *pairs,
                metrics=wanted,
                extra_metrics=also,
                feature_weights=networks,
                device=device,
                sheet=sheet,
                progress=update,
            )
        elif model is not None and data is not None:
            found = api.evaluate(
                model,
                data,
                metrics=wanted,
                extra_metrics=also,
                feature_weights=networks,
                overrides=overrides or (),
                export=export,
                scale_to=scale,
                blend=blend,
                blend_with=blend_with,
                device=device,
                sheet=sheet,
                progress=update,
            )
    _write(found, output, csv)
    _print(found, json_lines)
    raise typer.Exit(_exit_code(found, limits))


def names_of(metrics: str | None) -> tuple[str, ...]:
    """``"psnr_y, l1"`` → ``("psnr_y", "l1")``; none where the option is not given."""
    return tuple(name.strip() for name in metrics.split(",")) if metrics is not None else ()


def _write(found: Evaluation, output: Path | None, csv: Path | None) -> None:
    from gantools import files

    if output is not None:
        content = {"schema": console.SCHEMA, **found.as_dict(), "rows": [row.as_dict() for row in found.rows]}
        files.write_bytes(output, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    if csv is not None:
        files.write_bytes(csv, found.as_csv().encode(errors="surrogateescape"))


def _print(found: Evaluation, json_lines: bool) -> None:
    if json_lines:
        for row in found.rows:
            console.result_json(row.as_dict())
        console.result_json({"summary": found.as_dict()})
        return
    from gantools.cli.output import tables

    about = ", ".join(f"{name} {value}" for name, value in found.subject.items())
    console.message(f"{console.quoted(about)}; {console.quoted(found.data)}")
    if "sees" in found.subject:
        console.message("--scale-to trained|native|N changes the size at which the network sees images")
    if not found.rows:
        return
    mean = "mean of " if found.samples is None else ""
    console.result(f"{mean}{found.images} images, compared with {found.reference}")
    tables.print_metrics(found.means(), found.metrics)
    console.result(f"inputs: {found.inputs}")
    for line in found.protocol:
        console.result(line)


def _exit_code(found: Evaluation, limits: Sequence[Limit]) -> int:
    """Print failures and missed limits; the exit code."""
    for failure in found.failures:
        console.failure(console.quoted(f"{failure.image!r}: {failure.error}"))
    if not found.rows:
        return 1
    missed = found.missed(limits)
    for line in missed:
        console.failure(line)
    return PARTLY_FAILED if found.failures else LIMIT_MISSED if missed else 0
