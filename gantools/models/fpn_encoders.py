"""The image encoders of DeblurGAN-v2 up to 1/32 of an image's side. Their weights are random until some are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import ReflectionPad2d, Residual
from gantools.models.strided import StridedConv2d

EncoderName: TypeAlias = Literal["strided", "mobilenet_v2", "inception_resnet_v2"]
Size: TypeAlias = int | tuple[int, int]


@dataclass(frozen=True)
class Encoder:
    """Five levels, each on the features of the one before, and what pads their features to 1/2, …, 1/32 of the side.

    ``strides`` are those of each level's 3×3 convolutions, in order; None where not all are padded by one.
    """

    levels: Sequence[nn.Module]
    channels: tuple[int, ...]
    strides: Sequence[Sequence[int]] | None
    minimum_size_px: int
    pads: Sequence[nn.Module] = field(default_factory=lambda: [nn.Identity() for _ in range(5)])


# ---- MobileNetV2 (Sandler 2018, arXiv 1801.04381); equal to torchvision's without its last blocks

_MOBILE_STAGES = (
    ((1, 16, 1),),
    ((6, 24, 2), (6, 24, 1)),
    ((6, 32, 2), (6, 32, 1), (6, 32, 1)),
    ((6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1)),
    ((6, 96, 1), (6, 96, 1), (6, 96, 1), (6, 160, 2), (6, 160, 1)),
)
"""Of each level: expansion, channels and stride of each block."""


def mobilenet_v2() -> Encoder:
    """The first 15 blocks of MobileNetV2, of RGB."""
    stem = nn.Sequential(StridedConv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6())
    levels, inputs = [], 32
    for number, stage in enumerate(_MOBILE_STAGES):
        blocks: list[nn.Module] = [] if number else [stem]
        for expansion, outputs, stride in stage:
            blocks.append(_inverted_residual(inputs, outputs, expansion, stride))
            inputs = outputs
        levels.append(nn.Sequential(*blocks))
    strides = [[stride for *_, stride in stage] for stage in _MOBILE_STAGES]
    strides[0].insert(0, 2)
    # In training mode the statistics of BatchNorm at 1/32 are of 16 positions or more; of 4 they are badly conditioned.
    return Encoder(levels, tuple(stage[-1][1] for stage in _MOBILE_STAGES), strides, minimum_size_px=128)


def _inverted_residual(inputs: int, outputs: int, expansion: int, stride: int) -> nn.Sequential | Residual:
    """Widen, convolve each channel by itself, and narrow again; beside its input where that has the same shape."""
    wide = inputs * expansion
    widen = [nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()] if expansion > 1 else []
    depthwise = StridedConv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
    narrow = [nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
    layers = [*widen, depthwise, nn.BatchNorm2d(wide), nn.ReLU6(), *narrow]
    return Residual(*layers) if stride == 1 and inputs == outputs else nn.Sequential(*layers)


# ---- Inception-ResNet-v2 (Szegedy 2016, arXiv 1602.07261), as converted from TensorFlow for PyTorch

_INCEPTION_EPSILON = 1e-3
"""Of BatchNorm in TensorFlow."""


class Branches(nn.Module):
    """Branches on the same features, their outputs concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([branch(features) for branch in self.branches], dim=1)


class ScaledResidual(Branches):
    """``relu(x + scale · last(branches(x)))``."""

    def __init__(self, *branches: nn.Module, last: nn.Module, scale: float) -> None:
        super().__init__(*branches)
        self.last, self.scale = last, scale

    def forward(self, features: Tensor) -> Tensor:
        return (cast(Tensor, self.last(super().forward(features))) * self.scale + features).relu()


def inception_resnet_v2() -> Encoder:
    """Inception-ResNet-v2 up to its second reduction, of RGB. Few of its convolutions are padded, so its features are.

    The smallest image is 128 px: its last features are two samples smaller than 1/32 of the side.
    """
    levels = [
        _layer(3, 32, 3, 2),
        nn.Sequential(_layer(32, 32, 3), _layer(32, 64, 3, padding=1), nn.MaxPool2d(3, 2)),
        nn.Sequential(_layer(64, 80, 1), _layer(80, 192, 3), nn.MaxPool2d(3, 2)),
        nn.Sequential(_mixed_5b(), nn.Sequential(*(_block_35() for _ in range(10))), _mixed_6a()),
        nn.Sequential(nn.Sequential(*(_block_17() for _ in range(20))), _mixed_7a()),
    ]
    pads = [
        ReflectionPad2d((before, after, before, after)) for before, after in ((0, 1), (1, 1), (1, 2), (1, 1), (1, 1))
    ]
    return Encoder(levels, (32, 64, 192, 1088, 2080), None, 128, pads)


def _layer(inputs: int, outputs: int, kernel: Size, stride: int = 1, padding: Size = 0) -> nn.Sequential:
    convolution = StridedConv2d if stride > 1 else nn.Conv2d
    norm = nn.BatchNorm2d(outputs, eps=_INCEPTION_EPSILON)
    return nn.Sequential(convolution(inputs, outputs, kernel, stride, padding, bias=False), norm, nn.ReLU())


def _mixed_5b() -> Branches:
    pooled = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return Branches(
        _layer(192, 96, 1),
        nn.Sequential(_layer(192, 48, 1), _layer(48, 64, 5, padding=2)),
        nn.Sequential(_layer(192, 64, 1), _layer(64, 96, 3, padding=1), _layer(96, 96, 3, padding=1)),
        nn.Sequential(pooled, _layer(192, 64, 1)),
    )


def _block_35() -> ScaledResidual:
    return ScaledResidual(
        _layer(320, 32, 1),
        nn.Sequential(_layer(320, 32, 1), _layer(32, 32, 3, padding=1)),
        nn.Sequential(_layer(320, 32, 1), _layer(32, 48, 3, padding=1), _layer(48, 64, 3, padding=1)),
        last=nn.Conv2d(128, 320, 1),
        scale=0.17,
    )


def _mixed_6a() -> Branches:
    deep = nn.Sequential(_layer(320, 256, 1), _layer(256, 256, 3, padding=1), _layer(256, 384, 3, 2))
    return Branches(_layer(320, 384, 3, 2), deep, nn.MaxPool2d(3, 2))


def _block_17() -> ScaledResidual:
    crossed = [_layer(128, 160, (1, 7), padding=(0, 3)), _layer(160, 192, (7, 1), padding=(3, 0))]
    return ScaledResidual(
        _layer(1088, 192, 1),
        nn.Sequential(_layer(1088, 128, 1), *crossed),
        last=nn.Conv2d(384, 1088, 1),
        scale=0.1,
    )


def _mixed_7a() -> Branches:
    return Branches(
        nn.Sequential(_layer(1088, 256, 1), _layer(256, 384, 3, 2)),
        nn.Sequential(_layer(1088, 256, 1), _layer(256, 288, 3, 2)),
        nn.Sequential(_layer(1088, 256, 1), _layer(256, 288, 3, padding=1), _layer(288, 320, 3, 2)),
        nn.MaxPool2d(3, 2),
    )
