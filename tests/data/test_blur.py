"""Blur kernels of every kind, and photos degraded by them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gantools.data.degrade import blur
from gantools.data.options.blur import BlurOptions
from gantools.images.ops.blur import convolve

SEEDS = range(12)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_and_variance(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a kernel's light, in y and x."""
    grid = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - np.array(kernel.shape)[:, None, None] // 2
    mean = (grid * kernel).sum(axis=(1, 2))
    return mean, ((grid - mean[:, None, None]) ** 2 * kernel).sum(axis=(1, 2))


@pytest.mark.parametrize("extent_px", [2.0, 8.0, 12.5, 16.0, 40.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_motion_kernels_have_constant_speed_the_wanted_extent_and_their_mean_in_the_middle(extent_px, seed) -> None:
    np.testing.assert_allclose(np.abs(np.diff(blur.trajectory(rng(seed), 300))), [1] * 299)
    kernel = blur.motion_kernel(rng(seed), extent_px, 500)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert all(side % 2 for side in kernel.shape)
    longest = max(int(np.ptp(np.flatnonzero(kernel.sum(axis=axis)))) for axis in (0, 1))
    assert extent_px - 1 <= longest <= extent_px + 2
    np.testing.assert_allclose(mean_and_variance(kernel)[0], 0, atol=2e-3)


@pytest.mark.parametrize("extent_px", [4.0, 12.5, 40.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_pans_are_one_line_of_the_wanted_extent_through_the_middle(extent_px: float, seed: int) -> None:
    kernel = blur.pan_kernel(rng(seed), extent_px)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    middle = kernel.shape[0] // 2
    assert kernel[middle, middle] > 0  # in the middle of the exposure, the point is where the sharp image shows it
    longest = max(int(np.ptp(np.flatnonzero(kernel.sum(axis=axis)))) for axis in (0, 1))
    assert extent_px - 1 <= longest <= extent_px + 2
    assert cv2.connectedComponents((kernel > 0).astype(np.uint8))[0] == 2  # the dark around it, and one line
    assert kernel.max() < 0.9


def test_rasterising_shares_each_point_bilinearly() -> None:
    points = rng().uniform(-3, 3, 50) + 1j * rng(1).uniform(-3, 3, 50)
    made = blur.rasterised(points)
    middle = made.shape[0] // 2
    expected = np.zeros(made.shape)
    for point in points:  # the straightforward way
        for y, x in np.ndindex(made.shape):
            near_y, near_x = 1 - abs(y - middle - point.real), 1 - abs(x - middle - point.imag)
            expected[y, x] += max(0.0, near_y) * max(0.0, near_x)
    np.testing.assert_allclose(made, expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("radius_px", [1.0, 1.5, 3.3, 8.0])
def test_a_disk_has_its_area_and_a_soft_rim(radius_px: float) -> None:
    kernel = blur.defocus_kernel(radius_px)
    assert 1 / kernel.max() == pytest.approx(np.pi * radius_px**2, rel=0.12)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])
    assert 0 < kernel[kernel > 0].min() < kernel.max()


@pytest.mark.parametrize("sigma_px", [0.8, 2.0, 5.0])
def test_a_gaussian_has_its_variance_and_is_separable(sigma_px: float) -> None:
    kernel = blur.gaussian_kernel(sigma_px)
    np.testing.assert_allclose(mean_and_variance(kernel)[1], sigma_px**2, rtol=0.02)
    assert np.linalg.matrix_rank(kernel, tol=1e-6) == 1


def test_only_wanted_kinds_are_drawn_and_measured_ones_from_all_files(tmp_path) -> None:
    files = [str(tmp_path / name) for name in ("a.npy", "b.npy")]
    for file, side in zip(files, (3, 5), strict=True):
        np.save(file, np.ones((side, side)))
    for wanted, sides in (
        ({"motion_weight": 1.0}, {*range(9, 70)}),
        ({"pan_weight": 1.0}, {*range(9, 70)}),
        ({"defocus_weight": 1.0, "defocus_px": (3.0, 3.0)}, {7}),
        ({"gaussian_weight": 1.0, "gaussian_px": (2.0, 2.0)}, {15}),
        ({"measured_weight": 1.0, "kernel_files": tuple(files)}, {3, 5}),
    ):
        options = BlurOptions(**({"motion_weight": 0.0, "trajectory_steps": 100} | wanted))
        drawn = {blur.random_kernel(rng(seed), options).shape[0] for seed in SEEDS}
        assert drawn <= sides
        assert len(drawn) >= min(len(sides), 2)


def test_a_photo_is_blurred_then_rounded_once() -> None:
    photo = rng().integers(0, 256, (40, 30, 3), np.uint8)
    still = BlurOptions(noise_sigma=(0.0, 0.0), trajectory_steps=100)
    kernel = blur.random_kernel(rng(3), still)
    expected = np.floor(convolve(photo, kernel) + 0.5).clip(0, 255)
    np.testing.assert_array_equal(blur.degraded(photo, kernel, rng(), still), expected)
    assert (blur.blurred(photo, rng(5), still) != blur.blurred(photo, rng(6), still)).any()


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_noise_has_its_deviation(sigma: float) -> None:
    flat = np.full((100, 100, 3), 128, np.uint8)
    made = blur.blurred(flat, rng(), BlurOptions(noise_sigma=(sigma, sigma), trajectory_steps=100)).astype(float)
    assert made.mean() == pytest.approx(128, abs=0.1)
    assert made.std() == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.03)  # rounding adds 1/12 to the variance


def test_white_and_black_stay() -> None:
    for value in (0, 255):
        flat = np.full((20, 20, 3), value, np.uint8)
        np.testing.assert_array_equal(blur.blurred(flat, rng(), BlurOptions(trajectory_steps=100)), flat)
