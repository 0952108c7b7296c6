"""Measure a model that makes images from latent vectors: its samples as a set beside real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from gantools.errors import DataError, UsageError
from gantools.evaluation.result import Evaluation, Row
from gantools.generation.examples import Real, dataset_of, real_images
from gantools.images.ops.color import as_rgb
from gantools.metrics import sets
from gantools.metrics.example import MODEL
from gantools.metrics.protocols import METRICS, MetricProtocol

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Latent
    from gantools.data.datasets.labelled import LabelledDataset
    from gantools.generation.latents import Sample
    from gantools.generation.model import LatentModel
    from gantools.images.image import Pixels
    from gantools.metrics.classifier import Trained

Progress = Callable[[int, int], None]
HELD_OUT = "held-out images"
MOST_SAMPLES = 10_000
LEAST_ENLARGED_PX = 32
"""Feature networks see images of at least this side: smaller ones are enlarged."""
MOST_VALUES = 50
"""Columns of captions.csv with more values than this are no attributes."""


@dataclass
class _Scores:
    """Values by candidate and metric, and remarks that are needed to repeat them."""

    values: dict[str, dict[str, float]] = field(default_factory=lambda: {MODEL: {}, HELD_OUT: {}})
    metrics: dict[str, MetricProtocol] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, metric: str, values: Mapping[str, float], name: str | None = None) -> None:
        """Values of a metric by candidate; ``name`` is what it is called, where that is not its own name."""
        shown = name or metric
        self.metrics[shown] = replace(METRICS[metric], name=shown)
        for candidate, value in values.items():
            self.values.setdefault(candidate, {})[shown] = value


def evaluate(
    path: Path,
    data: Path,
    *,
    count: int | None = None,
    feature_weights: Sequence[Path] = (),
    batch: int = 64,
    device: str = "auto",
    sheet: Path | None = None,
    progress: Progress = lambda _done, _of: None,
) -> Evaluation:
    """Make samples and compare them with held-out images of ``data``, as many of both by default.

    Labels and attributes of the data train small classifiers first, which say what samples show; with
    ``feature_weights`` sets are compared by that network's features too. ``sheet``: where to draw samples beside real
    images. Raises UsageError, DataError and ModelFileError.
    """
    from gantools.devices import choose_device
    from gantools.generation.model import open_model

    model = open_model(path, device=choose_device(device))
    datasets = [dataset_of(path, data, split) for split in ("training", "validation")]
    training, held_out = (real_images(dataset) for dataset in datasets)
    if len(held_out.images) < 2:
        raise DataError(f"--data: {len(held_out.images)} held-out images; at least 2 are compared")
    number = min(count or len(held_out.images), MOST_SAMPLES)
    samples = samples_of(model.latent, datasets[1], number)
    levels = _made(model, samples, batch, progress)
    found = _Scores()
    _measure(found, model.latent, samples, levels, training, held_out)
    if feature_weights:
        _through_network(found, levels[-1], held_out.images, feature_weights, model.device)
    if sheet is not None:
        _draw(sheet, levels[-1], held_out.images)
    return Evaluation(
        {"weights": str(path), "recipe": model.recipe},
        datasets[1].describe(),
        "; ".join([f"{number} samples of seeds 0, 1, …", *found.notes]),
        f"{len(held_out.images)} held-out images",
        tuple(found.metrics.values()),
        tuple(metric.line() for metric in found.metrics.values()),
        tuple(Row("all", candidate, {}) for candidate in found.values),
        distances=found.values,
        samples=number,
    )


def evaluate_several(files: Mapping[str, Path], data: Path, device: str) -> Evaluation:
    """Each model by its name, as :func:`evaluate` measures it, and held-out images."""
    found = {name: evaluate(path, data, device=device) for name, path in files.items()}
    first = next(iter(found.values()))
    values = {name: each.distances[MODEL] for name, each in found.items()} | {HELD_OUT: first.distances[HELD_OUT]}
    metrics = {metric.name: metric for each in found.values() for metric in each.metrics}
    return replace(
        first,
        subject={"models": ", ".join(found)},
        metrics=tuple(metrics.values()),
        protocol=tuple(metric.line() for metric in metrics.values()),
        rows=tuple(Row("all", candidate, {}) for candidate in values),
        distances=values,
    )


def samples_of(latent: Latent, held_out: LabelledDataset, count: int) -> list[Sample]:
    """Samples of seeds 0, 1, … with the conditions of the held-out images, in turn."""
    from gantools.data.loading.sampler import SampleKey
    from gantools.generation.latents import Sample, vector_of

    conditioned = bool(latent.classes or latent.text_size)
    return [
        Sample(
            f"seed{seed:05d}",
            vector_of(latent, seed),
            held_out[SampleKey(0, seed % len(held_out))].condition if conditioned else None,
        )
        for seed in range(count)
    ]


def _made(model: LatentModel, samples: list[Sample], batch: int, progress: Progress) -> list[list[Pixels]]:
    """The samples' images at every level of the network, the smallest first."""
    levels: list[list[Pixels]] = [[] for _ in range(model.latent.levels)]
    for at in range(0, len(samples), batch):
        progress(at, len(samples))
        for level, images in zip(levels, model.levels(samples[at : at + batch]), strict=True):
            level += images
    return levels


