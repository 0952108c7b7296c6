"""Measure a model, or one folder against another. Usage errors are found before torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gantools import exporting, recipes
from gantools.errors import DataError, UsageError
from gantools.evaluation.result import Evaluation
from gantools.inference import find_weights
from gantools.inference.options import ScaleTo
from gantools.metrics import protocols
from gantools.metrics.protocols import MetricProtocol

if TYPE_CHECKING:
    import torch

    from gantools.evaluation.examples import Examples
    from gantools.metrics.loading import LoadedMetrics

Names: TypeAlias = tuple[str, ...]

OF_FOLDERS: tuple[Names, Names] = (("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "l1_percent"), ("feature_distance",))
"""Default metrics of two folders, and those that join them where a feature network is given."""

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None: ...


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    metrics: Sequence[str] = (),
    extra_metrics: Sequence[str] = (),
    feature_weights: Sequence[Path] = (),
    overrides: Sequence[str] = (),
    export: str | None = None,
    scale_to: ScaleTo = "auto",
    blend: float | None = None,
    blend_with: str | Path | None = None,
    device: str = "auto",
    sheet: Path | None = None,
    progress: Progress = _silent,
) -> Evaluation:
    """Measure a model on the images in ``data``, beside baselines that need no model.

    ``metrics`` are names from ``docs/metrics.md`` (none: the recipe's own); ``extra_metrics`` are measured as well.
    ``feature_weights`` are files of feature networks. ``overrides`` (``KEY=VALUE``) change how inputs are made.
    ``export``, ``scale_to``, ``blend`` and ``blend_with`` are those of :func:`gantools.infer`. ``sheet``: where to draw
    the first images side by side. Raises UsageError (ConfigError, DataError, ModelFileError) before any work.

    >>> from gantools import evaluate
    >>> found = evaluate("srgan", "photos", metrics=["psnr_y", "ssim_y"])
    >>> {name: list(means) for name, means in found.means().items()}
    {'bicubic': ['psnr_y', 'ssim_y'], 'model': ['psnr_y', 'ssim_y']}
    """
    exporting.make_ready(model)
    path = find_weights.resolve(model)
    require_folder(Path(data), "--data")
    recipe = find_weights.recipe_of(path)
    if find_weights.takes(path, export) == "latent":
        if metrics or feature_weights or overrides or sheet or blend is not None:
            raise UsageError(f"{recipe} starts from noise: only --data, --device, --fail-under and -o apply to it")
        from gantools.evaluation import generated

        return generated.evaluate(path, Path(data), device=device, progress=progress)
    chosen = choose_metrics(recipe, metrics, extra_metrics, feature_weights)
    blended = find_weights.resolve_blend(path, blend, blend_with)
    from gantools.devices import choose_device
    from gantools.evaluation.examples import of_model  # imports torch
    from gantools.inference.model import Blend, open_model
    from gantools.inference.scaling import size_of

    where = choose_device(device)
    opened = open_model(path, export=export, device=where, blend=Blend(*blended) if blended else None)
    examples = of_model(path, opened, Path(data), tuple(overrides), where, scale_to)
    size = size_of(opened.export, scale_to)
    subject = {"weights": str(path), "recipe": recipe, "network": opened.export.network, "sees": size}
    subject |= {"blend": f"{blended[1]:g} with {blended[0]}"} if blended else {}
    return _measured(examples, load_metrics(chosen, feature_weights, where), subject, sheet, progress)


def evaluate_pairs(
    results: str | Path,
    truths: str | Path,
    *,
    metrics: Sequence[str] = (),
    extra_metrics: Sequence[str] = (),
    feature_weights: Sequence[Path] = (),
    device: str = "auto",
    sheet: Path | None = None,
    progress: Progress = _silent,
) -> Evaluation:
    """Measure the images of one folder against those of the same names in another. Raises UsageError.

    >>> from gantools import evaluate_pairs
    >>> evaluate_pairs("photos", "photos", metrics=["l1_percent"]).means()
    {'result': {'l1_percent': 0.0}}
    """
    chosen = choose_metrics(None, metrics, extra_metrics, feature_weights)
    if of_masks := [metric.name for metric in chosen if metric.takes == "hole"]:
        raise UsageError(f"{', '.join(of_masks)}: two folders do not say what was missing; measure a model with --data")
    for folder in (results, truths):
        require_folder(Path(folder), "--pairs")
    from gantools.devices import choose_device
    from gantools.evaluation.examples import of_results

    subject = {"results": str(results), "truths": str(truths)}
    loaded = load_metrics(chosen, feature_weights, choose_device(device))
    return _measured(of_results(Path(results), Path(truths)), loaded, subject, sheet, progress)


def _measured(
    examples: Examples, metrics: LoadedMetrics, subject: Mapping[str, str], sheet: Path | None, progress: Progress
) -> Evaluation:
    from gantools.evaluation.measurement import measure
    from gantools.images.image import Image
    from gantools.images.io import writer

    if not len(examples):
        raise DataError("--data: no images are left to be measured")
    found = measure(examples, metrics, progress)
    if sheet is not None:
        writer.write(Image(found.sheet()), sheet)
    return Evaluation(
        subject,
        examples.describe(),
        examples.inputs,
        examples.reference,
        metrics.protocols,
        tuple(metrics.lines()),
        tuple(found.rows),
        tuple(found.failures),
        found.distances(),
    )


def choose_metrics(
    recipe: str | None,
    metrics: Sequence[str],
    extra: Sequence[str],
    feature_weights: Sequence[Path],
    *,
    single_images: bool = False,
) -> tuple[MetricProtocol, ...]:
    """The metrics that were asked for, else the recipe's own (``None``: those of two folders), and the ``extra`` ones.

    ``single_images``: only metrics of an image and its truth are the recipe's own, else those of two folders are taken.
    Raises UsageError for unknown metrics and for missing files.
    """
    for path in feature_weights:
        if not path.is_file():
            raise UsageError(f"--feature-weights {path}: no such file")
    asked = protocols.find_all([*metrics, *extra])
    if of_samples := [metric.name for metric in asked if metric.takes == "samples"]:
        raise UsageError(f"{', '.join(of_samples)}: measured of models that start from noise")
    if metrics:
        return asked
    names, feature_names = OF_FOLDERS
    if recipe is not None:
        defaults = recipes.find(recipe).evaluation
        known = protocols.find_all([*defaults.metrics, *defaults.feature_metrics])
        if defaults.metrics and not (single_images and any(metric.takes in ("hole", "sets") for metric in known)):
            names, feature_names = defaults.metrics, defaults.feature_metrics
    return protocols.find_all([*names, *(feature_names if feature_weights else ()), *extra])


def load_metrics(
    metrics: Sequence[MetricProtocol], feature_weights: Sequence[Path], device: torch.device
) -> LoadedMetrics:
    """Load what the metrics need. Raises UsageError for missing feature networks, ModelFileError for unusable ones."""
    from gantools.metrics.loading import FeatureFiles, prepare

    return prepare(metrics, FeatureFiles(feature_weights), device)


def require_folder(folder: Path, option: str) -> None:
    """Raise DataError when ``folder`` is none."""
    if not folder.is_dir():
        raise DataError(f"{option} {folder}: no such folder")
