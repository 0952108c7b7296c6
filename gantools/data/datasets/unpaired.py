"""Images of two domains that do not correspond (CycleGAN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.folders import domains
from gantools.data.folders.split import Split
from gantools.data.loading import sampler
from gantools.data.loading.batches import Unpaired
from gantools.data.loading.sampler import SampleKey
from gantools.data.loading.unreadable import UnreadableFile
from gantools.data.options.datasets import UnpairedData
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader


class UnpairedSample(NamedTuple):
    """A uint8 HWC image of each domain, of the same size."""

    a: Pixels
    b: Pixels
    name_a: str
    name_b: str


class UnpairedDataset:
    """Every image of the larger domain once an epoch, each with a random one of the other domain.

    Training crops and mirrors the two independently; validation goes through both in order, the smaller one again and
    again. ``items`` are the images of A, then those of B.
    Paper: Zhu et al., 2017, arXiv:1703.10593. Raises DataError when there are not two folders of images.
    """

    def __init__(self, options: UnpairedData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        sides = domains.gather(options, split)
        self.counts = (len(sides[0].items), len(sides[1].items))
        named = zip("ab", sides, strict=True)
        self.items = tuple(replace(item, name=f"{name}/{item.name}") for name, side in named for item in side.items)
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)

    def __len__(self) -> int:
        return max(self.counts)

    def __getitem__(self, key: SampleKey) -> UnpairedSample:
        rng = sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)
        a, b = self._chosen(key.index, rng)
        return UnpairedSample(self._image(a, rng), self._image(b, rng), self.items[a].name, self.items[b].name)

    def collate(self, samples: Sequence[UnpairedSample]) -> Unpaired:
        """Stack images. Shapes: (N, H, W, 3) uint8."""
        return Unpaired.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        return f"{self.counts[0]} images of A, {self.counts[1]} of B, unpaired"

    def _chosen(self, index: int, rng: np.random.Generator) -> tuple[int, int]:
        """Positions in ``items`` of the two images of a sample."""
        count_a, count_b = self.counts
        a, b = index % count_a, index % count_b
        if self.training and count_a < count_b:
            a = int(rng.integers(count_a))
        elif self.training:
            b = int(rng.integers(count_b))
        return a, count_a + b

    def _image(self, position: int, rng: np.random.Generator) -> Pixels:
        images = self._cache.recall(position, self._load)
        if self.training:
            images = transforms.random_crop(images, self.options.crop_px, rng)
            images = transforms.random_position(images, rng, flip=self.options.flip, rotate=False)
        return images[0]

    def _load(self, position: int) -> Images:
        """An image at the size that crops are taken from. Raises UnreadableFile under the image's own name."""
        side_px = self.options.load_px if self.training else self.options.crop_px
        item = self.items[position]
        try:
            photo = reader.read_rgb8(item.files[0])
        except ImageError as error:
            raise UnreadableFile(item.name, error) from error
        if self.options.fit != "cover":
            return (transforms.square(photo, side_px, self.options.fit),)
        covering = transforms.short_side(photo, side_px)
        return (covering if self.training else transforms.centre(covering, side_px, side_px),)
