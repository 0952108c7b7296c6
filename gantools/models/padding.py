"""Padding that keeps the type of what it pads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Autocast computes these two in float32 on a CPU although they only move values: a 16-bit map would be widened, copied
# and narrowed again by the next convolution, and its gradient likewise, a seventh of CycleGAN's step.


class ReflectionPad2d(nn.ReflectionPad2d):
    """``nn.ReflectionPad2d`` outside the CPU's autocast."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(input)


class ReplicationPad2d(nn.ReplicationPad2d):
    """``nn.ReplicationPad2d`` outside the CPU's autocast."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(input)
