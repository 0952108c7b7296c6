"""Classical deconvolution: against another implementation, and in decibels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from gantools.data.synthetic import drawing
from gantools.images.image import Pixels
from gantools.images.ops.blur import Kernel, convolve, normalised, richardson_lucy, wiener
from gantools.metrics.pixels import psnr_rgb


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return drawing.draw_image("scenes", 0, 96, seed=1)


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return normalised(np.triu(np.tril(np.ones((7, 7)), 1)) * np.linspace(1, 2, 7))


def blurred(photo: Pixels, kernel: Kernel, sigma: float = 1.0) -> Pixels:
    noisy = convolve(photo, kernel) + np.random.default_rng(0).normal(0, sigma, photo.shape)
    return (noisy + 0.5).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("restore", [wiener, richardson_lucy])
def test_a_known_blur_is_undone(restore: Callable[..., Pixels], photo: Pixels, kernel: Kernel) -> None:
    given = blurred(photo, kernel)
    made = restore(given, kernel)
    assert (made.shape, made.dtype) == (given.shape, np.uint8)
    assert psnr_rgb(made, photo) > psnr_rgb(given, photo) + 1.5


def test_wiener_is_scikit_images_on_a_mirrored_image(photo: Pixels, kernel: Kernel) -> None:
    restoration = pytest.importorskip("skimage.restoration")
    given = blurred(photo, kernel)
    made = wiener(given, kernel, balance=0.1).astype(float)
    wide = np.pad(given, ((14, 14), (14, 14), (0, 0)), mode="symmetric") / 255
    theirs = [restoration.wiener(wide[..., channel], kernel, 0.1, clip=False) for channel in range(3)]
    expected = 255 * np.stack(theirs, axis=-1)[14:-14, 14:-14].clip(0, 1)
    assert np.abs(made - expected).max() <= 0.6


def test_richardson_lucy_is_scikit_images_away_from_the_border(photo: Pixels, kernel: Kernel) -> None:
    restoration = pytest.importorskip("skimage.restoration")
    given = blurred(photo, kernel)
    made = richardson_lucy(given, kernel, iterations=60).astype(float)
    theirs = restoration.richardson_lucy(given[..., 0] / 255, kernel, num_iter=60)
    difference = np.abs(made[..., 0] - 255 * theirs)[30:-30, 30:-30]
    # They start from a flat image, here the blurred one is the first estimate: the two meet.
    assert difference.mean() < 3


@pytest.mark.parametrize("restore", [partial(wiener, balance=0.0), partial(richardson_lucy, iterations=3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_blur_changes_nothing(restore: Callable[..., Pixels], dtype: type, photo: Pixels) -> None:
    deep = photo.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    made = restore(deep, normalised(np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])))
    assert made.dtype == dtype
    assert np.abs(made.astype(int) - deep.astype(int)).max() <= np.iinfo(dtype).max // 255


@pytest.mark.parametrize("shape", [(1, 1), (2, 30), (30, 3)])
def test_images_smaller_than_the_kernel(shape: tuple[int, int], kernel: Kernel) -> None:
    given = np.full((*shape, 3), 77, np.uint8)
    for restore in (wiener, richardson_lucy):
        np.testing.assert_allclose(restore(given, kernel), given, atol=1)
