"""Photos and their small versions (super-resolution)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.degrade import resolution
from gantools.data.degrade.chain import degrade
from gantools.data.folders.layout import Layout, find_photos
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather
from gantools.data.loading.batches import LowHigh
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import ResolutionData
from gantools.data.options.degradations import includes
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader


class SuperResolutionSample(NamedTuple):
    """A small uint8 HWC image and its original, ``scale`` times larger."""

    low: Pixels
    high: Pixels
    name: str


class SuperResolutionDataset(Dataset):
    """Random crops for training, whole images (one in a batch, as sizes differ) for validation.

    Paper: Ledig et al., 2017, arXiv:1609.04802.
    """

    batch = LowHigh
    options: ResolutionData

    def find(self, split: Split) -> Layout:
        return gather(self.options, split, find_photos)

    def load(self, index: int) -> Images:
        path = self.items[index].files[0]
        photo = reader.read_rgb8(path)
        height, width = photo.shape[:2]
        if min(height, width) < self.options.scale:
            raise ImageError(f"'{path}': is {width}x{height}, too small to be shrunk {self.options.scale} times")
        return (photo,)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> SuperResolutionSample:
        """In training of a random crop of the photo, shrunk first by one of the factors that leave it large enough."""
        (photo,), options = images, self.options
        if not self.training:
            return SuperResolutionSample(*resolution.whole_pair(photo, options.scale), name)
        margin_px = 2 * resolution.MARGIN_LOW_PX * options.scale
        photo = resolution.finer(photo, options.downscale, options.crop_px, margin_px, rng)
        from_large = includes(options.degradations, "input_size")
        shrink = partial(self._degraded, rng=rng) if from_large else None
        pair = resolution.crop_pair(photo, options.scale, options.crop_px, rng, shrink)
        low, high = transforms.random_position(pair, rng, flip=options.flip, rotate=options.rotate)
        if options.degradations and not from_large:
            low = degrade(low, options.degradations, rng)
        return SuperResolutionSample(low, high, name)

    def _degraded(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        """The small version that the degradations make of a large photo, whose sides are multiples of the scale."""
        height, width = (side // self.options.scale for side in photo.shape[:2])
        return degrade(photo, self.options.degradations, rng, (height, width))
