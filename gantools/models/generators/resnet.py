"""The residual generator of CycleGAN and DeblurGAN."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, TypeAlias, cast

from torch import Tensor, nn

from gantools.models.blocks import (
    NORMS,
    BlurPool,
    NormName,
    ReflectionPad2d,
    Residual,
    convolution_bias,
    maybe_dropout,
)
from gantools.models.halo import LOCAL_NORMS, Halo
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Downsampling: TypeAlias = Literal["strided", "blurred"]
Upsampling: TypeAlias = Literal["transposed", "resize", "bilinear"]


class ResNet(nn.Module):
    """A 7×7 stem, ``downs`` halvings, ``blocks`` residual blocks, as many doublings, a 7×7 convolution and Tanh.

    With ``global_residual`` the network learns what to add to its input: y = clamp(x + tanh(…), -1, 1). ``blurred`` and
    ``bilinear`` are CUT's form, which shifts with its input: each down is blurred before samples are left out, and each
    up is enlarged by [1, 3, 3, 1] / 4 before its convolution, which is bilinear enlargement.

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 2^downs and at least 2^(downs + 1):
    the blocks pad by reflection, which needs two pixels at their scale (four at the stem's).
    Range: [-1, 1] → [-1, 1].
    Paper: Johnson 2016, arXiv 1603.08155; Zhu 2017, arXiv 1703.10593; Kupyn 2018, arXiv 1711.07064;
    Zhang 2019, arXiv 1904.11486 (blur); Park 2020, arXiv 2007.15651 (CUT).
    Differs from the paper: Johnson's network has zero padding, BatchNorm and 9×9 ends; this is CycleGAN's form.
    """

    scale: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        downs: int = 2,
        blocks: int = 9,
        norm: NormName = "instance",
        downsampling: Downsampling = "strided",
        upsampling: Upsampling = "transposed",
        dropout: float = 0.0,
        global_residual: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.size_multiple = 2**downs
        self.minimum_size_px = max(2 * self.size_multiple, 4)
        halo = _halo(downs, blocks, downsampling, upsampling)
        self.halo_px: int | None = halo.px if norm in LOCAL_NORMS else None
        has_bias = convolution_bias(norm, bias)
        channels = [base_channels * 2**level for level in range(downs + 1)]
        self.stem = nn.Sequential(
            ReflectionPad2d(3),
            nn.Conv2d(in_channels, base_channels, 7, bias=has_bias),
            *_norm_relu(base_channels, norm),
        )
        self.downs = nn.Sequential()
        for inputs, outputs in pairwise(channels):
            stride, blur = (1, [BlurPool()]) if downsampling == "blurred" else (2, [])
            convolution = StridedConv2d(inputs, outputs, 3, stride=stride, padding=1, bias=has_bias)
            self.downs.extend([convolution, *_norm_relu(outputs, norm), *blur])
        self.blocks = nn.Sequential(*(_block(channels[-1], norm, has_bias, dropout) for _ in range(blocks)))
        self.ups = nn.Sequential()
        for inputs, outputs in pairwise(channels[::-1]):
            self.ups.extend([*_enlargement(inputs, outputs, has_bias, upsampling), *_norm_relu(outputs, norm)])
        self.last = nn.Sequential(ReflectionPad2d(3), nn.Conv2d(base_channels, out_channels, 7), nn.Tanh())
        self.global_residual = global_residual

    def forward(self, image: Tensor) -> Tensor:
        output = cast(Tensor, self.last(self.ups(self.blocks(self.downs(self.stem(image))))))
        return (image + output).clamp(-1, 1) if self.global_residual else output


def _norm_relu(channels: int, norm: NormName) -> list[nn.Module]:
    return [NORMS[norm](channels), nn.ReLU()]


def _enlargement(inputs: int, outputs: int, bias: bool, upsampling: Upsampling) -> list[nn.Module]:
    if upsampling == "transposed":
        return [StridedConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=bias)]
    mode = "nearest" if upsampling == "resize" else "bilinear"
    return [nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]


def _block(channels: int, norm: NormName, bias: bool, dropout: float) -> Residual:
    return Residual(
        ReflectionPad2d(1),
        nn.Conv2d(channels, channels, 3, bias=bias),
        *_norm_relu(channels, norm),
        *maybe_dropout(dropout),
        ReflectionPad2d(1),
        nn.Conv2d(channels, channels, 3, bias=bias),
        NORMS[norm](channels),
    )


def _halo(downs: int, blocks: int, downsampling: Downsampling, upsampling: Upsampling) -> Halo:
    halo = Halo().convolution(7)
    for _ in range(downs):
        if upsampling == "transposed":
            halo = halo.transposed(3)
        else:
            halo = halo.convolution(3)
            halo = halo.enlarged() if upsampling == "resize" else halo.interpolated()
    halo = halo.convolution(3, times=2 * blocks)
    for _ in range(downs):
        halo = halo.convolution(3, 2)
        halo = halo.convolution(3) if downsampling == "blurred" else halo
    return halo.convolution(7)
