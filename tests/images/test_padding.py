from __future__ import annotations

import pytest
import torch

from gantools.images.ops.resize import pad_to_multiple


@pytest.mark.parametrize("multiple", [1, 2, 4, 32, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (17, 33), (32, 64), (3, 2)])
def test_any_size_becomes_the_next_multiple(size, multiple):
    tensor = torch.rand(2, 3, *size)
    padded = pad_to_multiple(tensor, multiple)
    assert padded.shape[-2:] == tuple(-(-side // multiple) * multiple for side in size)
    assert torch.equal(padded[..., : size[0], : size[1]], tensor)


def test_the_padding_reflects_as_torch_does_where_torch_can():
    tensor = torch.rand(1, 3, 9, 11)
    expected = torch.nn.functional.pad(tensor, (0, 5, 0, 7), mode="reflect")
    assert torch.equal(pad_to_multiple(tensor, 16), expected)


def test_reflection_is_repeated_for_small_images():
    row = torch.arange(3.0).view(1, 1, 1, 3)
    assert pad_to_multiple(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
