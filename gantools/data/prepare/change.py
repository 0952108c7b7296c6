"""One image becomes another: outlines, blur, masks and whatever else the loaders do to make the input of a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gantools.data.degrade import chain, edges, masks
from gantools.data.loading import sampler
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import EdgeOptions, Fit
from gantools.data.options.degradations import Degradation
from gantools.data.options.masks import MaskOptions
from gantools.data.prepare.tasks import Made, Task, size_of, write
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.images.ops import color

Change: TypeAlias = Callable[[Pixels, np.random.Generator], Pixels]
"""uint8 [H, W, 3] → uint8 [h, w, 3], or [h, w] for a gray image. Pickled, so no lambda."""


@dataclass(frozen=True)
class ChangeImage:
    """Read an image as the loaders do, change it, write it."""

    change: Change
    seed: int
    quality: int

    def __call__(self, task: Task) -> Made:
        photo = reader.read_rgb8(task.sources[0])
        made = self.change(photo, sampler.file_rng(self.seed, task.name))
        write(made, task, quality=self.quality)
        return Made(size_of(photo), size_of(made))


@dataclass(frozen=True)
class Outline:
    """A photo's outline, with ``options.max_hints`` dabs of its colours. ``side_px``: first made a square, or None."""

    options: EdgeOptions
    side_px: int | None
    fit: Fit

    def __call__(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        if self.side_px is None:
            drawing, target = edges.outline(photo, self.options), photo
        else:
            drawing, target = edges.outlined_pair(photo, self.side_px, self.fit, self.options)
        return edges.colour_hints(drawing, target, rng, self.options)


@dataclass(frozen=True)
class Crappify:
    """The photo after a list of degradations."""

    degradations: tuple[Degradation, ...]

    def __call__(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        return chain.degrade(photo, self.degradations, rng)


@dataclass(frozen=True)
class Blur:
    """The photo blurred, with noise."""

    options: BlurOptions

    def __call__(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        from gantools.data.degrade import blur  # brings torch

        return blur.blurred(photo, rng, self.options)


@dataclass(frozen=True)
class Mask:
    """The photo with a part missing, or what is missing alone: white on black. The same seed leaves out the same."""

    options: MaskOptions
    alone: bool

    def __call__(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        if not self.alone:
            return masks.masked(photo, rng, self.options)
        height, width = photo.shape[:2]
        return masks.draw(height, width, rng, self.options) * np.uint8(255)


@dataclass(frozen=True)
class Shrink:
    """The photo ``scale`` times smaller, by the bicubic down-scaling of super-resolution."""

    scale: int

    def __call__(self, photo: Pixels, _rng: np.random.Generator) -> Pixels:
        from gantools.data.degrade import resolution  # brings torch

        return resolution.shrunk(photo, self.scale)


def gray(photo: Pixels, _rng: np.random.Generator) -> Pixels:
    """The photo's brightness. Shapes: [H, W, 3] → [H, W]."""
    return color.gray(photo)
