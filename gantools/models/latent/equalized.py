"""Layers of ProGAN and StyleGAN: weights scaled at run time, pixel norm, standard deviation over a batch."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

HE_GAIN = sqrt(2)


def drawn(*shape: int, divisor: float = 1.0) -> Tensor:
    """Values of N(0, 1) over ``divisor``. On the meta device only a shape: to draw there imports much of PyTorch."""
    values = torch.empty(shape)
    return values if values.is_meta else values.normal_() / divisor


class EqualizedConv2d(nn.Module):
    """A convolution whose weights are drawn from N(0, 1) and multiplied by gain/√fan_in whenever it runs.

    So all weights have the same dynamic range, and an optimizer with steps of a fixed size learns all equally fast.
    Shapes: (N, inputs, H, W) → (N, outputs, H, W): same padding; with a stride none.
    Paper: Karras 2018, arXiv 1710.10196, section 4.1.
    """

    def __init__(self, inputs: int, outputs: int, kernel_px: int, gain: float = HE_GAIN, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(drawn(outputs, inputs, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.factor, self.padding = gain / sqrt(inputs * kernel_px**2), kernel_px // 2

    def forward(self, features: Tensor, stride: int = 1) -> Tensor:
        padding = self.padding if stride == 1 else 0
        return functional.conv2d(features, self.weight * self.factor, self.bias, stride, padding)


class EqualizedLinear(nn.Module):
    """A dense layer whose weights are scaled as ``EqualizedConv2d``'s. ``lr_multiplier`` slows its learning (StyleGAN).

    Shapes: (N, inputs) → (N, outputs).
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = HE_GAIN, lr_multiplier: float = 1.0, bias_start: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(drawn(outputs, inputs, divisor=lr_multiplier))
        self.bias = nn.Parameter(torch.full((outputs,), bias_start / lr_multiplier))
        self.factor, self.lr_multiplier = gain / sqrt(inputs) * lr_multiplier, lr_multiplier

    def forward(self, features: Tensor) -> Tensor:
        return functional.linear(features, self.weight * self.factor, self.bias * self.lr_multiplier)


def pixel_norm(features: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Divide each position's vector of channels by its root mean square. (N, C, …) → (N, C, …)."""
    return features * (features.square().mean(dim=1, keepdim=True) + epsilon).rsqrt()


def minibatch_deviation(features: Tensor, group_images: int = 4, epsilon: float = 1e-8) -> Tensor:
    """Join one plane that says how much the images of a group differ: the mean standard deviation of all features.

    Shapes: (N, C, H, W) → (N, C + 1, H, W). Groups have the largest size up to ``group_images`` that divides N; they
    interleave: images i, i + N/g, i + 2N/g, … are one group.
    Paper: Karras 2018, arXiv 1710.10196, section 3.
    """
    count = len(features)
    group = next(size for size in range(min(group_images, count), 0, -1) if count % size == 0)
    grouped = features.reshape(group, count // group, *features.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + epsilon).sqrt().mean(dim=(1, 2, 3))
    planes = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *features.shape[2:])
    return torch.cat((features, planes), dim=1)
