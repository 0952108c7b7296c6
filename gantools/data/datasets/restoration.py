"""Photos and their degraded versions (restoration, colorization)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gantools.data import transforms
from gantools.data.degrade import resolution
from gantools.data.degrade.chain import degrade
from gantools.data.folders.layout import Layout, find_photos
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather
from gantools.data.loading.batches import Restoration
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import RestorationData
from gantools.data.options.degradations import depends_on_whole
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader

_MARGIN_PX = 16
MOST_OBLONG = 8
"""Longer side / shorter side of the photos that are used: a resized strip would fill the memory."""


class RestorationSample(NamedTuple):
    """A degraded uint8 HWC image and the clean one, of the same size."""

    degraded: Pixels
    clean: Pixels
    name: str


class RestorationDataset(Dataset):
    """Random squares for training, degraded anew in each epoch; for validation whole images, always the same.

    A photo is degraded as a whole, then cut; in training only a part is degraded where that gives the same. Validation
    keeps the middle whose sides are multiples of the crop.
    """

    batch = Restoration
    options: RestorationData

    def find(self, split: Split) -> Layout:
        return gather(self.options, split, find_photos)

    def load(self, index: int) -> Images:
        """The photo at the wanted shorter side."""
        path, side_px = self.items[index].files[0], self.options.load_px
        photo = reader.read_rgb8(path)
        height, width = photo.shape[:2]
        short_px = min(height, width)
        if max(height, width) > MOST_OBLONG * short_px:
            raise ImageError(f"'{path}': is {width}x{height}, too oblong to be cut into squares")
        height, width = (max(side_px, round(side * side_px / short_px)) for side in (height, width))
        method = cv2.INTER_AREA if short_px >= side_px else cv2.INTER_LINEAR
        return (np.asarray(cv2.resize(photo, (width, height), interpolation=method), np.uint8),)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> RestorationSample:
        """In training of a random square, shrunk to the crop and mirrored in half of the cases."""
        (photo,), options = images, self.options
        if self.training:
            side_px = int(rng.integers(options.crop_px, (options.largest_region_px or options.crop_px) + 1))
            pair = self._region(photo, side_px, rng)
            pair = tuple(transforms.square(image, options.crop_px, "stretch") for image in pair)
            pair = transforms.random_position(pair, rng, flip=options.flip, rotate=options.rotate)
        else:
            height, width = (side // options.crop_px * options.crop_px for side in photo.shape[:2])
            pair = (degrade(photo, options.degradations, rng), photo)
            pair = tuple(transforms.centre(image, height, width) for image in pair)
        degraded, clean = pair
        return RestorationSample(degraded, clean, name)

    def _region(self, photo: Pixels, side_px: int, rng: np.random.Generator) -> Images:
        """A random square, degraded and clean, of a photo shrunk by one of the factors."""
        options = self.options
        if depends_on_whole(options.degradations):
            return transforms.random_crop((degrade(photo, options.degradations, rng), photo), side_px, rng)
        photo = resolution.finer(photo, options.downscale, side_px, 2 * _MARGIN_PX, rng)
        window, rows, columns = transforms.random_window(photo, side_px, _MARGIN_PX, rng)
        return degrade(window, options.degradations, rng)[rows, columns], window[rows, columns]

    def describe(self) -> str:
        return f"{self.layout.describe()}, degraded by {', '.join(one.name for one in self.options.degradations)}"
