"""Blurred and sharp images: photos blurred here, or real pairs (deblurring)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.cache import BoundedCache, Images
from gantools.data.datasets.paired import halves, two_files
from gantools.data.datasets.restoration import RestorationSample
from gantools.data.degrade import blur, resolution
from gantools.data.folders import layout
from gantools.data.folders.layout import Layout
from gantools.data.folders.split import Split, gather, share_of
from gantools.data.loading import sampler
from gantools.data.loading.batches import Restoration
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import BlurredData
from gantools.files import expanded
from gantools.images.image import Pixels
from gantools.images.io import reader


class DeblurringDataset:
    """Random crops for training (another blur each epoch), whole images, always blurred alike, for validation.

    Paper: Kupyn et al., 2018, arXiv:1711.07064. Raises DataError when the folders hold no images or no pairs, or a
    file of kernels cannot be used.
    """

    def __init__(self, options: BlurredData, split: Split, seed: int) -> None:
        self.options = options
        self.training = split == "training"
        self.seed = seed
        self.layout = _find(options, split)
        self.items = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)
        blur.measured_kernels(options.blur.kernel_files)  # refuses bad files before a run begins

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> RestorationSample:
        rng = sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)
        images = self._cache.recall(key.index, self._load)
        pair = self._training_pair(images, rng) if self.training else self._validation_pair(images, rng)
        return RestorationSample(*pair, self.items[key.index].name)

    def collate(self, samples: Sequence[RestorationSample]) -> Restoration:
        """Stack pairs. Shapes: (N, H, W, 3) uint8."""
        return Restoration.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        self._cache.free_bytes //= processes

    def describe(self) -> str:
        return self.layout.describe() + (", blurred by the loader" if self.layout.kind == "photos" else "")

    def _load(self, index: int) -> Images:
        """The photo, or the blurred and the sharp image of a pair."""
        files = self.items[index].files
        if self.layout.kind == "folders":
            return two_files(*files)
        if self.layout.kind == "ab":
            return halves(files[0], any_shape=self.options.ab_any_shape)
        return (reader.read_rgb8(files[0]),)

    def _training_pair(self, images: Images, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        options = self.options
        images = tuple(transforms.at_least(image, options.crop_px) for image in images)
        stays_sharp = rng.random() < options.blur.sharp_share
        if stays_sharp or len(images) == 2:
            crops = transforms.random_crop(images, options.crop_px, rng)
            pair = (crops[-1] if stays_sharp else crops[0], crops[-1])
        else:
            pair = self._blurred_crop(images[0], rng)
        degraded, clean = transforms.random_position(pair, rng, flip=options.flip, rotate=options.rotate)
        return degraded, clean

    def _blurred_crop(self, photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A random crop and its blurred version, which what lies around the crop is smeared into."""
        side_px = self.options.crop_px
        kernel = blur.random_kernel(rng, self.options.blur)
        margin_px = max(kernel.shape) // 2
        photo = resolution.finer(photo, self.options.downscale, side_px, 2 * margin_px, rng)
        top, left = (int(rng.integers(side - side_px + 1)) for side in photo.shape[:2])
        above, before = max(0, top - margin_px), max(0, left - margin_px)
        window = photo[above : top + side_px + margin_px, before : left + side_px + margin_px]
        degraded = blur.degraded(window, kernel, rng, self.options.blur)
        y, x = top - above, left - before
        return degraded[y : y + side_px, x : x + side_px], photo[top : top + side_px, left : left + side_px]

    def _validation_pair(self, images: Images, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        longest_px = self.options.validation_px
        if longest_px is not None:
            height, width = (min(side, longest_px) for side in images[0].shape[:2])
            images = tuple(transforms.centre(image, height, width) for image in images)
        if len(images) == 2:
            return images[0], images[1]
        return blur.blurred(images[0], rng, self.options.blur), images[0]


def _find(options: BlurredData, split: Split) -> Layout:
    if options.degraded_dir is None or options.clean_dir is None:
        return gather(options, split, partial(_found, options))
    sides = expanded(options.degraded_dir), expanded(options.clean_dir)
    pairs = layout.find_pairs(*sides, options.partner)
    if options.validation_dir is None:
        return share_of(pairs, options, split)
    return (
        pairs if split == "training" else layout.find(Path(options.validation_dir), "folders", partner=options.partner)
    )


def _found(options: BlurredData, folder: Path) -> Layout:
    if options.layout == "photos":
        return layout.find_photos(folder)
    typed = "data.degraded_dir={} data.clean_dir={}"
    return layout.find(folder, options.layout, partner=options.partner, any_shape=options.ab_any_shape, typed=typed)
