"""Photos and what is missing from them (inpainting)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.degrade import masks
from gantools.data.folders import layout
from gantools.data.folders.split import Split, gather
from gantools.data.loading import sampler
from gantools.data.loading.batches import Masked
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import MaskedData
from gantools.data.options.masks import FileMask, MaskOptions
from gantools.errors import DataError, ImageError
from gantools.files import expanded
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.masks import Mask, mask_of, warn_if_mostly_missing


class InpaintingSample(NamedTuple):
    """A uint8 HWC image and its mask (H, W, 1): 255 where pixels are missing, 0 elsewhere."""

    image: Pixels
    mask: Pixels
    name: str


class InpaintingDataset:
    """Whole photos with a mask: training draws crops and masks anew each epoch, validation has always the same.

    Paper: Pathak et al., 2016, arXiv:1604.07379. Raises DataError when the folders hold no images, or a mask of the
    user's does not fit.
    """

    def __init__(self, options: MaskedData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        self.layout = gather(options, split, layout.find_photos)
        self.items = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._given = _given_masks(options.mask, options.crop_px)
        self._cache = BoundedCache(options.cache_megabytes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> InpaintingSample:
        options = self.options
        rng = sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)
        images = self._cache.recall(key.index, self._load)
        if self.training and options.crop == "random":
            images = self._crop(images, rng)
        else:
            images = tuple(transforms.centre(image, options.crop_px, options.crop_px) for image in images)
        if self.training:
            images = transforms.random_position(images, rng, flip=options.flip, rotate=False)
        mask = self._hole(rng)[..., None] * np.uint8(255)
        return InpaintingSample(images[0], mask, self.items[key.index].name)

    def collate(self, samples: Sequence[InpaintingSample]) -> Masked:
        """Stack samples. Shapes: image (N, H, W, 3), mask (N, H, W, 1), uint8."""
        return Masked.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        return f"{self.layout.describe()}, mask {self.options.mask.name}"

    def _load(self, index: int) -> Images:
        return (transforms.short_side(reader.read_rgb8(self.items[index].files[0]), self.options.load_px),)

    def _crop(self, images: Images, rng: np.random.Generator) -> Images:
        """A random square of the photo, shrunk where zoom makes it larger than wanted."""
        largest = min(self.options.load_px, round(self.options.crop_px * self.options.zoom))
        side_px = int(rng.integers(self.options.crop_px, largest + 1))
        (crop,) = transforms.random_crop(images, side_px, rng)
        return (transforms.square(crop, self.options.crop_px, "stretch"),)

    def _hole(self, rng: np.random.Generator) -> Mask:
        if self._given:
            return self._given[int(rng.integers(len(self._given)))]
        return masks.draw(self.options.crop_px, self.options.crop_px, rng, self.options.mask)


def _given_masks(options: MaskOptions, side_px: int) -> tuple[Mask, ...]:
    """The user's masks, in the order of their names; none where masks are drawn. Raises DataError."""
    if not isinstance(options, FileMask):
        return ()
    path = expanded(options.path)
    if not options.path or not path.exists():
        raise DataError(f"data.mask.path: '{options.path}' does not exist; give a mask image or a folder of them")
    files = layout.image_files(path) if path.is_dir() else [path]
    return tuple(_given_mask(file, side_px) for file in files)


def _given_mask(file: Path, side_px: int) -> Mask:
    try:
        hole = mask_of(reader.read(file))
    except ImageError as error:
        raise DataError(f"data.mask.path: {error}") from error
    if hole.shape != (side_px, side_px):
        sizes = f"is {hole.shape[1]}x{hole.shape[0]} but data.crop_px is {side_px}"
        raise DataError(f"data.mask.path: '{file}' {sizes}; a mask has the size of the images that are trained on")
    if not hole.any() or hole.all():
        what = "everything" if hole.any() else "nothing"
        raise DataError(f"data.mask.path: '{file}' leaves out {what}; white is missing, black is known")
    warn_if_mostly_missing(hole, f"data.mask.path: '{file}'")
    return hole
