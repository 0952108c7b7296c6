"""Outlines and dabs of colour against the plain loop that defines them."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.data.degrade import edges
from gantools.data.options.datasets import EdgeOptions
from gantools.data.synthetic import drawing


def rng(seed=0):
    return np.random.default_rng(seed)


def hinted_one_by_one(drawn, target, rng, options):
    """Square after square, in the order drawn; the non-white test on the [-1, 1] image."""
    painted = drawn.copy()
    rows, columns = np.nonzero((target.astype(np.float64) / 127.5 - 1).sum(axis=-1) < options.white_threshold)
    most = options.max_hints
    if options.hints == "random":
        most = int(rng.integers(options.min_hints, options.max_hints + 1))
    for chosen in rng.choice(len(rows), min(len(rows), most), replace=False):
        y, x, radius = rows[chosen], columns[chosen], options.hint_radius_px
        y0, y1 = max(0, y - radius + 1), min(target.shape[0], y + radius)
        x0, x1 = max(0, x - radius + 1), min(target.shape[1], x + radius)
        painted[y0:y1, x0:x1] = np.rint(target[y0:y1, x0:x1].mean(axis=(0, 1)))
    return painted


@pytest.mark.parametrize(
    "options",
    [
        EdgeOptions(),
        EdgeOptions(hint_radius_px=1),
        EdgeOptions(hint_radius_px=5),
        EdgeOptions(hints="random", min_hints=3, max_hints=40),
        EdgeOptions(white_threshold=-0.5),
    ],
)
@pytest.mark.parametrize("shape", [(64, 48), (3, 5), (1, 1), "shoe"])
def test_hints_equal_the_loop_and_leave_the_outline_alone(options, shape) -> None:
    for seed in range(5):
        if shape == "shoe":  # whose squares overlap the background
            target = drawing.draw_image("shoes", 0, 96, seed)
            outline = edges.outline(target, EdgeOptions())
        else:
            target = rng(seed).integers(0, 256, (*shape, 3), np.uint8)
            outline = np.full_like(target, 255)
        before = outline.copy()
        actual = edges.colour_hints(outline, target, rng(seed), options)
        np.testing.assert_array_equal(actual, hinted_one_by_one(outline, target, rng(seed), options))
        np.testing.assert_array_equal(outline, before)
        np.testing.assert_array_equal(edges.colour_hints(outline, np.full_like(target, 255), rng(), options), outline)


@pytest.mark.parametrize(("channel_sum", "hinted"), [(733, True), (734, False)])
def test_the_threshold_is_the_one_on_the_normalised_image(channel_sum: int, hinted: bool) -> None:
    target = np.full((4, 4, 3), 244, np.uint8)
    target[..., 2] = channel_sum - 2 * 244
    painted = edges.colour_hints(np.zeros_like(target), target, rng(), EdgeOptions(max_hints=16))
    assert bool(painted.any()) is hinted


def test_random_hints_reach_from_none_to_all() -> None:
    target = np.zeros((40, 40, 3), np.uint8)
    white = np.full_like(target, 255)
    options = EdgeOptions(hints="random", max_hints=2, hint_radius_px=1)
    made = [edges.colour_hints(white, target, rng(seed), options) for seed in range(30)]
    assert {int((each == 0).all(-1).sum()) for each in made} == {0, 1, 2}


def test_an_outline_is_black_where_the_photo_changes_and_white_elsewhere() -> None:
    photo = np.full((40, 40, 3), 230, np.uint8)
    photo[10:30, 10:30] = (180, 20, 30)
    drawn = edges.outline(photo, EdgeOptions())
    assert drawn.shape == photo.shape
    assert set(np.unique(drawn)) == {0, 255}
    rows, columns = np.nonzero(drawn[..., 0] == 0)
    assert 8 <= rows.min() <= 11
    assert 28 <= columns.max() <= 31
    assert (drawn[14:26, 14:26] == 255).all()


def test_higher_thresholds_draw_fewer_lines() -> None:
    photo = drawing.draw_image("scenes", 0, 200, seed=1)
    few = edges.outline(photo, EdgeOptions(canny_low=150, canny_high=300))
    assert 0 < (few == 0).sum() < (edges.outline(photo, EdgeOptions()) == 0).sum()