def _measure(
    found: _Scores,
    latent: Latent,
    samples: Sequence[Sample],
    levels: Sequence[list[Pixels]],
    training: Real,
    held_out: Real,
) -> None:
    """Everything that needs no file of weights."""
    made, real = levels[-1], held_out.images
    if (training.classes >= 0).all():
        trained = _classifier(training, held_out, training.classes.tolist(), held_out.classes.tolist())
        found.notes.append(f"the classifier is right on {trained.accuracy:.1%} of the held-out images")
        _by_class(found, trained, latent, samples, levels, held_out)
    if latent.text_size:
        _by_attribute(found, made, training, held_out)
    if latent.continuous:
        _codes(found, made, latent, samples)
    for level in levels if len(levels) > 1 else levels[-1:]:
        height, width = level[0].shape[:2]
        if not height % 2 and not width % 2:
            name = MODEL if level is made else f"{width}x{height} px"
            energy = sets.detail(_at_size(real, height, width))
            found.add("detail", {name: sets.detail(level) / max(energy, 1e-9)})
    vectors, wanted, known = sets.small(made), sets.small(real), sets.small(training.images)
    found.add("diversity", {MODEL: sets.spread(vectors) / max(sets.spread(wanted), 1e-9), HELD_OUT: 1.0})
    near = {MODEL: sets.nearest(vectors, known), HELD_OUT: sets.nearest(wanted, known)}
    found.add("nearest_training", {name: float(np.median(values)) for name, values in near.items()})


def _classifier(training: Real, held_out: Real, labels: list[int], test_labels: list[int]) -> Trained:
    from gantools.metrics import classifier

    return classifier.train(training.images, labels, held_out.images, test_labels)


def _by_class(
    found: _Scores,
    trained: Trained,
    latent: Latent,
    samples: Sequence[Sample],
    levels: Sequence[list[Pixels]],
    held_out: Real,
) -> None:
    """What a classifier of the data's classes says, and the distances of sets by its features, at every size."""
    from gantools.metrics import classifier
    from gantools.metrics.frechet import frechet

    made, real = levels[-1], held_out.images
    features, vectors = trained.features(real), trained.features(made)
    height, width = real[0].shape[:2]
    found.add(
        "frechet_classifier", {MODEL: frechet(vectors, features), HELD_OUT: frechet(features[::2], features[1::2])}
    )
    for level in levels[:-1]:
        rows, columns = level[0].shape[:2]
        coarse = trained.features(_at_size(_at_size(real, rows, columns), height, width))
        distance = frechet(trained.features(_at_size(level, height, width)), coarse)
        found.add("frechet_classifier", {f"{columns}x{rows} px": distance})
    if len(real) // 2 > sets.NEIGHBOURS:
        for name, pair in {MODEL: (vectors, features), HELD_OUT: (features[::2], features[1::2])}.items():
            precision, recall = sets.precision_recall(*pair)
            found.add("precision", {name: precision})
            found.add("recall", {name: recall})
    shown = trained.classes(made)
    found.add("classes_seen", {MODEL: len(set(shown.tolist())), HELD_OUT: len(set(held_out.classes.tolist()))})
    if latent.classes:
        wanted = [int(each.condition.argmax()) for each in samples if each.condition is not None]
        found.add("label_accuracy", {MODEL: float((shown == wanted).mean()), HELD_OUT: trained.accuracy})
    elif latent.categorical:
        first = latent.noise_size
        codes = [int(each.latent[first : first + latent.categorical[0]].argmax()) for each in samples]
        found.add("code_accuracy", {MODEL: classifier.match(shown, np.asarray(codes))})


