"""Blurred and sharp images: photos blurred here, or real pairs (deblurring)."""

from __future__ import annotations

from functools import partial

import numpy as np

from gantools.data import transforms
from gantools.data.datasets.paired import read_pair
from gantools.data.datasets.restoration import RestorationSample
from gantools.data.degrade import blur, resolution
from gantools.data.degrade.chain import degrade
from gantools.data.folders import layout
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import gather_pairs
from gantools.data.loading.batches import Restoration
from gantools.data.loading.dataset import Dataset, Images
from gantools.data.options.datasets import BlurredData
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops.blur import Kernel


class DeblurringDataset(Dataset):
    """Random crops for training (another blur each epoch), whole images, always blurred alike, for validation.

    Paper: Kupyn et al., 2018, arXiv:1711.07064. Raises DataError also where a file of kernels cannot be used.
    """

    batch = Restoration
    options: BlurredData

    def find(self, split: Split) -> Layout:
        options = self.options
        blur.measured_kernels(options.blur.kernel_files)  # refuses bad files before a run begins
        typed = "data.degraded_dir={} data.clean_dir={}"
        pairs = partial(
            layout.find,
            layout=options.layout,
            partner=options.partner,
            any_shape=options.ab_any_shape,
            typed=typed,
        )
        find = layout.find_photos if options.layout == "photos" else pairs
        return gather_pairs(options, split, options.degraded_dir, options.clean_dir, find)

    def load(self, index: int) -> Images:
        """The photo, or the blurred and the sharp image of a pair."""
        files = self.items[index].files
        if self.layout.kind == "photos":
            return (reader.read_rgb8(files[0]),)
        return read_pair(files, any_shape=self.options.ab_any_shape)

    def sample(self, images: Images, name: str, rng: np.random.Generator) -> RestorationSample:
        options = self.options
        if not self.training:
            if options.validation_px is not None:
                height, width = (min(side, options.validation_px) for side in images[0].shape[:2])
                images = tuple(transforms.centre(image, height, width) for image in images)
            if len(images) == 2:
                return RestorationSample(*images, name)
            degraded = self._degraded(images[0], blur.random_kernel(rng, options.blur), rng)
            return RestorationSample(degraded, images[0], name)
        images = tuple(transforms.at_least(image, options.crop_px) for image in images)
        stays_sharp = rng.random() < options.blur.sharp_share
        if stays_sharp or len(images) == 2:
            crops = transforms.random_crop(images, options.crop_px, rng)
            pair = (crops[-1] if stays_sharp else crops[0], crops[-1])
        else:
            pair = self._blurred_crop(images[0], rng)
        degraded, clean = transforms.random_position(pair, rng, flip=options.flip, rotate=options.rotate)
        return RestorationSample(degraded, clean, name)

    def describe(self) -> str:
        return self.layout.describe() + (", blurred by the loader" if self.layout.kind == "photos" else "")

    def _blurred_crop(self, photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A random crop and its blurred version, which what lies around the crop is smeared into."""
        side_px = self.options.crop_px
        kernel = blur.random_kernel(rng, self.options.blur)
        margin_px = max(kernel.shape) // 2
        photo = resolution.finer(photo, self.options.downscale, side_px, 2 * margin_px, rng)
        window, rows, columns = transforms.random_window(photo, side_px, margin_px, rng)
        return self._degraded(window, kernel, rng)[rows, columns], window[rows, columns]

    def _degraded(self, photo: Pixels, kernel: Kernel, rng: np.random.Generator) -> Pixels:
        blurred = blur.degraded(photo, kernel, rng, self.options.blur)
        return degrade(blurred, self.options.degradations, rng) if self.options.degradations else blurred
