"""Colours of pixels that nobody sees are those of the nearest visible ones, before a network looks at them."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.ops import transparency
from gantools.images.ops.transparency import restore, spread


def logo(make, height=40, width=60, dtype=np.uint8):
    """Noise that is visible in a corner and in one pixel."""
    alpha = np.zeros((height, width), dtype)
    alpha[5:15, 8:20] = np.iinfo(dtype).max
    alpha[30, 50] = 1
    return Image(make.noise(height, width, 3, dtype), alpha)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_each_hidden_pixel_gets_the_colour_of_a_nearest_visible_one(make, dtype):
    image = logo(make, dtype=dtype)
    found = spread(image)
    seen = image.alpha > 0
    np.testing.assert_array_equal(found[seen], image.pixels[seen])
    places = np.argwhere(seen)
    for row, column in np.argwhere(~seen)[::37]:
        far = np.hypot(*(places - (row, column)).T)
        near = places[far <= far.min() * 1.05 + 1e-9]  # OpenCV's distances are approximate
        assert any((found[row, column] == image.pixels[tuple(place)]).all() for place in near)


def test_nothing_is_copied_where_nothing_is_hidden_or_nothing_seen(make):
    pixels = make.noise(6, 8, 3)
    for alpha in (None, np.full((6, 8), 1, np.uint8), np.zeros((6, 8), np.uint8)):
        assert spread(Image(pixels, alpha)) is pixels


@pytest.mark.parametrize("rows", [1, 7, 16])
def test_bands_change_nothing_near_what_is_seen(make, monkeypatch, rows):
    image = logo(make)
    whole = spread(image)
    monkeypatch.setattr(transparency, "BAND_ROWS", rows)
    monkeypatch.setattr(transparency, "_BESIDE_ROWS", 30)
    np.testing.assert_array_equal(spread(image)[:30], whole[:30])


def test_what_is_far_from_everything_visible_gets_the_mean(make, monkeypatch):
    monkeypatch.setattr(transparency, "BAND_ROWS", 8)
    monkeypatch.setattr(transparency, "_BESIDE_ROWS", 2)
    image = logo(make, 100)
    mean = image.pixels[image.alpha > 0].mean(axis=0)
    assert np.abs(spread(image)[60:] - mean).max() < 1


def test_hidden_colours_come_back(make):
    image = logo(make)
    pixels = spread(image)
    restore(pixels, image)
    np.testing.assert_array_equal(pixels, image.pixels)
