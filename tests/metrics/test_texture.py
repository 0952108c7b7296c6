"""Defects in plain areas, each put into an image on purpose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gantools.errors import ImageError
from gantools.images.ops.resize import resize_bicubic
from gantools.metrics import pair_metric, protocols
from gantools.metrics.texture import lattice

flat_texture = pair_metric("flat_texture")


def photo(height: int = 160, width: int = 224, grain: float = 1.0) -> np.ndarray:
    """A plain wall with film grain beside a rough surface."""
    rng = np.random.default_rng(0)
    values = np.full((height, width, 3), 120.0) + grain * rng.standard_normal((height, width, 1))
    values[:, width // 2 :] += 30 * rng.standard_normal((height, width - width // 2, 1))
    return rounded(values)


def rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def worms(strength: float) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(1).standard_normal(photo().shape[:2]), (0, 0), 1.5)
    return (strength * noise / noise.std())[..., None]


def dots(strength: float, period_px: int = 4) -> np.ndarray:
    spots = np.zeros(photo().shape[:2])
    spots[::period_px, ::period_px] = strength
    return spots[..., None]


def test_the_truth_has_the_texture_of_the_truth():
    assert flat_texture(photo(), photo()) == 1


def test_worms_and_dots_on_a_plain_wall_are_texture_and_smoothness_is_less_of_it():
    truth = photo()
    weak, strong = (flat_texture(rounded(truth + worms(strength)), truth) for strength in (2, 6))
    assert 1.2 < weak < strong
    assert flat_texture(rounded(truth + dots(8)), truth) > 1.2
    assert flat_texture(cv2.GaussianBlur(truth, (0, 0), 2), truth) < 0.6


def test_what_lies_on_a_rough_surface_does_not_count():
    truth, made = photo(), photo().copy()
    made[:, 130:] = rounded(made + worms(20))[:, 130:]
    assert flat_texture(made, truth) == pytest.approx(1, abs=0.02)


def test_the_flattest_part_is_taken_where_little_is_flat():
    """A tenth of the image is a wall, the rest is rough and gets no texture of its own."""
    truth = photo()
    truth[:, 24:] = np.random.default_rng(2).integers(0, 255, truth[:, 24:].shape, np.uint8)
    made = rounded(truth + worms(5))
    made[:, 24:] = truth[:, 24:]
    assert flat_texture(made, truth) > 1.5


def test_an_area_of_one_colour_can_be_divided_by():
    truth = photo(grain=0)
    assert flat_texture(truth, truth) == 1
    assert 5 < flat_texture(rounded(truth + worms(4)), truth) < 10  # 4 · 0.86 less its blur, over √(1/12)


@pytest.mark.parametrize(("strength", "period_px"), [(3, 4), (6, 4), (3, 2)])
def test_dots_are_a_lattice(strength, period_px):
    truth = photo()
    assert lattice(truth) < 1
    assert lattice(rounded(truth + dots(strength, period_px))) > 10


def test_stripes_are_a_lattice_and_periods_that_are_no_network_s_are_not():
    truth = photo()
    stripes = truth.astype(np.float64)
    stripes[:, ::4] += 4
    assert lattice(rounded(stripes)) > 6
    assert lattice(rounded(truth + dots(6, 5))) < 1
    assert lattice(rounded(truth + worms(6))) < 1
    assert lattice(resize_bicubic(resize_bicubic(truth, scale=1 / 4), scale=4)) < 0.5
    assert lattice(np.full((64, 80, 3), 7, np.uint8)) == 0


def test_what_rounding_makes_of_a_ramp_is_not_seen():
    ramp = np.linspace(100, 109, 64)[None, :, None] + np.linspace(0, 6, 48)[:, None, None]
    enlarged = resize_bicubic(np.repeat(rounded(ramp), 3, axis=2), scale=4)
    assert lattice(enlarged) < 2


def test_edges_along_the_sides_are_no_lattice():
    bars = np.random.default_rng(0).integers(0, 255, (1, 256, 1), np.uint8)
    assert lattice(np.broadcast_to(bars, (192, 256, 3)).copy()) < 1.5


def test_an_image_without_a_block_is_refused():
    with pytest.raises(ImageError, match="leave the metric out"):
        lattice(np.zeros((63, 200, 3), np.uint8))


def test_a_limit_of_texture_is_a_most():
    texture, psnr = protocols.find("flat_texture"), protocols.find("psnr_y")
    assert [texture.misses(1.2, value) for value in (0.4, 1.2, 1.3, float("nan"))] == [False, False, True, True]
    assert [psnr.misses(28, value) for value in (27, 28, 29, float("nan"))] == [True, False, False, True]
    assert texture.best_of({"a": {"flat_texture": 0.4}, "b": {"flat_texture": 1.0}}) is None
