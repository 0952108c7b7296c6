"""Inputs, their originals, and what a teacher made of them: folders written by ``gantools data distill``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.restoration import RestorationSample
from gantools.data.datasets.super_resolution import SuperResolutionSample
from gantools.data.folders import search
from gantools.data.folders.layout import Item, Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import folders, gather
from gantools.data.loading.batches import Batch, LowHigh, Restoration
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import BlurredData, DistillableData, ResolutionData, RestorationData
from gantools.errors import DataError
from gantools.files import expanded
from gantools.images.io import reader

SIDES = ("input", "truth", "teacher")
MANIFEST = "distilled.json"


def made_by_distill(options: DistillableData) -> bool:
    """Whether every folder of a data set was written by ``data distill``. Raises DataError where only some were."""
    named = (options.dir,) if isinstance(options.dir, str) else options.dir or ()
    found = [name for name in named if (expanded(name) / MANIFEST).is_file()]
    if found and len(found) < len(named):
        raise DataError(f"data.dir: '{found[0]}' was made by `data distill`, others were not; train on one kind")
    return bool(found)


class DistilledDataset(Dataset):
    """Random crops for training, whole samples for validation; small and large ones, or of one size.

    The target is the teacher's result in ``teacher_share`` of the training samples that have one, else the original.
    So the expected loss is the sum of both losses with these weights (Hinton 2015, arXiv 1503.02531). Validation
    compares with the original.
    """

    options: ResolutionData | RestorationData | BlurredData

    def __init__(self, options: ResolutionData | RestorationData | BlurredData, split: Split, seed: int) -> None:
        super().__init__(options, split, seed)
        self.makes_larger = options.name == "resolution"
        self.batch: type[Batch] = LowHigh if self.makes_larger else Restoration  # type: ignore[misc]
        manifests = [json.loads((folder / MANIFEST).read_text()) for folder in folders(options)]
        self.teachers = [manifest["teacher"] for manifest in manifests if manifest["teacher"]]

    def find(self, split: Split) -> Layout:
        return gather(self.options, split, find_distilled)

    def load(self, index: int) -> Images:
        """Input, original and, where there was a teacher, its result."""
        return tuple(reader.read_rgb8(file) for file in self.items[index].files)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> SuperResolutionSample | RestorationSample:
        given, truth, *taught = images
        options = self.options
        if self.training:
            target = taught[0] if taught and rng.random() < options.teacher_share else truth
            given, truth = _crop(given, target, options.crop_px, rng)
            given, truth = transforms.random_position((given, truth), rng, flip=options.flip, rotate=options.rotate)
        return (SuperResolutionSample if self.makes_larger else RestorationSample)(given, truth, name)

    def describe(self) -> str:
        names = sorted({teacher["file"] for teacher in self.teachers})
        return f"{self.layout.describe()}, teacher: {', '.join(names) or 'none'}"


def find_distilled(folder: Path) -> Layout:
    """The whole samples of a folder that ``data distill`` writes, or wrote. Raises DataError for none."""
    sides = sides_of(json.loads((folder / MANIFEST).read_text()))
    last = search.image_files(folder / sides[-1])
    return Layout(
        "distilled", tuple(Item(path.stem, tuple(folder / side / path.name for side in sides)) for path in last)
    )


def sides_of(manifest: Mapping[str, Any]) -> Sequence[str]:
    """The sub-folders with a file for each sample; the last one's is written last."""
    return SIDES if manifest["teacher"] else SIDES[:-1]


def _crop(given: Any, target: Any, crop_px: int, rng: np.random.Generator) -> Images:
    """The same random part of an input and its target, whose side is ``crop_px``. Raises DataError."""
    scale = target.shape[0] // given.shape[0]
    side_px = crop_px // scale
    if side_px > min(given.shape[:2]):
        raise DataError(f"data.crop_px: must not exceed {min(target.shape[:2])}, the side of the distilled samples")
    top, left = (int(rng.integers(side - side_px + 1)) for side in given.shape[:2])
    small = given[top : top + side_px, left : left + side_px]
    return small, target[top * scale : (top + side_px) * scale, left * scale : (left + side_px) * scale]
