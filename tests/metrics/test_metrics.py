from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gantools.errors import ImageError
from gantools.images.ops.color import luma
from gantools.metrics import PAIR_METRICS, pair_metric
from gantools.metrics.pixels import MOST_DECIBELS, ab_l1, colorfulness, l1_percent, l2_percent, psnr_rgb, psnr_y
from gantools.metrics.ssim import ssim_rgb, ssim_y

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    a = random.integers(0, 256, (40, 33, 3), dtype=np.uint8)
    b = np.clip(a + random.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    return a, b


def test_psnr_is_the_definition(pair):
    a, b = pair
    assert psnr_rgb(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-12)
    cut = np.s_[4:-4, 4:-4]
    expected = peak_signal_noise_ratio(luma(a)[cut], luma(b)[cut], data_range=255)
    assert psnr_y(a, b) == pytest.approx(expected, abs=1e-12)
    assert psnr_y(a, b, border_px=0) != psnr_y(a, b)


def test_psnr_of_one_step_is_known():
    a = np.full((16, 16, 3), 100, np.uint8)
    assert psnr_rgb(a, a + 1) == pytest.approx(10 * math.log10(255**2))
    assert psnr_y(a, a + 1) == pytest.approx(10 * math.log10(255**2 / (219 / 255) ** 2))


def test_ssim_agrees_with_scikit_image_on_the_valid_region(pair):
    a, b = pair
    cut = np.s_[4:-4, 4:-4]
    for measure, x, y, axis in ((ssim_rgb, a, b, 2), (ssim_y, luma(a)[cut], luma(b)[cut], None)):
        full = structural_similarity(x.astype(float), y.astype(float), full=True, channel_axis=axis, **GAUSSIAN)[1]
        assert measure(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_differences_are_percent_of_full_scale():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    half = np.full((4, 4, 3), 51, np.uint8)
    assert (l1_percent(black, white), l2_percent(black, white)) == (100, 100)
    assert l1_percent(black, half) == pytest.approx(20)
    assert l2_percent(black, half) == pytest.approx(4)


@pytest.mark.parametrize("name", [name for name in PAIR_METRICS.names() if name not in ("ms_ssim", "flat_texture")])
def test_every_metric_knows_equality_symmetry_and_refuses_what_it_cannot_measure(name, pair):
    a, b = pair
    measure = pair_metric(name)
    best = {"psnr_y": MOST_DECIBELS, "psnr_rgb": MOST_DECIBELS, "ssim_y": 1, "ssim_rgb": 1}.get(name, 0)
    assert measure(a, a) == best
    assert measure(a, b) == pytest.approx(measure(b, a), rel=1e-12)
    assert measure(a, b) != best
    with pytest.raises(ImageError, match=r"33×40 and 40×33"):
        measure(a, a.swapaxes(0, 1))
    with pytest.raises(ValueError, match="uint8"):
        measure(a.astype(float), b.astype(float))


def test_images_that_are_nearly_equal_have_no_better_psnr_than_equal_ones():
    truth = np.zeros((300, 400, 3), np.uint8)
    nearly = truth.copy()
    nearly[0, 0, 0] = 1
    assert psnr_rgb(nearly, truth) == psnr_rgb(truth, truth) == MOST_DECIBELS
    nearly[:10] = 1
    assert psnr_rgb(nearly, truth) == pytest.approx(10 * math.log10(255**2 * 30))


def test_too_small_images_are_refused_by_name():
    tiny = np.zeros((8, 9, 3), np.uint8)
    for measure in (psnr_y, ssim_y, ssim_rgb):
        with pytest.raises(ImageError, match="9×8 is too small"):
            measure(tiny, tiny)
    with pytest.raises(ImageError, match="too small"):
        pair_metric("ms_ssim")(*np.zeros((2, 168, 168, 3), np.uint8))


def test_colorfulness_of_known_images():
    assert colorfulness(np.full((5, 5, 3), 90, np.uint8)) == 0
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    assert colorfulness(red) == pytest.approx(0.3 * math.hypot(200, 100))
    red[:2] = 0
    assert colorfulness(red) == pytest.approx(math.hypot(100, 50) + 0.3 * math.hypot(100, 50))


def test_ab_l1_is_the_difference_in_lab(pair):
    from skimage.color import rgb2lab

    a, b = pair
    expected = np.abs(rgb2lab(a)[..., 1:] - rgb2lab(b)[..., 1:]).mean()
    assert ab_l1(a, b) == pytest.approx(expected, rel=2e-3)
    gray, lighter = np.full((4, 4, 3), 90, np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert ab_l1(gray, lighter) == pytest.approx(0, abs=0.05)
    assert ab_l1(a, b) == PAIR_METRICS.factory("ab_l1")(a, b)
