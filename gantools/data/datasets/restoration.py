"""Photos and what degradations make of them (restoration, colorization)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.degrade.crappify import crappify
from gantools.data.folders import layout
from gantools.data.folders.split import Split, gather
from gantools.data.loading import sampler
from gantools.data.loading.batches import Restoration
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import RestorationData
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader


class RestorationSample(NamedTuple):
    """A degraded uint8 HWC image and the clean one, of the same size."""

    degraded: Pixels
    clean: Pixels
    name: str


class RestorationDataset:
    """Random squares for training, degraded anew in each epoch; for validation whole images, always the same.

    A photo is degraded as a whole, then cut. Validation keeps the middle whose sides are multiples of the crop.
    Raises DataError when the folders hold no images.
    """

    def __init__(self, options: RestorationData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        self.layout = gather(options, split, layout.find_photos)
        self.items = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> RestorationSample:
        rng = sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)
        (clean,) = self._cache.recall(key.index, self._load)
        pair = (crappify(clean, self.options.degradations, rng), clean)
        degraded, clean = self._square(pair, rng) if self.training else self._middle(pair)
        return RestorationSample(degraded, clean, self.items[key.index].name)

    def collate(self, samples: Sequence[RestorationSample]) -> Restoration:
        """Stack pairs. Shapes: (N, H, W, 3) uint8."""
        return Restoration.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        return f"{self.layout.describe()}, degraded by {', '.join(one.name for one in self.options.degradations)}"

    def _load(self, index: int) -> Images:
        path = self.items[index].files[0]
        photo = reader.read_rgb8(path)
        height, width = photo.shape[:2]
        if max(height, width) > MOST_OBLONG * min(height, width):
            raise ImageError(f"'{path}': is {width}x{height}, too oblong to be cut into squares")
        return (_resized(photo, self.options.load_px),)

    def _square(self, pair: Images, rng: np.random.Generator) -> Images:
        """A random square of both, shrunk to the crop, mirrored in half of the cases."""
        options = self.options
        side_px = int(rng.integers(options.crop_px, (options.largest_region_px or options.crop_px) + 1))
        pair = transforms.random_crop(pair, side_px, rng)
        pair = tuple(transforms.square(image, options.crop_px, "stretch") for image in pair)
        return transforms.random_position(pair, rng, flip=options.flip, rotate=False)

    def _middle(self, pair: Images) -> Images:
        height, width = (side // self.options.crop_px * self.options.crop_px for side in pair[0].shape[:2])
        return tuple(transforms.centre(image, height, width) for image in pair)


MOST_OBLONG = 8
"""Longer side / shorter side of the photos that are used: a resized strip would fill the memory."""


def _resized(photo: Pixels, short_side_px: int) -> Pixels:
    """``photo`` at the wanted shorter side."""
    short_px = min(photo.shape[:2])
    height, width = (max(short_side_px, round(side * short_side_px / short_px)) for side in photo.shape[:2])
    method = cv2.INTER_AREA if short_px >= short_side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(photo, (width, height), interpolation=method), np.uint8)
