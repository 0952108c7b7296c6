from __future__ import annotations

import numpy as np
import pytest
import torch

from gantools.images.image import to_8_bit, to_16_bit
from gantools.images.ranges import batch_from_float, batch_to_float, from_tensor, to_tensor


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
