"""An evaluation from what was asked for to its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gantools import exporting
from gantools.errors import DataError, UsageError
from gantools.evaluation import defaults
from gantools.evaluation.result import Evaluation
from gantools.inference import find_weights
from gantools.inference.options import ScaleTo
from gantools.metrics import protocols
from gantools.metrics.protocols import MetricProtocol

if TYPE_CHECKING:
    from gantools.evaluation.example import Examples

Advance = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Measures:
    """What is measured and with what: metrics by name (none: the recipe's own), files of feature networks.

    ``also`` are measured in either case. ``sheet`` is where the first pictures are drawn beside each other.
    """

    metrics: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    feature_weights: tuple[Path, ...] = ()
    device: str = "auto"
    sheet: Path | None = None


def evaluate_model(
    model: str | Path,
    data: Path,
    measures: Measures,
    *,
    overrides: Sequence[str] = (),
    export: str | None = None,
    scale_to: ScaleTo = "auto",
    blend: float | None = None,
    blend_with: str | Path | None = None,
    advance: Advance = _silent,
) -> Evaluation:
    """Measure a model on the pictures in ``data``, beside what needs no model.

    ``scale_to`` is the size at which it sees whole pictures, ``blend`` and ``blend_with`` what its weights are blended
    with, all as for ``infer``.
    Raises UsageError (its kinds for weights, data and settings) before any work.
    """
    exporting.make_ready(model)
    path = find_weights.resolve(model)
    require_folder(data, "--data")
    recipe = find_weights.recipe_of(path)
    metrics = chosen(recipe, measures)
    blended = find_weights.resolve_blend(path, blend, blend_with)
    from gantools.devices import choose_device
    from gantools.evaluation import examples  # torch, from here on
    from gantools.inference.model import Blend, open_model
    from gantools.inference.scaling import size_of

    device = choose_device(measures.device)
    opened = open_model(path, export=export, device=device, blend=Blend(*blended) if blended else None)
    found = examples.of_model(path, opened, data, tuple(overrides), device, scale_to)
    size = size_of(opened.export, scale_to)
    subject = {"weights": str(path), "recipe": recipe, "network": opened.export.network, "sees": size}
    subject |= {"blend": f"{blended[1]:g} with {blended[0]}"} if blended else {}
    return _measured(found, metrics, measures, subject, advance)


def evaluate_pairs(results: Path, truths: Path, measures: Measures, *, advance: Advance = _silent) -> Evaluation:
    """Measure the pictures of one folder against those of the same names in another. Raises UsageError."""
    metrics = chosen(None, measures)
    _refuse_holes(metrics)
    require_folder(results, "--pairs")
    require_folder(truths, "--pairs")
    from gantools.evaluation import given

    subject = {"results": str(results), "truths": str(truths)}
    return _measured(given.of_folders(results, truths), metrics, measures, subject, advance)


def _measured(
    examples: Examples,
    metrics: tuple[MetricProtocol, ...],
    measures: Measures,
    subject: dict[str, str],
    advance: Advance,
) -> Evaluation:
    from gantools.devices import choose_device
    from gantools.evaluation.measuring import measure
    from gantools.images.image import Image
    from gantools.images.io import writer
    from gantools.metrics.instruments import FeatureFiles, prepare

    if not len(examples):
        raise DataError("--data: no pictures are left to be measured")
    files, device = FeatureFiles(measures.feature_weights), choose_device(measures.device)
    instruments = prepare(metrics, files, device)
    found = measure(examples, instruments, advance)
    if measures.sheet is not None:
        writer.write(Image(found.sheet.drawn()), measures.sheet)
    return Evaluation(
        subject,
        examples.describe,
        examples.inputs,
        examples.reference,
        metrics,
        tuple(instruments.lines()),
        tuple(found.rows),
        tuple(found.failures),
        found.distances(),
    )


def chosen(recipe: str | None, measures: Measures) -> tuple[MetricProtocol, ...]:
    """The metrics that are meant. Raises UsageError for unknown ones and for files that are not there."""
    for path in measures.feature_weights:
        if not path.is_file():
            raise UsageError(f"--feature-weights {path}: no such file")
    asked = measures.metrics or defaults.names(recipe, features=bool(measures.feature_weights))
    return protocols.find_all([*asked, *measures.also])


def require_folder(folder: Path, option: str) -> None:
    """Raise DataError when ``folder`` is none."""
    if not folder.is_dir():
        raise DataError(f"{option} {folder}: no such folder")


def _refuse_holes(metrics: Sequence[MetricProtocol]) -> None:
    of_holes = [metric.name for metric in metrics if metric.takes == "hole"]
    if of_holes:
        raise UsageError(f"{', '.join(of_holes)}: two folders do not say what was missing; measure a model with --data")
