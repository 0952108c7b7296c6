"""Pairs of images: outlines made from photos, two folders, or A|B images (pix2pix)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gantools.data import transforms
from gantools.data.degrade import edges
from gantools.data.folders import layout
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather_pairs
from gantools.data.loading.batches import Paired
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import PairedData
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops import color


class PairedSample(NamedTuple):
    """One pair of uint8 HWC images of the same size."""

    source: Pixels
    target: Pixels
    name: str


class PairedDataset(Dataset):
    """Pairs for training (random crop, mirrored, fresh dabs of colour each epoch) or validation (always the same).

    Paper: Isola et al., 2017, arXiv:1611.07004.
    """

    batch = Paired
    options: PairedData

    def find(self, split: Split) -> Layout:
        options = self.options
        typed = "data.source_dir={} data.target_dir={}" + " data.direction=a2b" * (options.direction == "b2a")
        find = partial(
            layout.find,
            layout=options.layout,
            partner=options.partner,
            any_shape=options.ab_any_shape,
            typed=typed,
        )
        return gather_pairs(options, split, options.source_dir, options.target_dir, find)

    def load(self, index: int) -> Images:
        """Source and target at the size that crops are taken from."""
        options, files = self.options, self.items[index].files
        side_px = options.load_px if self.training else options.crop_px
        if self.layout.kind == "photos":
            photo = reader.read_rgb8(files[0])
            if options.make == "edges":
                return edges.outlined_pair(photo, side_px, options.fit, options.edges)
            small = transforms.square(photo, side_px, options.fit)
            return color.gray_to_rgb(color.gray(small)), small
        a, b = read_pair(files, any_shape=options.ab_any_shape)
        pair = (a, b) if options.direction == "a2b" else (b, a)
        return tuple(transforms.square(image, side_px, options.fit) for image in pair)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> PairedSample:
        if self.training:
            images = transforms.random_crop(images, self.options.crop_px, rng)
            images = transforms.random_position(images, rng, flip=self.options.flip, rotate=False)
        source, target = images
        if self.layout.kind == "photos" and self.options.make == "edges":
            source = edges.colour_hints(source, target, rng, self.options.edges)
        return PairedSample(source, target, name)

    def describe(self) -> str:
        made = {"edges": ", outlines made from them", "gray": ", made gray"}[self.options.make]
        return self.layout.describe() + (made if self.layout.kind == "photos" else f", {self.options.direction}")


def read_pair(files: tuple[Path, ...], *, any_shape: bool) -> Images:
    """The two files of a pair, or the halves of one A|B image. Raises ImageError where sizes differ or do not halve."""
    if len(files) == 1:
        both = reader.read_rgb8(files[0])
        height, width = both.shape[:2]
        layout.require_halves(files[0], width, height, any_shape=any_shape)
        return both[:, : width // 2].copy(), both[:, width // 2 :].copy()
    a, b = (reader.read_rgb8(file) for file in files)
    if a.shape != b.shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (a, b))
        names = " and ".join(f"'{file}'" for file in files)
        raise ImageError(f"{names}: the two images of a pair have different sizes, {sizes}")
    return a, b
