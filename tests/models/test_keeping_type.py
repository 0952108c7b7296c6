"""Padding keeps the type of maps under autocast and is torch's in every other way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools.models import blocks

KINDS = [(blocks.ReflectionPad2d, nn.ReflectionPad2d), (blocks.ReplicationPad2d, nn.ReplicationPad2d)]


@pytest.mark.parametrize(("ours", "torchs"), KINDS)
def test_padding_keeps_16_bits_and_values(ours: type[nn.Module], torchs: type[nn.Module]) -> None:
    features = torch.randn(2, 3, 5, 6).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        made = ours((1, 2, 1, 0))(features)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made.float(), torchs((1, 2, 1, 0))(features.float()))
    made.sum().backward()
    assert features.grad is not None
    assert features.grad.sum() == made.numel()


@pytest.mark.parametrize(("ours", "torchs"), KINDS)
def test_padding_works_without_memory(ours: type[nn.Module], torchs: type[nn.Module]) -> None:
    """On the meta device, where whether networks fit is found out, there is no autocast."""
    shape = torch.empty(1, 3, 5, 6, device="meta")
    assert ours(2)(shape).shape == torchs(2)(shape).shape
