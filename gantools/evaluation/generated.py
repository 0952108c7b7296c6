"""Measure a model that makes images from latent vectors: its samples as a set beside real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gantools.errors import DataError, UsageError
from gantools.evaluation.result import Evaluation, Row
from gantools.metrics.example import MODEL
from gantools.metrics.protocols import METRICS

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Latent
    from gantools.data.datasets.labelled import LabelledDataset
    from gantools.generation.latents import Sample
    from gantools.generation.model import LatentModel
    from gantools.images.image import Pixels

Progress = Callable[[int, int], None]
HELD_OUT = "held-out images"
MOST_SAMPLES = 10_000
NEAREST_PX = 16
"""Images are compared at this size to find the training image that is nearest to a sample."""


@dataclass(frozen=True)
class _Sets:
    """Samples, held-out images and training images, with the classes of each where there are any."""

    made: list[Pixels]
    wanted: npt.NDArray[np.int64]
    held_out: list[Pixels]
    held_out_classes: npt.NDArray[np.int64]
    training: list[Pixels]
    training_classes: npt.NDArray[np.int64]


def evaluate(
    path: Path,
    data: Path,
    *,
    count: int | None = None,
    batch: int = 64,
    device: str = "auto",
    progress: Progress = lambda _done, _of: None,
) -> Evaluation:
    """Make samples and compare them with held-out images of ``data``, as many of both by default.

    Labelled data train a small classifier first, which judges classes and whose features are compared. Raises
    UsageError, DataError and ModelFileError.
    """
    from gantools.checkpoint import weights
    from gantools.devices import choose_device
    from gantools.generation.model import open_model

    model = open_model(path, device=choose_device(device))
    settings = (weights.describe(path).about.get("config") or {}).get("data")
    if not isinstance(settings, dict):
        raise UsageError(f"'{path}': does not say what it was trained on")
    training, held_out = (_dataset(settings, data, split) for split in ("training", "validation"))
    if len(held_out) < 2:
        raise DataError(f"--data: {len(held_out)} held-out images; at least 2 are compared")
    number = min(count or len(held_out), MOST_SAMPLES)
    samples = _samples(model.latent, held_out, number)
    made: list[Pixels] = []
    for at in range(0, number, batch):
        progress(at, number)
        made += model.images(samples[at : at + batch])
    sets = _Sets(made, _wanted(samples, model), *_images(held_out), *_images(training))
    subject = {"weights": str(path), "recipe": model.recipe}
    return _measured(sets, model, subject, held_out.describe())


def _dataset(settings: Mapping[str, Any], data: Path, split: Any) -> LabelledDataset:
    from gantools.data.datasets.labelled import LabelledDataset
    from gantools.data.options.labelled import LabelledData

    options = LabelledData.model_validate({**settings, "dir": str(data), "labels": "auto"}, strict=False)
    if not settings.get("classes"):
        options = options.model_copy(update={"classes": None})
    return LabelledDataset(options, split, seed=0)


def _images(dataset: LabelledDataset) -> tuple[list[Pixels], npt.NDArray[np.int64]]:
    from gantools.data.loading.sampler import SampleKey

    samples = [dataset[SampleKey(0, index)] for index in range(len(dataset))]
    labelled = bool(dataset.classes)
    classes = [int(sample.condition.argmax()) if labelled else -1 for sample in samples]
    return [sample.image for sample in samples], np.asarray(classes)


def _samples(latent: Latent, held_out: LabelledDataset, count: int) -> list[Sample]:
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


def _wanted(samples: Sequence[Sample], model: LatentModel) -> npt.NDArray[np.int64]:
    """What each sample should show: its class, or the value of its first categorical code; -1 for neither."""
    latent = model.latent
    if latent.classes:
        return np.asarray([int(each.condition.argmax()) for each in samples if each.condition is not None])
    if latent.categorical:
        first = latent.noise_size
        return np.asarray([int(each.latent[first : first + latent.categorical[0]].argmax()) for each in samples])
    return np.full(len(samples), -1)


def _measured(sets: _Sets, model: LatentModel, subject: Mapping[str, str], data: str) -> Evaluation:
    """Metrics of the samples, and those of held-out images as the best one could expect."""
    made: dict[str, float] = {}
    real: dict[str, float] = {}
    notes = []
    if (sets.training_classes >= 0).all():
        notes.append(_judge(sets, model.latent, made, real))
    small, small_held_out, known = _small(sets.made), _small(sets.held_out), _small(sets.training)
    made["diversity"] = _spread(small) / max(_spread(small_held_out), 1e-9)
    real["diversity"] = 1.0
    made["nearest_training"] = float(np.median(_nearest(small, known)))
    real["nearest_training"] = float(np.median(_nearest(small_held_out, known)))
    protocols = tuple(METRICS[name] for name in made)
    return Evaluation(
        subject,
        data,
        "; ".join([f"{len(sets.made)} samples of seeds 0, 1, …", *notes]),
        f"{len(sets.held_out)} held-out images",
        protocols,
        tuple(metric.line() for metric in protocols),
        (Row("all", MODEL, {}), Row("all", HELD_OUT, {})),
        distances={MODEL: made, HELD_OUT: real},
        samples=len(sets.made),
    )


def _judge(sets: _Sets, latent: Latent, made: dict[str, float], real: dict[str, float]) -> str:
    """Add what a classifier trained on the training images says; returns how good it is itself."""
    from gantools.metrics import classifier
    from gantools.metrics.frechet import frechet

    judge = classifier.train(
        sets.training, sets.training_classes.tolist(), sets.held_out, sets.held_out_classes.tolist()
    )
    features, half = judge.features(sets.held_out), len(sets.held_out) // 2
    made["frechet_classifier"] = frechet(judge.features(sets.made), features)
    real["frechet_classifier"] = frechet(features[:half], features[half:])
    shown = judge.classes(sets.made)
    made["classes_seen"] = float(len(set(shown.tolist())))
    real["classes_seen"] = float(len(set(sets.held_out_classes.tolist())))
    if latent.classes:
        made["label_accuracy"] = float((shown == sets.wanted).mean())
        real["label_accuracy"] = judge.accuracy
    elif latent.categorical:
        made["code_accuracy"] = classifier.match(shown, sets.wanted)
    return f"the classifier is right on {judge.accuracy:.1%} of the held-out images"


def _small(images: Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """Images as vectors at a common small size. Shapes: (N, 16 · 16 · C)."""
    import cv2

    size = (NEAREST_PX, NEAREST_PX)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(-1) for image in images]).astype(
        np.float32
    )


def _spread(vectors: npt.NDArray[np.float32]) -> float:
    """The mean distance of one image from the next."""
    return float(np.sqrt(np.square(vectors - np.roll(vectors, 1, axis=0)).mean(axis=1)).mean())


def _nearest(vectors: npt.NDArray[np.float32], known: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Each vector's RMS distance to the nearest of the known ones."""
    squares = np.square(known).sum(axis=1)
    found = [
        np.square(part).sum(axis=1, keepdims=True) - 2 * part @ known.T + squares
        for part in np.array_split(vectors, max(1, len(vectors) // 256))
    ]
    distances = np.concatenate([np.maximum(part.min(axis=1), 0) for part in found])
    return np.asarray(np.sqrt(distances / vectors.shape[1]), np.float64)
