"""Resizing, value ranges, sample sheets, colours under transparency, luma."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantools.images.image import Image, to_8_bit, to_16_bit
from gantools.images.ops import transparency
from gantools.images.ops.color import luma
from gantools.images.ops.grid import GAP_PX, LABEL_PX, grid
from gantools.images.ops.resize import pad_to_multiple, resize_bicubic
from gantools.images.ops.transparency import restore, spread
from gantools.images.ranges import batch_from_float, batch_to_float, from_tensor, to_tensor
from tests.images import make


def keys(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def imresize_line(line, resized, scale):
    """MATLAB's algorithm for one line, one output sample at a time, in its own 1-based terms."""
    length, shrink = len(line), min(scale, 1)
    result = []
    for position in range(1, resized + 1):
        u = position / scale + 0.5 * (1 - 1 / scale)
        total = weight_sum = 0.0
        for index in range(int(np.floor(u - 2 / shrink)) - 1, int(np.ceil(u + 2 / shrink)) + 2):
            weight = keys((u - index) * shrink)
            mirrored = [*range(1, length + 1), *range(length, 0, -1)][(index - 1) % (2 * length)]
            total += weight * line[mirrored - 1]
            weight_sum += weight
        result.append(total / weight_sum)
    return np.array(result)


def imresize(plane, size, scale=None):
    rows = [imresize_line(column, size[0], scale or size[0] / plane.shape[0]) for column in plane.T]
    between = np.array(rows).T
    return np.array([imresize_line(row, size[1], scale or size[1] / plane.shape[1]) for row in between])


@pytest.mark.parametrize(
    ("size", "resized"),
    [((24, 16), (6, 4)), ((6, 5), (24, 20)), ((9, 13), (4, 20)), ((1, 1), (4, 4)), ((3, 40), (2, 70))],
)
def test_resizing_equals_the_published_algorithm_edges_included(size, resized):
    image = np.random.default_rng(0).random((*size, 3))
    expected = np.stack([imresize(image[..., channel], resized) for channel in range(3)], axis=2)
    assert resize_bicubic(image, size=resized) == pytest.approx(expected, abs=1e-12)


def test_scale_counts_up_and_is_used_as_given():
    image = np.random.default_rng(0).random((10, 7, 3))
    resized = resize_bicubic(image, scale=1 / 4)
    assert resized.shape == (3, 2, 3)
    assert resized[..., 0] == pytest.approx(imresize(image[..., 0], (3, 2), 1 / 4), abs=1e-12)
    with pytest.raises(ValueError, match="either"):
        resize_bicubic(image, scale=2, size=(8, 8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_and_clipped(dtype):
    top = np.iinfo(dtype).max
    stripes = np.zeros((16, 16, 3), dtype)
    stripes[:, 8:] = top
    resized = resize_bicubic(stripes, scale=2)
    exact = resize_bicubic(stripes.astype(float), scale=2)
    assert resized.dtype == dtype
    assert exact.max() > top
    assert np.array_equal(resized, np.clip(np.floor(exact + 0.5), 0, top).astype(dtype))


def test_flat_images_stay_flat_and_large_ones_are_done_in_bands():
    flat = np.full((300, 260, 3), 77, np.uint8)
    assert (resize_bicubic(flat, size=(111, 512)) == 77).all()


@pytest.mark.parametrize("multiple", [1, 2, 4, 32, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (17, 33), (32, 64), (3, 2)])
def test_images_are_padded_to_the_next_multiple_by_repeated_reflection(size, multiple):
    tensor = torch.rand(2, 3, *size)
    height, width = (-(-side // multiple) * multiple for side in size)
    rows, columns = ([*range(side), *range(side - 2, 0, -1)] * multiple for side in size)  # 0 1 2 1 0 1 2 1 …
    assert torch.equal(pad_to_multiple(tensor, multiple), tensor[:, :, rows[:height]][..., columns[:width]])


# Value ranges


@pytest.mark.parametrize(("dtype", "side"), [(np.uint8, 16), (np.uint16, 256)])
def test_every_value_survives_the_round_trip(dtype, side):
    every = np.arange(side * side, dtype=dtype).reshape(side, side, 1).repeat(3, axis=2)
    given = every.copy()
    tensor = to_tensor(given)
    assert tensor.shape == (1, 3, side, side)
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (-1, 1)
    back = from_tensor(tensor, dtype)
    assert back.dtype == dtype
    assert np.array_equal(back, every)
    assert np.array_equal(given, every)


def test_batches_are_exactly_x_over_half_minus_one():
    batch = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    given = batch.clone()
    expected = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
    for layout in (torch.contiguous_format, torch.channels_last):
        made = batch_to_float(given, layout)
        assert torch.equal(made, expected)
        assert made.is_contiguous(memory_format=layout)
    assert batch_to_float(given).is_contiguous()
    assert torch.equal(batch_from_float(expected), batch)
    assert torch.equal(given, batch)


def test_values_outside_are_clamped_and_halves_go_up():
    tensor = torch.tensor([-3.0, 3.0, 0.0, 1e-3]).view(1, 1, 4).expand(3, 1, 4)
    assert from_tensor(tensor)[0, :, 0].tolist() == [0, 255, 128, 128]
    assert from_tensor(tensor, np.uint16)[0, :3, 0].tolist() == [0, 65535, 32768]
    with pytest.raises(ValueError, match="batch of 2"):
        from_tensor(torch.zeros(2, 3, 4, 4))


def test_depths_are_converted_by_the_nearest_step():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_8_bit(to_16_bit(every)), every)
    deep = np.arange(65536, dtype=np.uint16)
    assert np.abs(to_8_bit(deep).astype(float) - deep / 257).max() <= 0.5
    assert to_16_bit(every)[-1] == 65535


# Sheets and transparency


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
def test_bands_change_nothing_near_what_is_seen_and_far_from_it_is_its_mean(monkeypatch, rows):
    image = logo(100)
    whole, mean = spread(image), image.pixels[image.alpha > 0].mean(axis=0)
    monkeypatch.setattr(transparency, "BAND_ROWS", rows)
    monkeypatch.setattr(transparency, "_BESIDE_ROWS", 30)
    made = spread(image)
    np.testing.assert_array_equal(made[:30], whole[:30])
    assert np.abs(made[80:] - mean).max() < 1


def test_luma_is_studio_range():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours)[0] == pytest.approx([16, 235, 81.481, 144.553, 40.966])
