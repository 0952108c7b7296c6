"""Weights between two files."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantools.errors import UsageError
from gantools.inference.model import Blend, open_model
from gantools.models.options import CompactSROptions, SRResNetOptions

CPU = torch.device("cpu")
SMALL = CompactSROptions(channels=4, blocks=1)


@pytest.fixture
def two(save_weights: Any) -> Any:
    return save_weights(SMALL, seed=0, name="a.safetensors"), save_weights(SMALL, seed=1, name="b.safetensors")


def state(path: Any, blend: Blend | None = None) -> dict[str, torch.Tensor]:
    return dict(open_model(path, export=None, device=CPU, blend=blend).network.state_dict())


def test_the_ends_are_the_two_files_and_half_way_is_their_mean(two: Any) -> None:
    one, other = two
    ends = state(other), state(one)
    for share, wanted in ((0.0, ends[0]), (1.0, ends[1])):
        assert all(torch.equal(value, wanted[key]) for key, value in state(one, Blend(other, share)).items())
    for key, value in state(one, Blend(other, 0.5)).items():
        torch.testing.assert_close(value, (ends[0][key] + ends[1][key]) / 2)


def test_other_networks_are_refused(two: Any, save_weights: Any) -> None:
    for other in (SRResNetOptions(channels=4, blocks=1), CompactSROptions(channels=8, blocks=1)):
        path = save_weights(other, name="c.safetensors")
        with pytest.raises(UsageError, match=r"--blend: .*c\.safetensors' holds no network like that of"):
            state(two[0], Blend(path, 0.5))
