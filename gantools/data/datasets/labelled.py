"""Images with a class, a caption or neither (GAN, DCGAN, cGAN, InfoGAN, LAPGAN, ProGAN, StackGAN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gantools import text
from gantools.data import transforms
from gantools.data.folders import labelled
from gantools.data.folders.labelled import LabelledItem
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather
from gantools.data.folders.streamed import StreamedItems
from gantools.data.loading.batches import LabelledImages
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.labelled import LabelledData
from gantools.errors import DataError
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.color import gray, gray_to_rgb


class LabelledSample(NamedTuple):
    """A uint8 HWC image with a one-hot label or a text vector, or an empty one."""

    image: Pixels
    condition: np.ndarray
    name: str


class LabelledDataset(Dataset):
    """Every image once an epoch, one of its captions at random.

    Captions win over classes where both are found: the condition is a text vector then.
    Raises DataError when the folder holds no images, or labels or captions that are required are missing.
    """

    batch = LabelledImages
    options: LabelledData

    def __init__(self, options: LabelledData, split: Split, seed: int) -> None:
        super().__init__(options, split, seed)
        streamed = isinstance(self.items, StreamedItems)
        labelled_items = [] if streamed else [item for item in self.items if isinstance(item, LabelledItem)]
        self._known = {item.name: item for item in labelled_items}
        self.classes = options.classes or classes_of(labelled_items, options)
        self.vocabulary = options.vocabulary or vocabulary_of(labelled_items, options)

    def find(self, split: Split) -> Layout:
        found = gather(self.options, split, labelled.find)
        if isinstance(found.items, StreamedItems):
            if "required" in (self.options.labels, self.options.captions):
                raise DataError("data: sets packed with --stream have no labels or captions; pack without it")
            return found
        wanted = self.options.classes if self.options.labels != "none" else None
        return replace(found, items=labelled.chosen(found.items, wanted, all_needed=self.training))

    def load(self, index: int) -> Images:
        item = self.items[index]
        if item.number is not None:
            pixels = gray_to_rgb(labelled.read_idx(item.files[0])[item.number])
        else:
            pixels = reader.read_rgb8(item.files[0])
        fitted = transforms.fitted(pixels, self.options.image_px, self.options.fit, self.options.pad_value)
        return (gray(fitted)[..., None] if self.options.channels == 1 else fitted,)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> LabelledSample:
        if self.training and self.options.flip:
            images = transforms.random_position(images, rng, flip=True, rotate=False)
        return LabelledSample(images[0], self._condition(self._known.get(name), rng), name)

    def attributes(self, name: str) -> dict[str, str]:
        """What captions.csv says of an image in further columns."""
        return dict(self._known[name].attributes)

    def describe(self) -> str:
        """One phrase: ``8000 images of 10 classes``, ``500 images with captions (14 words)``."""
        what = f"{len(self.items)} images"
        if self.vocabulary:
            return f"{what} with captions ({len(self.vocabulary)} words)"
        return f"{what} of {len(self.classes)} classes" if self.classes else what

    def _condition(self, item: LabelledItem | None, rng: np.random.Generator) -> np.ndarray:
        if self.vocabulary and item:
            return text.encode(item.captions[int(rng.integers(len(item.captions)))])
        one_hot = np.zeros(len(self.classes), np.float32)
        if self.classes and item and item.label is not None:
            one_hot[self.classes.index(item.label)] = 1
        return one_hot


def classes_of(items: Sequence[LabelledItem], options: LabelledData) -> tuple[str, ...]:
    """The classes of a set, 2 before 10. Raises DataError where they are required and an image has none."""
    labels = [item.label for item in items]
    if options.labels == "none" or None in labels or not labels:
        if options.labels == "required":
            raise DataError("data.labels: this recipe needs classes: a folder for each, dataset.json, or idx files")
        return ()
    return tuple(sorted({label for label in labels if label is not None}, key=labelled.natural))


def vocabulary_of(items: Sequence[LabelledItem], options: LabelledData) -> tuple[str, ...]:
    """The words of a set's captions. Raises DataError where captions are required and an image has none."""
    without = labelled.without_caption(items)
    if options.captions == "none" or without or not items:
        if options.captions == "required":
            missing = f"; {len(without)} images have none, such as {without[0]}" if without else ""
            raise DataError(f"data.captions: this recipe needs captions.csv or a .txt beside each image{missing}")
        return ()
    return text.vocabulary(caption for item in items for caption in item.captions)
