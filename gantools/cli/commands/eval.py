"""``gantools eval``: how good a model is, or how alike two folders are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self, TypedDict

import typer

from gantools.cli.commands.infer_options import Blend, BlendWith, ScaleTo
from gantools.cli.output import console, results
from gantools.cli.output.results import PARTLY_FAILED, Json, Overwrite
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.cli.output.progress import Meter
    from gantools.evaluation.limits import Limit
    from gantools.evaluation.result import Evaluation
    from gantools.evaluation.session import Measures
    from gantools.inference import options as scales

MISSED = 4


class _Network(TypedDict):
    """Which of a model's networks is measured, and how it is applied."""

    export: str | None
    scale_to: scales.ScaleTo
    blend: float | None
    blend_with: str | None


Model = Annotated[
    str | None, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="How inputs are made, such as data.blur.motion_px=[8,16]."),
]
Data = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Pictures as the recipe trains on; or ready pairs, low/ and high/.")
]
Pairs = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--pairs", metavar="OUT_DIR TRUTH_DIR", help="No model: two folders, matched by name."),
]
Metrics = Annotated[str | None, typer.Option(metavar="A,B", help="Default: the recipe's own. See docs/metrics.md.")]
FailUnder = Annotated[
    list[str] | None, typer.Option("--fail-under", metavar="METRIC=NUMBER", help="Exit 4 when the mean is worse.")
]
FeatureWeights = Annotated[
    list[Path] | None,
    typer.Option("--feature-weights", metavar="FILE", help="A feature network for metrics (may be repeated)."),
]
Report = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="All figures as JSON.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="The figures of each picture.")]
SheetFile = Annotated[
    Path | None, typer.Option("--sheet", metavar="FILE", help="Draw the first pictures side by side.")
]
Export = Annotated[str | None, typer.Option(metavar="NAME", help="Which of several networks in the weights.")]
Device = Annotated[str, typer.Option(envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]


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
    scale_to: ScaleTo = "auto",
    blend: Blend = None,
    blend_with: BlendWith = None,
    device: Device = "auto",
) -> None:
    """Measure a model beside what needs none. Exit codes: 0, 3 some pictures failed, 4 --fail-under was missed."""
    from gantools.evaluation import limits
    from gantools.evaluation.session import Measures
    from gantools.inference.options import parse_scale_to

    results.refuse_existing([output, csv, sheet], overwrite)
    bounds = limits.parse(fail_under or ())
    asked = tuple(name.strip() for name in metrics.split(",")) if metrics is not None else ()
    also = tuple(bound.metric.name for bound in bounds)
    wanted = Measures(asked, also, tuple(feature_weights or ()), device, sheet)
    network: _Network = {
        "export": export,
        "scale_to": parse_scale_to(scale_to),
        "blend": blend,
        "blend_with": blend_with,
    }
    found = _found(model, data, pairs, overrides or [], network, wanted)
    _write(found, output, csv)
    _tell(found, json_lines)
    raise typer.Exit(_conclude(found, bounds))


def _found(
    model: str | None,
    data: Path | None,
    pairs: tuple[Path, Path] | None,
    overrides: list[str],
    network: _Network,
    wanted: Measures,
) -> Evaluation:
    from gantools import api

    results.names_as_stored()
    if pairs is not None:
        if model or data or any(value not in (None, "auto") for value in network.values()):
            raise UsageError(
                "--pairs compares two folders without a model: leave out the model, --data, --export, --scale-to "
                "and --blend"
            )
        with _Progress() as advance:
            return api.evaluate_pairs(*pairs, wanted, advance=advance)
    if model is None or data is None:
        raise UsageError("give a model and --data DIR, or --pairs OUT_DIR TRUTH_DIR")
    with _Progress() as advance:
        return api.evaluate(model, data, wanted, overrides=overrides, **network, advance=advance)


def _write(found: Evaluation, output: Path | None, csv: Path | None) -> None:
    from gantools import files

    if output is not None:
        content = {"schema": console.SCHEMA, **found.told(), "rows": [row.told() for row in found.rows]}
        files.write_bytes(output, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    if csv is not None:
        files.write_bytes(csv, found.table().encode(errors="surrogateescape"))


def _tell(found: Evaluation, json_lines: bool) -> None:
    if json_lines:
        for row in found.rows:
            console.result_json(row.told())
        console.result_json({"summary": found.told()})
        return
    from gantools.cli.output import tables

    about = ", ".join(f"{name} {value}" for name, value in found.subject.items())
    console.message(f"{console.quoted(about)}; {console.quoted(found.data)}")
    if "sees" in found.subject:
        console.message("--scale-to trained|native|N changes the size at which the network sees images")
    if not found.rows:
        return
    console.result(f"mean of {found.pictures} pictures, compared with {found.reference}")
    tables.figures(found.means(), found.metrics)
    console.result(f"inputs: {found.inputs}")
    for line in found.protocol:
        console.result(line)


def _conclude(found: Evaluation, bounds: tuple[Limit, ...]) -> int:
    """Name what failed and what was missed."""
    from gantools.evaluation import limits

    for failure in found.failures:
        console.failure(console.quoted(f"{failure.picture!r}: {failure.error}"))
    if not found.rows:
        return 1
    missed = limits.missed(bounds, found.means()[found.judged])
    for line in missed:
        console.failure(line)
    return PARTLY_FAILED if found.failures else MISSED if missed else 0


class _Progress:
    """Pictures measured so far, on stderr, from the first to the last or to a failure."""

    def __init__(self) -> None:
        self._meter: Meter | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        from gantools.cli.output.progress import Meter

        self._meter = self._meter or Meter("pictures", total)
        self._meter.update(done)

    def __exit__(self, *ended: object) -> None:
        if self._meter is not None:
            self._meter.close()
