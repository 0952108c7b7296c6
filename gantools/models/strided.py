"""Convolutions with a stride that stay right in 16 bits on a processor, down to maps of one column."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

# oneDNN (torch 2.13 to 2.15) computes some 16-bit convolutions with a stride wrongly where a map is one sample wide:
# with AVX512-BF16 the gradient of the weights for one column on the fine side is uninitialised memory (up to 1e38 or
# NaN, the forward pass is right), with AMX the forward pass itself is finite garbage for one column on the coarse side.
# float32 is right in every case. Maps that small cost nothing, so any of the four sides being 1 takes float32.
_SMALL_TYPES = (torch.bfloat16, torch.float16)

Pair: TypeAlias = tuple[int, int]


class StridedConv2d(nn.Conv2d):
    """``nn.Conv2d`` with zero padding; on a CPU a 16-bit result of maps one sample wide is computed in float32."""

    padding: Pair
    stride: Pair
    kernel_size: Pair

    def forward(self, input: Tensor) -> Tensor:
        small = _small_type(input)
        if small is None or not self.is_narrow(input):
            return super().forward(input)
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast("cpu", enabled=False):
            weight = self.weight.float()
            return functional.conv2d(input.float(), weight, bias, self.stride, self.padding, groups=self.groups).to(
                small
            )

    def is_narrow(self, fine: Tensor) -> bool:
        shape = zip(fine.shape[-2:], self.padding, self.kernel_size, self.stride, strict=True)
        coarse = [(side + 2 * padding - kernel) // stride + 1 for side, padding, kernel, stride in shape]
        return 1 in (*fine.shape[-2:], *coarse)


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with the same care."""

    padding: Pair
    stride: Pair
    kernel_size: Pair
    output_padding: Pair

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        small = _small_type(input)
        if small is None or not self.is_narrow(input):
            return super().forward(input, output_size)
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast("cpu", enabled=False):
            return functional.conv_transpose2d(
                input.float(), self.weight.float(), bias, self.stride, self.padding, self.output_padding
            ).to(small)

    def is_narrow(self, coarse: Tensor) -> bool:
        shape = zip(coarse.shape[-2:], self.stride, self.padding, self.kernel_size, self.output_padding, strict=True)
        fine = [(side - 1) * stride - 2 * padding + kernel + added for side, stride, padding, kernel, added in shape]
        return 1 in (*coarse.shape[-2:], *fine)


def _small_type(features: Tensor) -> torch.dtype | None:
    """The 16-bit type a convolution of ``features`` would be computed in on a CPU, if it is one."""
    if features.device.type != "cpu":
        return None
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype
    return dtype if dtype in _SMALL_TYPES else None
