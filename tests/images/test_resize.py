from __future__ import annotations

import numpy as np
import pytest
import torch

from gantools.images.ops.resize import pad_to_multiple, resize_bicubic


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
