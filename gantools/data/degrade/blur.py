"""Sharp photo → blurred photo: camera shake, a pan, defocus, gaussian blur or a measured kernel, then noise."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gantools.data.options.blur import BlurOptions
from gantools.images.image import Pixels
from gantools.images.ops.blur import Kernel, convolve, normalised, read_kernels

Points: TypeAlias = npt.NDArray[np.complex128]

# Boracchi and Foi's camera: how hard a nervous hand jerks, trembles and is drawn back to where it was.
_ANXIETY = 0.1
_JERK = 0.2
_TREMBLE = 10.0
_PULL = 0.7
_CANVAS_PX = 60.0  # the paper's longest way: the pull grows with the distance in its pixels

_PAN_POINTS = 400
_BEND, _HOOK = 0.5, 1.0  # standard deviations of a pan's second and third power, by its length


def blurred(photo: Pixels, rng: np.random.Generator, options: BlurOptions) -> Pixels:
    """The photo blurred by a random kernel, mirrored at its border, with noise.

    Shapes: (H, W, 3) → (H, W, 3). Raises DataError for unusable kernel files.
    """
    return degraded(photo, random_kernel(rng, options), rng, options)


def degraded(photo: Pixels, kernel: Kernel, rng: np.random.Generator, options: BlurOptions) -> Pixels:
    """The photo blurred by ``kernel``, with noise. Rounded and clipped once, after both."""
    values = convolve(photo, kernel)
    sigma = rng.uniform(*options.noise_sigma)
    if sigma > 0:
        values += sigma * rng.standard_normal(values.shape, np.float32)
    return np.asarray((values + 0.5).clip(0, 255), np.uint8)  # the conversion cuts off what is behind the point


def random_kernel(rng: np.random.Generator, options: BlurOptions) -> Kernel:
    """One kernel of a random kind and extent. Shapes: [H, W] float32, odd sides, sum 1."""
    weights = np.array([*options.weights.values()])
    kind = rng.choice([*options.weights], p=weights / weights.sum())
    if kind == "motion":
        return motion_kernel(rng, rng.uniform(*options.motion_px), options.trajectory_steps)
    if kind == "defocus":
        return defocus_kernel(rng.uniform(*options.defocus_px))
    if kind == "gaussian":
        return gaussian_kernel(rng.uniform(*options.gaussian_px))
    if kind == "pan":
        return pan_kernel(rng, rng.uniform(*options.motion_px))
    kernels = measured_kernels(options.kernel_files)
    return kernels[int(rng.integers(len(kernels)))]


def motion_kernel(rng: np.random.Generator, extent_px: float, steps: int) -> Kernel:
    """What camera shake makes of a point of light: a random trajectory whose box has ``extent_px`` as its longer side.

    Its mean position is the kernel's middle, so that the image stays where it is.
    Paper: Boracchi and Foi 2012; Kupyn 2018, arXiv 1711.07064, algorithm 1.
    Differs from the paper: scaled to a chosen extent instead of a maximal length on a canvas of 64 px, centred on its
    mean instead of its box, and the whole trajectory is exposed.
    """
    path = trajectory(rng, steps)
    size = max(np.ptp(path.real), np.ptp(path.imag))
    return rasterised((path - path.mean()) * (extent_px / size))


def pan_kernel(rng: np.random.Generator, extent_px: float) -> Kernel:
    """What a moving camera makes of a point during one frame of a video: a bent line, ``extent_px`` its longer side.

    The kernel's middle is the middle of the exposure. Paper: none; a cubic, which fits the kernels between blurred and
    sharp frames of GoPro's videos (Nah 2017, arXiv 1612.02177).
    """
    time = np.linspace(-0.5, 0.5, _PAN_POINTS)
    bend, hook = rng.standard_normal((2, 2)) @ (1, 1j)
    path = (time + _BEND * bend * time**2 + _HOOK * hook * time**3) * np.exp(2j * np.pi * rng.random())
    size = max(np.ptp(path.real), np.ptp(path.imag))
    return rasterised(path * (extent_px / size))


def trajectory(rng: np.random.Generator, steps: int) -> Points:
    """A random walk of constant speed: it trembles, jerks back now and then, and is drawn to where it began.

    Shapes: (steps,) complex, y + ix, one unit apart.
    """
    anxiety, jerk = _ANXIETY * rng.random(), _JERK * rng.random()
    pull, tremble = _PULL * rng.random(), _TREMBLE * rng.random()
    turn = np.exp(2j * np.pi * rng.random())
    noise = rng.standard_normal((2, steps - 1))
    shocks = anxiety * tremble * (noise[0] + 1j * noise[1])
    backwards = -2 * np.exp(1j * (rng.random(steps - 1) - 0.5)) * (rng.random(steps - 1) < jerk * anxiety)
    pull_per_step = anxiety * pull * _CANVAS_PX / (steps - 1)
    # Each unit step depends on the one before: Python's own numbers are fastest here.
    direction, place, places = complex(turn), 0j, [0j]
    for shock, back in zip(shocks.tolist(), backwards.tolist(), strict=True):
        direction += back * direction + shock - pull_per_step * place
        direction /= abs(direction) or 1.0
        place += direction
        places.append(place)
    return np.array(places)


def rasterised(points: Points) -> Kernel:
    """The kernel that points around 0 make on the pixel grid, each shared by its four neighbours bilinearly.

    Shapes: (N,) complex, y + ix in pixels → [side, side] with side odd.
    """
    reach = math.ceil(float(np.abs([points.real, points.imag]).max())) + 1
    side = 2 * reach + 1
    y, x = np.asarray(points.real) + reach, np.asarray(points.imag) + reach
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = y - top, x - left
    corner = top * side + left
    places = np.concatenate((corner, corner + 1, corner + side, corner + side + 1))
    shares = np.concatenate(((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right))
    return normalised(np.bincount(places, shares, minlength=side * side).reshape(side, side))


def defocus_kernel(radius_px: float) -> Kernel:
    """A disk of even light, its rim as light as the share of a pixel that it covers."""
    reach = math.ceil(radius_px)
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return normalised((radius_px + 0.5 - distance).clip(0, 1))


def gaussian_kernel(sigma_px: float) -> Kernel:
    """A gaussian to 3.5 standard deviations, the outer product of a line with itself."""
    line = np.exp(-0.5 * (np.arange(-math.ceil(3.5 * sigma_px), math.ceil(3.5 * sigma_px) + 1) / sigma_px) ** 2)
    return normalised(np.outer(line, line))


@lru_cache(maxsize=8)
def measured_kernels(files: tuple[str, ...]) -> tuple[Kernel, ...]:
    """The kernels of all files, read once. Raises DataError."""
    return tuple(kernel for file in files for kernel in read_kernels(file))
