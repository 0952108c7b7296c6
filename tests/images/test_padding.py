from __future__ import annotations

import pytest
import torch

from gantools.images.ops.resize import pad_to_multiple


@pytest.mark.parametrize("multiple", [1, 2, 4, 32, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (17, 33), (32, 64), (3, 2)])
def test_any_size_becomes_a_multiple_and_comes_back(size, multiple):
    tensor = torch.rand(2, 3, *size)
    padded, crop = pad_to_multiple(tensor, multiple)
    height, width = padded.shape[-2:]
    assert (height % multiple, width % multiple) == (0, 0)
    assert height - size[0] < multiple
    assert width - size[1] < multiple
    assert torch.equal(crop(padded), tensor)
    larger = padded.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(crop(larger, scale=4), tensor.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_the_padding_reflects_as_torch_does_where_torch_can():
    tensor = torch.rand(1, 3, 9, 11)
    expected = torch.nn.functional.pad(tensor, (0, 5, 0, 7), mode="reflect")
    assert torch.equal(pad_to_multiple(tensor, 16)[0], expected)


def test_reflection_is_repeated_for_small_pictures():
    row = torch.arange(3.0).view(1, 1, 1, 3)
    assert pad_to_multiple(row, 8)[0][0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
