"""Images of two domains that do not correspond (CycleGAN)."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.folders import domains
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.loading.batches import Unpaired
from gantools.data.loading.dataset import Dataset, Images
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


class UnpairedDataset(Dataset):
    """Every image of the larger domain once an epoch, each with a random one of the other domain.

    Training crops and mirrors the two independently; validation goes through both in order, the smaller one again and
    again. ``items`` are the images of A, then those of B.
    Paper: Zhu et al., 2017, arXiv:1703.10593.
    """

    batch = Unpaired
    options: UnpairedData

    def find(self, split: Split) -> Layout:
        a, b = domains.gather(self.options, split)
        self.counts = (len(a.items), len(b.items))
        named = [
            replace(item, name=f"{name}/{item.name}") for name, side in (("a", a), ("b", b)) for item in side.items
        ]
        return Layout("photos", tuple(named))

    def __len__(self) -> int:
        return max(self.counts)

    def __getitem__(self, key: SampleKey) -> UnpairedSample:
        rng, (count_a, count_b) = self.rng(key), self.counts
        a, b = key.index % count_a, key.index % count_b
        if self.training and count_a < count_b:
            a = int(rng.integers(count_a))
        elif self.training:
            b = int(rng.integers(count_b))
        places = (a, count_a + b)
        image_a, image_b = (self.sample(self._cache.recall(at, self.load), "", rng) for at in places)
        return UnpairedSample(image_a, image_b, self.items[a].name, self.items[count_a + b].name)

    def load(self, index: int) -> Images:
        """An image at the size that crops are taken from. Raises UnreadableFile under the image's own name."""
        side_px = self.options.load_px if self.training else self.options.crop_px
        item = self.items[index]
        try:
            photo = reader.read_rgb8(item.files[0])
        except ImageError as error:
            raise UnreadableFile(item.name, error) from error
        if self.options.fit != "cover":
            return (transforms.square(photo, side_px, self.options.fit),)
        covering = transforms.short_side(photo, side_px)
        return (covering if self.training else transforms.centre(covering, side_px, side_px),)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> Pixels:  # noqa: ARG002
        """The image of one domain."""
        if self.training:
            images = transforms.random_crop(images, self.options.crop_px, rng)
            images = transforms.random_position(images, rng, flip=self.options.flip, rotate=False)
        return images[0]

    def describe(self) -> str:
        return f"{self.counts[0]} images of A, {self.counts[1]} of B, unpaired"
