"""Several models on the same images, side by side on a page or in one image. Usage errors come before torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gantools import files
from gantools.errors import DataError, UsageError
from gantools.evaluation.evaluate import choose_metrics, load_metrics, require_folder
from gantools.evaluation.options import CompareOptions
from gantools.evaluation.result import Evaluation, Failure
from gantools.exporting import newest
from gantools.images.formats import FORMATS
from gantools.inference import find_weights
from gantools.jobs import image_files
from gantools.pretrained import catalogue
from gantools.pretrained.catalogue import SUFFIX

if TYPE_CHECKING:
    import torch

    from gantools.evaluation.comparison import Comparison, SampleComparison
    from gantools.evaluation.realistic import Chain
    from gantools.inference.model import Model
    from gantools.metrics.protocols import MetricProtocol

PAGES = (".html", ".htm")


@dataclass(frozen=True)
class ComparisonResult:
    """What a comparison gave: how many images it shows, failures, and metrics where there was a ground truth.

    ``left_out`` is how many more images there were, ``scales`` by model the size at which it saw images.
    """

    shown: int
    left_out: int
    failures: tuple[Failure, ...]
    evaluation: Evaluation | None
    scales: Mapping[str, str]


@dataclass(frozen=True)
class ModelsAndInputs:
    """Weights files by the name they are shown under, and images. ``left_out``: how many more images there were."""

    models: dict[str, Path]
    inputs: tuple[Path, ...]
    left_out: int = 0


def compare(words: Sequence[str], output: Path, options: CompareOptions) -> ComparisonResult:
    """Run models over images and write ``output``, a page or an image: :func:`gantools.compare`."""
    if output.suffix.lower() not in PAGES and output.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(f"-o {output}: a comparison is a page (.html) or an image (.png)")
    truth = Path(options.truth) if options.truth is not None else None
    if options.metrics is not None and truth is None and options.inputs is None:
        raise UsageError("--metrics compare with the truth: give --truth DIR, or make inputs by --inputs realistic")
    if options.inputs is not None and (options.truth or options.mask):
        raise UsageError(f"--inputs {options.inputs} makes inputs of the truths: leave out --truth and --mask")
    found = models_and_inputs(words, options.most)
    if not found.inputs:
        return _compare_samples(found.models, output, truth, options)
    blended = _blends(found, options)
    measured: tuple[MetricProtocol, ...] = ()
    if truth is not None:
        require_folder(truth, "--truth")
    if truth is not None or options.inputs is not None:
        recipe = find_weights.recipe_of(next(iter(found.models.values())))
        measured = choose_metrics(recipe, options, single_images=True)
        if unfit := [metric.name for metric in measured if metric.takes in ("hole", "sets")]:
            raise UsageError(f"{', '.join(unfit)}: compare shows single images; measure with gantools eval --data DIR")
    from gantools.devices import choose_device
    from gantools.evaluation.comparison import Comparison  # imports torch
    from gantools.evaluation.measurement import Measurement
    from gantools.inference.scaling import size_of

    device = choose_device(options.device)
    measurement = Measurement(load_metrics(measured, options, device)) if measured else None
    models = _load(found, blended, options.export, device)
    chain = _chain(models) if options.inputs == "realistic" else None
    comparison = Comparison(models, found.inputs, truth, options.mask, options.scale_to, measurement, chain)
    shown = _write(comparison, output)
    scales = {name: size_of(model.export, options.scale_to) for name, model in models.items()}
    return ComparisonResult(shown, found.left_out, tuple(comparison.failures), comparison.evaluation(), scales)


def models_and_inputs(words: Sequence[str], most: int) -> ModelsAndInputs:
    """Sort words into models and images: an image file or a folder that is no run is an input, everything else a model.

    Raises UsageError when either kind is missing or a word is neither, DataError for inputs without an image.
    """
    inputs = [word for word in words if _is_input(Path(word))]
    models = {}
    for word in (word for word in words if word not in inputs):
        newest.make_ready(word)
        models[word] = find_weights.resolve(word)
    kinds = {find_weights.takes(path, None) for path in models.values()}
    if "latent" in kinds and (inputs or len(kinds) > 1):
        raise UsageError("models that start from noise are compared with each other only, and without images")
    if not models or not (inputs or "latent" in kinds):
        missing = "image and no folder of them" if models else "model: installed weights, a run's folder or a file"
        raise UsageError(f"compare takes models, then images; there is no {missing}")
    installed = {weights.name for weights in catalogue.installed()}
    short = {word if word in installed else Path(word).name.removesuffix(SUFFIX): path for word, path in models.items()}
    found = [path for word in inputs for path in _images(Path(word))]
    named = short if len(short) == len(models) else models  # short names where they tell the models apart
    return ModelsAndInputs(named, tuple(found[:most]), max(0, len(found) - most))


def _is_input(path: Path) -> bool:
    if path.is_dir():
        return not (path / "weights").is_dir()
    return image_files.known(path) and path.suffix != SUFFIX


def _images(path: Path) -> list[Path]:
    """A file, or a folder's images. Raises DataError when there is none."""
    if not path.exists():
        raise DataError(f"'{path}': no such image")
    found = list(image_files.walk(path, path / os.devnull, recursive=True)) if path.is_dir() else [path]
    if not found:
        raise DataError(f"'{path}' holds no images")
    return found


