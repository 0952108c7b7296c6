"""What happens to photos between a lens and a screen: blur, resizing, noise of light, ringing, compression.

Paper: Wang et al. 2021, arXiv 2107.10833 (Real-ESRGAN), whose chain is these functions done twice.
Differs from the paper: images are rounded to 8 bits after each step; a kernel is stretched independently of its shape.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import torch

from gantools.data.degrade.crappify import Chance, encoded, noisy
from gantools.data.options.degradations import (
    GaussianBlurOptions,
    InputSizeOptions,
    PoissonOptions,
    ResizeOptions,
    SincOptions,
    WebpOptions,
)
from gantools.images.image import Pixels
from gantools.images.ops.blur import Kernel, normalised

_METHODS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
_PHOTONS = 256


def gaussian_blur(photo: Pixels, options: GaussianBlurOptions, chance: Chance) -> Pixels:
    """The photo blurred by a random gaussian, a generalized one or one with a plateau, mirrored at its border."""
    rng = chance.rng
    sigmas = rng.uniform(*options.sigma_px, 2)
    if rng.random() >= options.stretched_share:
        sigmas[1] = sigmas[0]
    squares = _squared_distances(_side_px(options.side_px, rng), sigmas, rng.uniform(-math.pi, math.pi))
    shape = rng.random()
    if shape < options.generalized_share:
        kernel = np.exp(-0.5 * squares ** rng.uniform(*options.generalized_beta))
    elif shape < options.generalized_share + options.plateau_share:
        kernel = 1 / (1 + squares ** rng.uniform(*options.plateau_beta))
    else:
        kernel = np.exp(-0.5 * squares)
    return _filtered(photo, normalised(kernel))


def sinc(photo: Pixels, options: SincOptions, chance: Chance) -> Pixels:
    """The photo without what is above a random frequency, mirrored at its border."""
    cutoff = math.pi * chance.rng.uniform(*options.cutoff)
    return _filtered(photo, sinc_kernel(cutoff, _side_px(options.side_px, chance.rng)))


def sinc_kernel(cutoff: float, side_px: int) -> Kernel:
    """An ideal low pass of round shape, cut off at ``side_px``. ``cutoff``: radians per pixel, π at most."""
    reach = side_px // 2
    distance = torch.from_numpy(np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]))
    distance[reach, reach] = 1.0  # replaced below
    kernel = cutoff * torch.special.bessel_j1(cutoff * distance) / (2 * math.pi * distance)
    kernel[reach, reach] = cutoff**2 / (4 * math.pi)
    return normalised(kernel.numpy())


def poisson(photo: Pixels, options: PoissonOptions, chance: Chance) -> Pixels:
    """The photo with the noise of counted photons, times a random strength."""
    rng, gray = chance.rng, chance.rng.random() < options.gray_share
    light = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None] if gray else photo
    expected = light.astype(np.float32) * np.float32(_PHOTONS / 255)
    counted = (rng.poisson(expected) - expected) * np.float32(255 / _PHOTONS)
    return noisy(photo, np.float32(rng.uniform(*options.strength)) * counted)


def resize(photo: Pixels, options: ResizeOptions, chance: Chance) -> Pixels:
    """The photo larger, smaller or as it is, by a random factor and method."""
    rng, weights = chance.rng, np.array(options.weights)
    low, high = options.factor
    ranges = ((max(1.0, low), max(1.0, high)), (min(1.0, low), min(1.0, high)), (1.0, 1.0))
    factor = rng.uniform(*ranges[int(rng.choice(3, p=weights / weights.sum()))])
    before = photo.shape[:2] if options.of == "image" else chance.size
    height, width = (max(1, round(side * factor)) for side in before)
    return resized(photo, height, width, _METHODS[int(rng.integers(3))])


def input_size(photo: Pixels, options: InputSizeOptions, chance: Chance) -> Pixels:  # noqa: ARG001
    """The photo at the size of the degraded image, by a random method."""
    return resized(photo, *chance.size, _METHODS[int(chance.rng.integers(3))])


def webp(photo: Pixels, options: WebpOptions, chance: Chance) -> Pixels:
    """The photo as WebP leaves it."""
    return encoded(photo, ".webp", cv2.IMWRITE_WEBP_QUALITY, chance.between(*options.quality))


def resized(photo: Pixels, height: int, width: int, method: int) -> Pixels:
    """The photo at another size, by a method of OpenCV."""
    return np.asarray(cv2.resize(photo, (width, height), interpolation=method), np.uint8)


def _side_px(between: tuple[int, int], rng: np.random.Generator) -> int:
    """A random odd side."""
    return int(rng.integers(between[0] // 2, between[1] // 2 + 1)) * 2 + 1


def _squared_distances(side_px: int, sigmas: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    """From the middle of a kernel, in sigmas along two axes that are turned by ``angle``."""
    reach = side_px // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return np.asarray((along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2)


def _filtered(photo: Pixels, kernel: Kernel) -> Pixels:
    return np.asarray(cv2.filter2D(photo, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.uint8)
