"""Measure a model, or one folder against another. Usage errors are found before torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gantools import recipes
from gantools.errors import DataError, UsageError
from gantools.evaluation.options import EvalOptions, MetricOptions
from gantools.evaluation.result import Evaluation, parse_limit
from gantools.exporting import newest
from gantools.inference import find_weights
from gantools.metrics import protocols
from gantools.metrics.protocols import MetricProtocol

if TYPE_CHECKING:
    import torch

    from gantools.evaluation.examples import Examples
    from gantools.metrics.loading import LoadedMetrics

Names: TypeAlias = tuple[str, ...]

OF_FOLDERS: tuple[Names, Names] = (("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "l1_percent"), ("feature_distance",))
"""Default metrics of two folders, and those that join them where a feature network is given."""

OF_REALISTIC_INPUTS: Names = ("flat_texture", "lattice", "niqe_kodak")
"""What joins a recipe's metrics of validation where inputs are realistic."""

Progress = Callable[[int, int], None]


def evaluate(
    model: str | Path, data: Path, options: EvalOptions, overrides: Sequence[str], progress: Progress
) -> Evaluation:
    """Measure a model on the images in ``data``, beside baselines that need no model: :func:`gantools.evaluate`."""
    newest.make_ready(model)
    path = find_weights.resolve(model)
    require_folder(data, "--data")
    recipe = find_weights.recipe_of(path)
    if find_weights.takes(path, options.export) == "latent":
        if options.metrics or options.inputs or overrides or options.blend is not None:
            raise UsageError(f"{recipe} starts from noise: leave out --metrics, --inputs, --blend and KEY=VALUE")
        from gantools.evaluation import generated

        return generated.evaluate(
            path,
            data,
            feature_weights=[Path(file) for file in options.feature_weights or ()],
            device=options.device,
            sheet=Path(options.sheet) if options.sheet else None,
            progress=progress,
        )
    if options.inputs and overrides:
        raise UsageError(f"--inputs {options.inputs} is a fixed chain: leave out {overrides[0]}")
    chosen = choose_metrics(recipe, options, _limited(options))
    blended = find_weights.resolve_blend(path, options.blend, options.blend_with)
    from gantools.devices import choose_device
    from gantools.evaluation import examples, realistic  # import torch
    from gantools.inference.model import Blend, open_model
    from gantools.inference.scaling import size_of

    device = choose_device(options.device)
    opened = open_model(path, export=options.export, device=device, blend=Blend(*blended) if blended else None)
    found: Examples
    if options.inputs == "realistic":
        found = realistic.of_photos(opened, data, options.scale_to)
    else:
        found = examples.of_model(path, opened, data, tuple(overrides), device, options.scale_to)
    size = size_of(opened.export, options.scale_to)
    subject = {"weights": str(path), "recipe": recipe, "network": opened.export.network, "sees": size}
    subject |= {"blend": f"{blended[1]:g} with {blended[0]}"} if blended else {}
    return _measured(found, load_metrics(chosen, options, device), subject, options, progress)


def evaluate_pairs(results: Path, truths: Path, options: EvalOptions, progress: Progress) -> Evaluation:
    """Measure the images of one folder against those of another: :func:`gantools.evaluate_pairs`."""
    chosen = choose_metrics(None, options, _limited(options))
    if of_masks := [metric.name for metric in chosen if metric.takes == "hole"]:
        raise UsageError(f"{', '.join(of_masks)}: two folders do not say what was missing; measure a model with --data")
    for folder in (results, truths):
        require_folder(folder, "--pairs")
    from gantools.devices import choose_device
    from gantools.evaluation.examples import of_results

    subject = {"results": str(results), "truths": str(truths)}
    loaded = load_metrics(chosen, options, choose_device(options.device))
    return _measured(of_results(results, truths), loaded, subject, options, progress)


def _limited(options: EvalOptions) -> list[str]:
    """The metrics that have a limit. Raises UsageError for what is no limit."""
    return [parse_limit(text)[0].name for text in options.fail_under or ()]


def _measured(
    examples: Examples, metrics: LoadedMetrics, subject: Mapping[str, str], options: EvalOptions, progress: Progress
) -> Evaluation:
    from gantools.evaluation.measurement import measure
    from gantools.images.image import Image
    from gantools.images.io import writer

    if not len(examples):
        raise DataError("--data: no images are left to be measured")
    found = measure(examples, metrics, progress)
    if options.sheet is not None:
        writer.write(Image(found.sheet()), Path(options.sheet))
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
    recipe: str | None, options: MetricOptions, extra: Sequence[str] = (), *, single_images: bool = False
) -> tuple[MetricProtocol, ...]:
    """The metrics that were asked for, else the recipe's own, and the ``extra`` ones. Without a recipe: of two folders.

    ``single_images``: only metrics of an image and its truth are the recipe's own, else those of two folders are taken.
    Raises UsageError for unknown metrics and for missing files.
    """
    for file in options.feature_weights or ():
        if not Path(file).is_file():
            raise UsageError(f"--feature-weights {file}: no such file")
    asked = protocols.find_all([*(options.metrics or ()), *extra])
    if of_samples := [metric.name for metric in asked if metric.takes == "samples"]:
        raise UsageError(f"{', '.join(of_samples)}: measured of models that start from noise")
    if options.metrics:
        return asked
    names, feature_names = OF_FOLDERS
    if recipe is not None and recipe in recipes.names():  # networks of others may be of none
        defaults = recipes.find(recipe).evaluation
        known = protocols.find_all([*defaults.metrics, *defaults.feature_metrics])
        if options.inputs == "realistic":
            names = (*recipes.find(recipe).metrics, *OF_REALISTIC_INPUTS)
        elif defaults.metrics and not (single_images and any(metric.takes in ("hole", "sets") for metric in known)):
            names, feature_names = defaults.metrics, defaults.feature_metrics
    return protocols.find_all([*names, *(feature_names if options.feature_weights else ()), *extra])


def load_metrics(metrics: Sequence[MetricProtocol], options: MetricOptions, device: torch.device) -> LoadedMetrics:
    """Load what the metrics need. Raises UsageError for missing feature networks, ModelFileError for unusable ones."""
    from gantools.metrics.loading import FeatureFiles, prepare

    return prepare(metrics, FeatureFiles([Path(file) for file in options.feature_weights or ()]), device)


def require_folder(folder: Path, option: str) -> None:
    """Raise DataError when ``folder`` is none."""
    if not folder.is_dir():
        raise DataError(f"{option} {folder}: no such folder")