def _blends(found: ModelsAndInputs, options: CompareOptions) -> dict[str, tuple[Path, float]]:
    """What the first model is blended with, and how much of its own is kept, by the name that is shown."""
    name, path = next(iter(found.models.items()))
    kept: Sequence[float | None] = options.blends or ((None,) if options.blend_with else ())
    labels = {f"{name} --blend {part:g}" if part is not None else name: part for part in kept}
    settled = {label: find_weights.resolve_blend(path, part, options.blend_with) for label, part in labels.items()}
    return {label: blend for label, blend in settled.items() if blend is not None}


def _load(
    found: ModelsAndInputs, blended: Mapping[str, tuple[Path, float]], export: str | None, device: torch.device
) -> dict[str, Model]:
    """The models by name; the first one's blends follow it."""
    from gantools.inference.model import Blend, open_model

    (name, first), *others = found.models.items()
    loaded = {name: open_model(first, export=export, device=device)}
    for label, blend in blended.items():
        loaded[label] = open_model(first, export=export, device=device, blend=Blend(*blend))
    return loaded | {other: open_model(path, export=export, device=device) for other, path in others}


def _chain(models: Mapping[str, Model]) -> Chain:
    """The chain that makes the inputs of all the models. Raises UsageError where they need different ones."""
    from gantools.evaluation.realistic import chain_of

    (first, chain), *others = ((name, chain_of(model)) for name, model in models.items())
    for name, other in others:
        if other != chain:
            raise UsageError(f"--inputs realistic: {first} and {name} take different inputs; compare them one by one")
    return chain


def _compare_samples(
    models: Mapping[str, Path], output: Path, data: Path | None, options: CompareOptions
) -> ComparisonResult:
    """Models that start from noise, on the same seeds; ``data`` is a data set to measure them with."""
    of_images = (options.mask, options.metrics, options.inputs, options.feature_weights)
    if any((*of_images, options.blends, options.blend_with)):
        raise UsageError("models that start from noise: only --truth DIR (a data set), --most and --device apply")
    if data is not None:
        require_folder(data, "--truth")
    from gantools.devices import choose_device
    from gantools.evaluation import generated
    from gantools.evaluation.comparison import SampleComparison
    from gantools.generation.model import open_model

    device = choose_device(options.device)
    loaded = {name: open_model(path, options.export, device) for name, path in models.items()}
    if reading := [name for name, model in loaded.items() if model.latent.text_size]:
        raise UsageError(f"{', '.join(reading)}: draws what a text says; use gantools generate --text, or eval --data")
    measured = generated.evaluate_several(models, data, options.device) if data is not None else None
    return ComparisonResult(_write(SampleComparison(loaded, options.most, measured), output), 0, (), measured, {})


def _write(comparison: Comparison | SampleComparison, output: Path) -> int:
    """Write the page or image; how many images it shows. Nothing is written where none could be shown."""
    if output.suffix.lower() in PAGES:
        from gantools.evaluation.gallery import Gallery

        gallery = Gallery()
        for compared in comparison.run():
            gallery.add(compared)
        if gallery.count:
            text = gallery.page(" | ".join(comparison.models), comparison.evaluation(), comparison.failures)
            files.write_bytes(output, text.encode(errors="xmlcharrefreplace"))
        return gallery.count
    from gantools.images.image import Image
    from gantools.images.io import writer
    from gantools.images.ops.grid import grid

    tiles = [each.tiles for each in comparison.run()]
    if tiles:
        writer.write(Image(grid([list(each.values()) for each in tiles], list(tiles[0]))), output)
    return len(tiles)