def _by_attribute(found: _Scores, made: Sequence[Pixels], training: Real, held_out: Real) -> None:
    """For each further column of captions.csv, how often a sample shows what its caption's row says."""
    for column, given in training.attributes.items():
        wanted = held_out.attributes.get(column, ())
        values = sorted({*given, *wanted})
        if not wanted or not 1 < len(values) <= MOST_VALUES:
            continue
        numbers = [values.index(value) for value in wanted]
        trained = _classifier(training, held_out, [values.index(value) for value in given], numbers)
        asked = [numbers[at % len(numbers)] for at in range(len(made))]
        accuracy = float((trained.classes(made) == np.asarray(asked)).mean())
        found.add("attribute_accuracy", {MODEL: accuracy, HELD_OUT: trained.accuracy}, f"{column}_accuracy")


def _codes(found: _Scores, made: Sequence[Pixels], latent: Latent, samples: Sequence[Sample]) -> None:
    """What each continuous code moves most: slant, width, height or brightness, for one value of the first code."""
    shapes = sets.moments(made)
    if latent.categorical:
        values = np.stack([each.latent[latent.noise_size :][: latent.categorical[0]] for each in samples])
        count = np.maximum(values.sum(axis=0), 1)
        shapes = {name: shape - values @ (shape @ values / count) for name, shape in shapes.items()}
    for number in range(latent.continuous):
        code = [float(each.latent[latent.noise_size + sum(latent.categorical) + number]) for each in samples]
        related = {name: sets.correlation(np.asarray(code), values) for name, values in shapes.items()}
        strongest = max(related, key=related.__getitem__)
        name = f"c{len(latent.categorical) + number + 1}"
        found.add("code_correlation", {MODEL: related[strongest]}, f"{name}_correlation")
        found.notes.append(f"{name} moves {strongest} most")


def _through_network(
    found: _Scores, made: Sequence[Pixels], real: Sequence[Pixels], feature_weights: Sequence[Path], device: Any
) -> None:
    """Distances of the sets by features of networks whose files were given."""
    from gantools.metrics.features import recognise
    from gantools.metrics.frechet import frechet
    from gantools.metrics.loading import FeatureFiles, prepare

    given = {recognise(path) for path in feature_weights}
    usable = [metric for metric in METRICS.values() if metric.takes == "sets" and given & set(metric.networks)]
    if not usable:
        raise UsageError(f"--feature-weights: samples are not compared by {', '.join(sorted(given))}")
    loaded = prepare(usable, FeatureFiles(feature_weights), device)
    for name, embedder in loaded.embedders.items():
        vectors, features = (
            np.stack([embedder.embed(_enlarged(image)) for image in images]) for images in (made, real)
        )
        found.add(name, {MODEL: frechet(vectors, features), HELD_OUT: frechet(features[::2], features[1::2])})
        if name == "frechet_distance":
            pairs = {MODEL: (vectors, features), HELD_OUT: (features[::2], features[1::2])}
            found.add("kernel_distance", {name: sets.kernel_distance(*pair) for name, pair in pairs.items()})
        found.notes.append(f"{name} by {loaded.networks[name]}")


def _enlarged(image: Pixels) -> Pixels:
    """RGB with both sides of at least 32 px, each pixel repeated."""
    times = -(-LEAST_ENLARGED_PX // min(image.shape[:2]))
    return as_rgb(image).repeat(times, axis=0).repeat(times, axis=1)


def _at_size(images: Sequence[Pixels], height: int, width: int) -> list[Pixels]:
    """Images resized: means of pixels when they shrink, linearly when they grow."""
    if images[0].shape[:2] == (height, width):
        return list(images)
    method = cv2.INTER_AREA if images[0].shape[0] > height else cv2.INTER_LINEAR
    return [
        cv2.resize(image, (width, height), interpolation=method).reshape(height, width, image.shape[2])
        for image in images
    ]


def _draw(sheet: Path, made: Sequence[Pixels], real: Sequence[Pixels]) -> None:
    from gantools.images.image import Image
    from gantools.images.io import writer
    from gantools.images.ops.grid import grid

    shown = [
        [as_rgb(image) for image in images[at : at + 8]]
        for images in (made[:32], real[:32])
        for at in range(0, min(32, len(images)), 8)
    ]
    writer.write(Image(grid(shown)), sheet)
