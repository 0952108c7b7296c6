"""Undoing a known blur without a network: Wiener's filter and Richardson-Lucy, the baselines of every deblurring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gantools.images.kernels import Kernel
from gantools.images.picture import Pixels

Plane: TypeAlias = npt.NDArray[np.float64]

BALANCE = 0.01
ITERATIONS = 20

_EPSILON = 1e-6


def wiener(pixels: Pixels, kernel: Kernel, balance: float = BALANCE) -> Pixels:
    """Divide by the blur where it left something, hold back where it did not (a Laplacian prior, as Hunt 1973).

    ``balance`` weighs smoothness against sharpness: too low amplifies noise, too high leaves the blur.
    Shapes: [H, W, C] → the same, same dtype.
    """
    return _per_channel(pixels, kernel, partial(_wiener, balance=balance))


def richardson_lucy(pixels: Pixels, kernel: Kernel, iterations: int = ITERATIONS) -> Pixels:
    """Correct an estimate by what its blurred version lacks, again and again (Richardson 1972, Lucy 1974).

    More ``iterations`` are sharper and noisier. Shapes: [H, W, C] → the same, same dtype.
    """
    return _per_channel(pixels, kernel, partial(_richardson_lucy, iterations=iterations))


def _per_channel(pixels: Pixels, kernel: Kernel, restore: Callable[[Plane, Kernel], Plane]) -> Pixels:
    """Restore each channel on [0, 1], mirrored far beyond its border: what the Fourier transform wraps around is cut.

    A channel's restoration is clipped and rounded once.
    """
    margin_y, margin_x = (2 * side for side in kernel.shape)
    largest = int(np.iinfo(pixels.dtype).max)
    height, width = pixels.shape[:2]
    restored = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        wide = np.pad(pixels[..., channel] / largest, ((margin_y, margin_y), (margin_x, margin_x)), mode="symmetric")
        made = restore(wide, kernel)[margin_y : margin_y + height, margin_x : margin_x + width]
        restored[..., channel] = np.floor(made.clip(0, 1) * largest + 0.5)
    return restored


def _wiener(plane: Plane, kernel: Kernel, balance: float) -> Plane:
    blur = _transfer(kernel, plane.shape)
    roughness = _transfer(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32), plane.shape)
    inverse = blur.conj() / (np.abs(blur) ** 2 + balance * np.abs(roughness) ** 2 + _EPSILON)
    return np.fft.irfft2(np.fft.rfft2(plane) * inverse, plane.shape)


def _richardson_lucy(plane: Plane, kernel: Kernel, iterations: int) -> Plane:
    blur = _transfer(kernel, plane.shape)
    estimate = plane.clip(_EPSILON)
    for _ in range(iterations):
        again = np.fft.irfft2(np.fft.rfft2(estimate) * blur, plane.shape)
        lacking = plane / again.clip(_EPSILON)
        estimate = estimate * np.fft.irfft2(np.fft.rfft2(lacking) * blur.conj(), plane.shape).clip(0)
    return estimate


def _transfer(kernel: Kernel, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The kernel's Fourier transform with its middle at the origin."""
    wide = np.zeros(shape)
    wide[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.fft.rfft2(np.roll(wide, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1)))
