"""Photos and their small versions (super-resolution)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.degrade import resolution as degrade
from gantools.data.degrade.crappify import crappify
from gantools.data.folders import layout
from gantools.data.folders.split import Split, gather
from gantools.data.loading import sampler
from gantools.data.loading.batches import LowHigh
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import ResolutionData
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader


class SuperResolutionSample(NamedTuple):
    """A small uint8 HWC image and its original, ``scale`` times larger."""

    low: Pixels
    high: Pixels
    name: str


class SuperResolutionDataset:
    """Random crops for training, whole images (one in a batch, as sizes differ) for validation.

    Paper: Ledig et al., 2017, arXiv:1609.04802. Raises DataError when the folders hold no images.
    """

    def __init__(self, options: ResolutionData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        self.layout = gather(options, split, layout.find_photos)
        self.items = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> SuperResolutionSample:
        (photo,) = self._cache.recall(key.index, self._load)
        if self.training:
            low, high = self._crop(photo, sampler.sample_rng(self.seed, key.epoch, key.index))
        else:
            low, high = degrade.whole_pair(photo, self.options.scale)
        return SuperResolutionSample(low, high, self.items[key.index].name)

    def collate(self, samples: Sequence[SuperResolutionSample]) -> LowHigh:
        """Stack pairs. Shapes: low (N, H, W, 3), high (N, H * scale, W * scale, 3), uint8."""
        return LowHigh.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        return self.layout.describe()

    def _load(self, index: int) -> Images:
        path = self.items[index].files[0]
        photo = reader.read_rgb8(path)
        if min(photo.shape[:2]) < self.options.scale:
            raise ImageError(
                f"'{path}': is {photo.shape[1]}x{photo.shape[0]}, too small to be shrunk {self.options.scale} times"
            )
        return (photo,)

    def _crop(self, photo: Pixels, rng: np.random.Generator) -> Images:
        """A random crop of the photo, shrunk first by one of the factors that leave it large enough."""
        options = self.options
        margin_px = 2 * degrade.MARGIN_LOW_PX * options.scale
        photo = degrade.finer(photo, options.downscale, options.crop_px, margin_px, rng)
        pair = degrade.crop_pair(photo, options.scale, options.crop_px, rng)
        low, high = transforms.random_position(pair, rng, flip=options.flip, rotate=options.rotate)
        return (crappify(low, options.degradations, rng) if options.degradations else low), high
