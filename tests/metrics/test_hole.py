"""Only missing pixels count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gantools.errors import ImageError
from gantools.metrics.pixels import MOST_DECIBELS, hole_l1_percent, hole_l2_percent, hole_psnr, psnr_rgb

HOLE = np.zeros((8, 6), np.bool_)
HOLE[2:5, 1:4] = True
TRUTH = np.random.default_rng(0).integers(0, 200, (8, 6, 3), np.uint8)


def test_known_pixels_do_not_count_and_missing_ones_as_if_cut_out() -> None:
    made = TRUTH.copy()
    made[~HOLE] += 50
    assert hole_psnr(made, TRUTH, HOLE) == MOST_DECIBELS
    assert hole_l1_percent(made, TRUTH, HOLE) == hole_l2_percent(made, TRUTH, HOLE) == 0
    made[HOLE] += 51  # a fifth of the range
    assert hole_l1_percent(made, TRUTH, HOLE) == pytest.approx(20)
    assert hole_l2_percent(made, TRUTH, HOLE) == pytest.approx(4)
    assert hole_psnr(made, TRUTH, HOLE) == pytest.approx(10 * math.log10(25))
    assert hole_psnr(made, TRUTH, HOLE) == pytest.approx(psnr_rgb(made[2:5, 1:4], TRUTH[2:5, 1:4]))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        hole_psnr(TRUTH, TRUTH, np.zeros_like(HOLE))
    with pytest.raises(ImageError, match="cannot be compared"):
        hole_psnr(TRUTH, TRUTH[:4], HOLE)
