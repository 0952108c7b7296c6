"""Outlines and dabs of colour against the plain loop that defines them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gantools.data.degrade import edges
from gantools.data.options.datasets import EdgeOptions
from gantools.data.synthetic import drawing

Pixels = npt.NDArray[np.uint8]


def painted_one_by_one(drawing: Pixels, target: Pixels, rng: np.random.Generator, options: EdgeOptions) -> Pixels:
    """Square after square, in the order drawn; the non-white test on the [-1, 1] image."""
    painted = drawing.copy()
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
@pytest.mark.parametrize("shape", [(64, 48), (3, 5), (1, 1)])
def test_hints_equal_the_loop(options: EdgeOptions, shape: tuple[int, int]) -> None:
    for seed in range(5):
        target = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
        drawing = np.full_like(target, 255)
        expected = painted_one_by_one(drawing, target, np.random.default_rng(seed), options)
        actual = edges.colour_hints(drawing, target, np.random.default_rng(seed), options)
        np.testing.assert_array_equal(actual, expected)


def test_hints_equal_the_loop_on_a_shoe_where_squares_overlap_the_background() -> None:
    shoe = drawing.draw_image("shoes", 0, 96, 1)
    outline = edges.outline(shoe, EdgeOptions())
    expected = painted_one_by_one(outline, shoe, np.random.default_rng(0), EdgeOptions())
    actual = edges.colour_hints(outline, shoe, np.random.default_rng(0), EdgeOptions())
    np.testing.assert_array_equal(actual, expected)
    assert (actual != outline).any()


def test_a_white_target_gives_no_hints_and_the_drawing_is_left_alone() -> None:
    drawing = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    before = drawing.copy()
    white = np.full_like(drawing, 255)
    np.testing.assert_array_equal(edges.colour_hints(drawing, white, np.random.default_rng(0), EdgeOptions()), drawing)
    edges.colour_hints(drawing, np.zeros_like(drawing), np.random.default_rng(0), EdgeOptions())
    np.testing.assert_array_equal(drawing, before)


@pytest.mark.parametrize(("channel_sum", "hinted"), [(733, True), (734, False)])
def test_the_threshold_is_the_one_on_the_normalised_image(channel_sum: int, hinted: bool) -> None:
    target = np.full((4, 4, 3), 244, np.uint8)
    target[..., 2] = channel_sum - 2 * 244
    drawing = np.zeros_like(target)
    painted = edges.colour_hints(drawing, target, np.random.default_rng(0), EdgeOptions(max_hints=16))
    assert bool(painted.any()) is hinted


def test_random_hints_reach_from_none_to_all() -> None:
    target = np.zeros((40, 40, 3), np.uint8)
    drawing = np.full_like(target, 255)
    options = EdgeOptions(hints="random", max_hints=2, hint_radius_px=1)
    painted = [
        (edges.colour_hints(drawing, target, np.random.default_rng(s), options) == 0).all(-1).sum() for s in range(30)
    ]
    assert set(painted) == {0, 1, 2}


def test_an_outline_is_black_where_the_photo_changes_and_white_elsewhere() -> None:
    photo = np.full((40, 40, 3), 230, np.uint8)
    photo[10:30, 10:30] = (180, 20, 30)
    drawn = edges.outline(photo, EdgeOptions())
    assert set(np.unique(drawn)) == {0, 255}
    assert drawn.shape == photo.shape
    rows, columns = np.nonzero(drawn[..., 0] == 0)
    assert 8 <= rows.min() <= 11
    assert 28 <= columns.max() <= 31
    assert (drawn[14:26, 14:26] == 255).all()


def test_higher_thresholds_draw_fewer_lines(shared_data: Path) -> None:
    from gantools.images.io import reader

    photo = reader.read_rgb8(next((shared_data / "photos_kodak24").glob("*.png")))
    few = edges.outline(photo, EdgeOptions(canny_low=150, canny_high=300))
    assert 0 < (few == 0).sum() < (edges.outline(photo, EdgeOptions()) == 0).sum()
