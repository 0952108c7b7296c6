"""Pairs of images: outlines made from photos, two folders, or A|B images (pix2pix)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.degrade import edges
from gantools.data.degrade.crappify import gray
from gantools.data.folders import layout
from gantools.data.folders.layout import Layout
from gantools.data.folders.split import Split, gather, share_of
from gantools.data.loading import sampler
from gantools.data.loading.batches import Paired
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import PairedData
from gantools.errors import ImageError
from gantools.files import expanded
from gantools.images.image import Pixels
from gantools.images.io import reader


class PairedSample(NamedTuple):
    """One pair of uint8 HWC images of the same size."""

    source: Pixels
    target: Pixels
    name: str


class PairedDataset:
    """Pairs for training (random crop, mirrored, fresh dabs of colour each epoch) or validation (always the same).

    Paper: Isola et al., 2017, arXiv:1611.07004. Raises DataError when the folders do not hold pairs.
    """

    def __init__(self, options: PairedData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        self.layout = _find(options, split)
        self.items = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> PairedSample:
        rng = sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)
        pair = self._cache.recall(key.index, self._load)
        if self.training:
            pair = transforms.random_crop(pair, self.options.crop_px, rng)
            pair = transforms.random_position(pair, rng, flip=self.options.flip, rotate=False)
        source, target = pair
        if self.layout.kind == "photos" and self.options.make == "edges":
            source = edges.colour_hints(source, target, rng, self.options.edges)
        return PairedSample(source, target, self.items[key.index].name)

    def collate(self, samples: Sequence[PairedSample]) -> Paired:
        """Stack pairs. Shapes: (N, H, W, 3) uint8."""
        return Paired.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        made = {"edges": ", outlines made from them", "gray": ", made gray"}[self.options.make]
        return self.layout.describe() + (made if self.layout.kind == "photos" else f", {self.options.direction}")

    def _load(self, index: int) -> Images:
        """Source and target at the size that crops are taken from: everything that does not change between epochs."""
        side_px = self.options.load_px if self.training else self.options.crop_px
        files = self.items[index].files
        if self.layout.kind == "photos":
            return self._made_pair(reader.read_rgb8(files[0]), side_px)
        ab = self.layout.kind == "ab"
        a, b = halves(files[0], any_shape=self.options.ab_any_shape) if ab else two_files(*files)
        pair = (a, b) if self.options.direction == "a2b" else (b, a)
        return tuple(transforms.square(image, side_px, self.options.fit) for image in pair)

    def _made_pair(self, photo: Pixels, side_px: int) -> Images:
        """The outline of a photo, or what it is without colours, and the photo."""
        options = self.options
        if options.make == "edges":
            return edges.outlined_pair(photo, side_px, options.fit, options.edges)
        small = transforms.square(photo, side_px, options.fit)
        return gray(small), small


def _find(options: PairedData, split: Split) -> Layout:
    typed = "data.source_dir={} data.target_dir={}" + " data.direction=a2b" * (options.direction == "b2a")
    find = partial(layout.find, partner=options.partner, typed=typed)
    if options.source_dir is None or options.target_dir is None:
        return gather(options, split, lambda folder: find(folder, options.layout, any_shape=options.ab_any_shape))
    sides = expanded(options.source_dir), expanded(options.target_dir)
    pairs = layout.find_pairs(*sides, options.partner)
    if options.validation_dir is None:
        return share_of(pairs, options, split)
    return pairs if split == "training" else find(Path(options.validation_dir), "folders")


def halves(path: Path, *, any_shape: bool) -> tuple[Pixels, Pixels]:
    """The left and the right half of an A|B image. Raises ImageError where it has no two halves."""
    both = reader.read_rgb8(path)
    height, width = both.shape[:2]
    layout.require_halves(path, width, height, any_shape=any_shape)
    return both[:, : width // 2].copy(), both[:, width // 2 :].copy()


def two_files(a_path: Path, b_path: Path) -> tuple[Pixels, Pixels]:
    """The two images of a pair. Raises ImageError where their sizes differ."""
    a, b = reader.read_rgb8(a_path), reader.read_rgb8(b_path)
    if a.shape != b.shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (a, b))
        raise ImageError(f"'{a_path}' and '{b_path}': the two images of a pair have different sizes, {sizes}")
    return a, b
