"""Real images beside which samples are seen: those of a data set, prepared as the model's training images were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gantools.data.datasets.labelled import LabelledDataset
    from gantools.images.image import Pixels


@dataclass(frozen=True)
class Real:
    """Real images, their classes (-1: none) and the attributes of their captions."""

    images: list[Pixels]
    classes: npt.NDArray[np.int64]
    attributes: Mapping[str, list[str]]


def dataset_of(path: Path, data: Path, split: Any, **changes: Any) -> LabelledDataset:
    """The images of ``data``, prepared as those that the model was trained on, but for ``changes`` of the settings.

    Weights that do not say how, such as imported ones, get images of the size and channels of their own.
    Raises UsageError and DataError.
    """
    from gantools.checkpoint import weights
    from gantools.data.datasets.labelled import LabelledDataset
    from gantools.data.options.labelled import LabelledData

    described = weights.describe(path)
    settings = (described.about.get("config") or {}).get("data")
    if not isinstance(settings, dict):
        export = next(iter(described.exports.values()))
        settings = {"image_px": export.image_px, "channels": export.options.get("out_channels", 3)}
    merged = {**settings, "dir": str(data), "labels": "auto", **changes}
    options = LabelledData.model_validate(merged, strict=False)
    if not settings.get("classes"):
        options = options.model_copy(update={"classes": None})
    return LabelledDataset(options, split, seed=0)


def real_images(dataset: LabelledDataset, most: int | None = None) -> Real:
    """The images of a data set with what is known of them; at most so many, evenly chosen."""
    from gantools.data.loading.sampler import SampleKey

    step = 1 if most is None else max(1, -(-len(dataset) // most))
    samples = [dataset[SampleKey(0, index)] for index in range(0, len(dataset), step)]
    labelled = bool(dataset.classes) and not dataset.vocabulary
    classes = [int(sample.condition.argmax()) if labelled else -1 for sample in samples]
    attributes = [dataset.attributes(sample.name) for sample in samples]
    shared = set.intersection(*map(set, attributes)) if attributes else set()
    columns = {name: [each[name] for each in attributes] for name in sorted(shared)}
    return Real([sample.image for sample in samples], np.asarray(classes), columns)
