"""What says how much of something images show: built-in measures, a classifier of labelled images, a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.errors import DataError, UsageError
from gantools.generation.boundary import Scores
from gantools.generation.examples import dataset_of, real_images
from gantools.images.image import Pixels
from gantools.images.ops.color import as_rgb
from gantools.registry import did_you_mean

Score: TypeAlias = Callable[[Sequence[Pixels]], Scores]
Colours: TypeAlias = npt.NDArray[np.float32]
YES, NO = ("true", "yes", "1", "y"), ("false", "no", "0", "n")
SEEN_PX = 64
"""Classifiers see images shrunk to this side at most."""
MOST_IMAGES = 20_000
MOST_VALUES = 50
OBJECT = 0.1
"""A pixel that differs so much from the border's median, in a channel of 0 to 1, belongs to what is shown."""


def _size(images: Colours) -> Colours:
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    border = np.median(np.concatenate(edges, axis=1), axis=1)
    return np.asarray((np.abs(images - border[:, None, None]).max(axis=3) > OBJECT).mean(axis=(1, 2)))


def _beside_others(images: Colours, channel: int) -> Colours:
    """How far a channel is above the mean of the other two."""
    return np.asarray((1.5 * images[..., channel] - images.sum(axis=3) / 2).mean(axis=(1, 2)))


MEASURES: Mapping[str, Callable[[Colours], Colours]] = {
    "brightness": lambda images: images.mean(axis=(1, 2, 3)),
    "contrast": lambda images: images.mean(axis=3).std(axis=(1, 2)),
    "saturation": lambda images: (images.max(axis=3) - images.min(axis=3)).mean(axis=(1, 2)),
    "red": lambda images: _beside_others(images, 0),
    "green": lambda images: _beside_others(images, 1),
    "blue": lambda images: _beside_others(images, 2),
    "size": _size,
}
"""Shapes: float [N, H, W, 3] in [0, 1] → [N]. ``size``: the share of pixels unlike the image's border."""


def by_measure(name: str) -> Score:
    """A built-in measure. Shapes: N images uint8 [H, W, C] → [N]."""

    def score(images: Sequence[Pixels]) -> Scores:
        colours = np.stack([as_rgb(image) for image in images]).astype(np.float32) / np.float32(255)
        return MEASURES[name](colours).astype(np.float64)

    return score


@dataclass(frozen=True)
class Judge:
    """A classifier of labelled images: the log odds of what is asked for, and how often it is right on held-out ones.

    ``value`` is what is asked for.
    """

    score: Score
    value: str
    accuracy: float


def by_attribute(
    weights: Path, data: Path, name: str, value: str | None, progress: Callable[[int, int], None]
) -> Judge:
    """Train a classifier on the images of ``data``: of a column of captions.csv, or of the class ``name``.

    Raises DataError and UsageError where there is no such attribute, or a choice of its values is missing.
    """
    from gantools.checkpoint import weights as files
    from gantools.metrics import classifier

    size = _seen(next(iter(files.describe(weights).exports.values())).image_px or (SEEN_PX, SEEN_PX))
    changes: Any = {"image_px": size, "captions": "none", "vocabulary": None, "classes": None}
    datasets = [dataset_of(weights, data, split, **changes) for split in ("training", "validation")]
    training, held_out = (real_images(dataset, MOST_IMAGES) for dataset in datasets)
    classes = datasets[0].classes
    columns = [
        real.attributes.get(name) or ([classes[number] for number in real.classes] if name in classes else None)
        for real in (training, held_out)
    ]
    known = sorted({*training.attributes, *classes})
    if columns[0] is None or columns[1] is None:
        raise DataError(f"--attribute {name}: the images of '{data}' have no such attribute{did_you_mean(name, known)}")
    chosen = _chosen(columns[0], name if name in classes and name not in training.attributes else value)
    values = sorted({*columns[0], *columns[1]})
    labels, test_labels = ([values.index(each) for each in column] for column in columns if column is not None)
    trained = classifier.train(training.images, labels, held_out.images, test_labels, progress=progress)

    def score(images: Sequence[Pixels]) -> Scores:
        odds = trained.logits([_shrunk(image, size) for image in images])
        others = np.delete(odds, values.index(chosen), axis=1)
        return np.asarray(odds[:, values.index(chosen)] - np.logaddexp.reduce(others, axis=1))

    return Judge(score, chosen, trained.accuracy)


def _seen(image_px: tuple[int, int]) -> tuple[int, int]:
    """The height and width at which a classifier sees images of this height and width."""
    times = min(1.0, SEEN_PX / max(image_px))
    return max(1, round(image_px[0] * times)), max(1, round(image_px[1] * times))


def _shrunk(image: Pixels, size: tuple[int, int]) -> Pixels:
    if image.shape[:2] == size:
        return image
    small = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return small.reshape(*size, image.shape[2])


def _chosen(values: Sequence[str], value: str | None) -> str:
    """Which of the values is asked for: the one given, else that of two that means yes. Raises UsageError."""
    known = sorted(set(values))
    if len(known) < 2:
        raise DataError(f"all images have the same value, {known[0]}: there is nothing to tell apart")
    if len(known) > MOST_VALUES:
        raise DataError(f"{len(known)} different values; at most {MOST_VALUES} are told apart")
    if value is not None:
        if value not in known:
            raise UsageError(f"--value {value}: no image has it{did_you_mean(value, known)}")
        return value
    yes = [each for each in known if each.lower() in YES]
    if len(known) == 2 and len(yes) == 1:
        return yes[0]
    raise UsageError(f"--value: say which of these is looked for: {', '.join(known)}")


def read_csv(path: Path, column: str | None, value: str | None) -> dict[str, float]:
    """Scores by what was scored: a file's name, or ``seed:N`` of a column ``seed``. Raises UsageError.

    The column is ``score``, or the only other one, unless it is given.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--scores {path}: cannot be read as a CSV file ({error})") from error
    names = [name for name in (rows[0] if rows else ()) if name]
    key = next((name for name in ("seed", "file") if name in names), None)
    if key is None:
        raise UsageError(f"--scores {path}: needs rows with a column seed or file, and one of scores")
    others = [name for name in names if name != key]
    column = column or ("score" if "score" in others else others[0] if len(others) == 1 else None)
    if column not in others:
        given = "--column: say which" if column is None else f"--column {column}: is none"
        raise UsageError(f"{given} of the columns of '{path}': {', '.join(others) or 'there are no others'}")
    texts = [(row[column] or "").strip() for row in rows]
    if "" in texts:
        raise UsageError(f"--scores {path}: row {texts.index('') + 2} has nothing in the column {column}")
    numbers = _numbers(texts, value, f"--scores {path}: column {column}")
    named = [(row[key] or "").strip() for row in rows]
    return {f"seed:{name}" if key == "seed" else name: number for name, number in zip(named, numbers, strict=True)}


def _numbers(texts: Sequence[str], value: str | None, where: str) -> list[float]:
    """Numbers as they are; words as 1 for ``value``, or for yes, else 0. Raises UsageError."""
    if value is not None:
        chosen = _chosen(texts, value)
        return [float(text == chosen) for text in texts]
    if all(text.lower() in (*YES, *NO) for text in texts):
        return [float(text.lower() in YES) for text in texts]
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        known = sorted(set(texts))
        shown = ", ".join(repr(each) for each in known[:8]) + (" …" if len(known) > 8 else "")
        raise UsageError(f"{where} holds words; say by --value which of them counts: {shown}") from None
    if not np.isfinite(numbers).all():
        raise UsageError(f"{where} has NaN or infinite values")
    return numbers
