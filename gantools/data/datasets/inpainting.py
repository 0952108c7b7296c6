"""Photos and what is missing from them (inpainting)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.degrade import masks
from gantools.data.folders import layout, search
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather
from gantools.data.loading.batches import Masked
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import MaskedData
from gantools.data.options.masks import FileMask
from gantools.errors import DataError, ImageError
from gantools.files import expanded
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.masks import Mask, mask_of, started, warn_if_mostly_missing


class InpaintingSample(NamedTuple):
    """A uint8 HWC image, its mask (H, W, 1), 255 where pixels are missing, else 0, and what a network sees of it."""

    image: Pixels
    mask: Pixels
    shown: Pixels
    name: str


class InpaintingDataset(Dataset):
    """Whole photos with a mask: training draws crops and masks anew each epoch, validation has always the same.

    Paper: Pathak et al., 2016, arXiv:1604.07379. Raises DataError also where a mask of the user's does not fit.
    """

    batch = Masked
    options: MaskedData

    def find(self, split: Split) -> Layout:
        self._given, mask = list[Mask](), self.options.mask  # the user's, in the order of their names
        if isinstance(mask, FileMask):
            path = expanded(mask.path)
            if not mask.path or not path.exists():
                raise DataError(f"data.mask.path: '{mask.path}' does not exist; give a mask image or a folder of them")
            files = search.image_files(path) if path.is_dir() else [path]
            self._given = [_given_mask(file, self.options.crop_px) for file in files]
        return gather(self.options, split, layout.find_photos)

    def load(self, index: int) -> Images:
        return (transforms.short_side(reader.read_rgb8(self.items[index].files[0]), self.options.load_px),)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> InpaintingSample:
        """In training of a random square of the photo, shrunk where zoom makes it larger than wanted."""
        (image,), options, side_px = images, self.options, self.options.crop_px
        if self.training and options.crop == "random":
            largest = min(options.load_px, round(side_px * options.zoom))
            (crop,) = transforms.random_crop((image,), int(rng.integers(side_px, largest + 1)), rng)
            image = transforms.square(crop, side_px, "stretch")
        else:
            image = transforms.centre(image, side_px, side_px)
        if self.training:
            (image,) = transforms.random_position((image,), rng, flip=options.flip, rotate=False)
        if self._given:
            mask = self._given[int(rng.integers(len(self._given)))]
        else:
            mask = masks.draw(side_px, side_px, rng, options.mask)
        return InpaintingSample(image, mask[..., None] * np.uint8(255), started(image, mask, options.fill), name)

    def describe(self) -> str:
        return f"{self.layout.describe()}, mask {self.options.mask.name}"


def _given_mask(file: Path, side_px: int) -> Mask:
    try:
        mask = mask_of(reader.read(file))
    except ImageError as error:
        raise DataError(f"data.mask.path: {error}") from error
    if mask.shape != (side_px, side_px):
        sizes = f"is {mask.shape[1]}x{mask.shape[0]} but data.crop_px is {side_px}"
        raise DataError(f"data.mask.path: '{file}' {sizes}; a mask has the size of the images that are trained on")
    if not mask.any() or mask.all():
        what = "everything" if mask.any() else "nothing"
        raise DataError(f"data.mask.path: '{file}' leaves out {what}; white is missing, black is known")
    warn_if_mostly_missing(mask, f"data.mask.path: '{file}'")
    return mask
