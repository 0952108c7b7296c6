"""Sample sheets, colours under transparency, luma."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.ops import transparency
from gantools.images.ops.color import luma
from gantools.images.ops.grid import GAP_PX, LABEL_PX, grid
from gantools.images.ops.transparency import restore, spread
from tests.images import make


def tile(height, width, value=9):
    return np.full((height, width, 3), value, np.uint8)


def test_a_sheet_has_aligned_tiles_on_white():
    sheet = grid([[tile(8, 10, 1), tile(8, 6, 2)], [tile(5, 10, 3), tile(4, 6, 4)], [tile(3, 3, 5)]])
    expected = np.full((8 + 5 + 3 + 4 * GAP_PX, 10 + 6 + 3 * GAP_PX, 3), 255, np.uint8)
    second, third, right = 8 + 2 * GAP_PX, 8 + 5 + 3 * GAP_PX, 10 + 2 * GAP_PX
    expected[GAP_PX : GAP_PX + 8, GAP_PX : GAP_PX + 10] = 1
    expected[GAP_PX : GAP_PX + 8, right : right + 6] = 2
    expected[second : second + 5, GAP_PX : GAP_PX + 10] = 3
    expected[second : second + 4, right : right + 6] = 4
    expected[third : third + 3, GAP_PX : GAP_PX + 3] = 5
    np.testing.assert_array_equal(sheet, expected)


def test_titles_are_drawn_above_the_columns():
    plain = grid([[tile(20, 60), tile(20, 60)]])
    labelled = grid([[tile(20, 60), tile(20, 60)]], ["input", "output"])
    assert labelled.shape[0] == plain.shape[0] + LABEL_PX
    assert np.array_equal(labelled[LABEL_PX:], plain)
    for start in (0, 60 + GAP_PX):
        assert (labelled[:LABEL_PX, start : start + 60] < 128).any()
    with pytest.raises(ValueError, match="shorter"):
        grid([[tile(4, 4), tile(4, 4)]], ["input"])


def test_titles_of_a_wide_sheet_grow_within_their_columns():
    def title_px(*widths):
        return grid([[tile(20, width) for width in widths]], ["low", "made"]).shape[0] - 20 - 2 * GAP_PX

    assert title_px(300, 300) == LABEL_PX
    assert title_px(700, 1400) == 3 * LABEL_PX
    assert LABEL_PX < title_px(40, 2060) < 3 * LABEL_PX


def logo(height=40, dtype=np.uint8):
    """Noise that is visible in a corner and in one pixel."""
    alpha = np.zeros((height, 60), dtype)
    alpha[5:15, 8:20] = np.iinfo(dtype).max
    alpha[30, 50] = 1
    return Image(make.noise(height, 60, 3, dtype), alpha)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_hidden_pixel_gets_the_colour_of_a_nearest_visible_one(dtype):
    image = logo(dtype=dtype)
    found = spread(image)
    seen = image.alpha > 0
    np.testing.assert_array_equal(found[seen], image.pixels[seen])
    places = np.argwhere(seen)
    for row, column in np.argwhere(~seen)[::37]:
        far = np.hypot(*(places - (row, column)).T)
        near = places[far <= far.min() * 1.05 + 1e-9]  # OpenCV's distances are approximate
        assert any((found[row, column] == image.pixels[tuple(place)]).all() for place in near)
    restore(found, image)
    np.testing.assert_array_equal(found, image.pixels)


def test_nothing_is_copied_where_nothing_is_hidden_or_nothing_seen():
    pixels = make.noise(6, 8, 3)
    for alpha in (None, np.full((6, 8), 1, np.uint8), np.zeros((6, 8), np.uint8)):
        assert spread(Image(pixels, alpha)) is pixels


@pytest.mark.parametrize("rows", [1, 7, 16])
def test_bands_change_nothing_near_what_is_seen(monkeypatch, rows):
    whole = spread(logo())
    monkeypatch.setattr(transparency, "BAND_ROWS", rows)
    monkeypatch.setattr(transparency, "_BESIDE_ROWS", 30)
    np.testing.assert_array_equal(spread(logo())[:30], whole[:30])


def test_what_is_far_from_everything_visible_gets_the_mean(monkeypatch):
    monkeypatch.setattr(transparency, "BAND_ROWS", 8)
    monkeypatch.setattr(transparency, "_BESIDE_ROWS", 2)
    image = logo(100)
    mean = image.pixels[image.alpha > 0].mean(axis=0)
    assert np.abs(spread(image)[60:] - mean).max() < 1


def test_luma_is_studio_range():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours)[0] == pytest.approx([16, 235, 81.481, 144.553, 40.966])
