"""Parts that several networks share: norms, activations, spectral norm, residual blocks, sub-pixel initialisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

NormName: TypeAlias = Literal["batch", "instance", "group", "layer", "none"]
ActivationName: TypeAlias = Literal["relu", "leaky_relu", "prelu"]

LEAKY_SLOPE = 0.2
"""Negative slope of every LeakyReLU here: DCGAN's, kept by pix2pix, CycleGAN and SRGAN."""


class InstanceNorm(nn.Module):
    """Bring each channel of each image to mean 0 and variance 1. No weights, no running statistics.

    Shapes: (N, C, H, W) → (N, C, H, W); H = W = 1 gives zeros.
    Paper: Ulyanov 2016, arXiv 1607.08022.
    """

    # On a CPU computed as a group norm with one channel per group, which is the same formula: the backward pass of
    # nn.InstanceNorm2d there (torch 2.13 to 2.15) is wrong for one image and a channels_last gradient, and its forward
    # pass refuses 1×1 maps. torch.group_norm, not F.group_norm, because the latter refuses them too. On CUDA autocast
    # computes a group norm in float32, which reads and writes every map twice more.
    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.epsilon = epsilon

    def forward(self, features: Tensor) -> Tensor:
        if features.is_cuda:
            return keeping_type(features, self.epsilon)
        return torch.group_norm(features, self.channels, eps=self.epsilon)

    def extra_repr(self) -> str:
        return f"{self.channels}"


def keeping_type(features: Tensor, epsilon: float) -> Tensor:
    """Instance norm in the type of ``features``, with statistics in float32. Shapes: (N, C, H, W) → (N, C, H, W)."""
    cudnn = torch.backends.cudnn.enabled
    return torch.instance_norm(features, None, None, None, None, True, 0.0, epsilon, cudnn)


GLOBAL_NORMS = (InstanceNorm, nn.GroupNorm)
"""Norms that look at all of an image."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, or as many as divide ``channels`` (Wu and He 2018)."""
    return nn.GroupNorm(gcd(32, channels), channels)


def layer_norm(channels: int) -> nn.GroupNorm:
    """Normalise over channels and positions of one image, with a weight and bias per channel."""
    return nn.GroupNorm(1, channels)


NORMS: Mapping[NormName, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": InstanceNorm,
    "group": group_norm,
    "layer": layer_norm,
    "none": nn.Identity,
}


def norm_has_shift(norm: NormName) -> bool:
    """Whether the norm adds a learnt constant of its own, which makes a convolution bias before it redundant."""
    return norm in ("batch", "group", "layer")


def convolution_bias(norm: NormName, bias: bool | None) -> bool:
    """The bias of a convolution that ``norm`` follows: as set, else on unless the norm has a shift of its own."""
    return not norm_has_shift(norm) if bias is None else bias


def activation(name: ActivationName) -> nn.Module:
    """A fresh non-linearity; ``prelu`` has one learnt slope for all channels, as in SRGAN."""
    if name == "prelu":
        return nn.PReLU()
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(LEAKY_SLOPE)


def maybe_spectral(layer: nn.Module, spectral_norm: bool) -> nn.Module:
    """Return ``layer``, its weight divided by its largest singular value if wanted (Miyato 2018, arXiv 1802.05957)."""
    return parametrizations.spectral_norm(layer) if spectral_norm else layer


def maybe_dropout(probability: float) -> list[nn.Module]:
    """A dropout layer, or nothing at probability 0."""
    return [nn.Dropout(probability)] if probability > 0 else []


def widths(base_channels: int, max_channels: int, count: int) -> list[int]:
    """Channels of ``count`` scales: doubled at each one, up to a bound (64, 128, 256, 512, 512, …)."""
    return [min(base_channels * 2**level, max_channels) for level in range(count)]


class Residual(nn.Module):
    """``x + body(x)``."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, features: Tensor) -> Tensor:
        return features + cast(Tensor, self.body(features))


def icnr_(weight: Tensor, factor: int, gain: float = 1.0) -> Tensor:
    """Fill the weight of a convolution before PixelShuffle so that it starts as nearest-neighbour enlargement.

    Shapes: ``weight`` (C·factor², K, h, w), changed in place and returned.
    Paper: Aitken 2017, arXiv 1707.02937 (no checkerboard at the start).
    """
    with torch.no_grad():
        kernel = torch.empty_like(weight[:: factor**2])
        nn.init.kaiming_normal_(kernel).mul_(gain)
        return weight.copy_(kernel.repeat_interleave(factor**2, dim=0))


def enlarged(image: Tensor, scale: int) -> Tensor:
    """Bilinear enlargement whose weights are the same for every pixel, wherever it lies.

    ``interpolate`` counts positions from the edge in float32, and thirds run out of digits there: a tile would not be
    that part of the whole. Halves are exact.
    """
    if scale & (scale - 1) == 0:
        return functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    return _enlarged_along(_enlarged_along(image, 2, scale), 3, scale)


def _enlarged_along(image: Tensor, axis: int, scale: int) -> Tensor:
    """Every sample becomes ``scale`` samples, each between it and the neighbour on its side."""
    length = image.shape[axis]
    places = torch.arange(length, device=image.device)
    before, after = (image.index_select(axis, (places + step).clamp(0, length - 1)) for step in (-1, 1))
    offsets = [(part + 0.5) / scale - 0.5 for part in range(scale)]
    parts = [torch.lerp(image, before if offset < 0 else after, abs(offset)) for offset in offsets]
    return torch.stack(parts, dim=axis + 1).flatten(axis, axis + 1)


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


class BlurPool(nn.Module):
    """Leave out every other row and column after a blur by [1, 2, 1] / 4 along both axes, padded by reflection.

    Shapes: (N, C, H, W) → (N, C, H/2, W/2), H and W even. It has no weights.
    Paper: Zhang 2019, arXiv 1904.11486.
    """

    def __init__(self) -> None:
        super().__init__()
        self.padded = ReflectionPad2d(1)

    def forward(self, features: Tensor) -> Tensor:
        taps = functional.pad(features.new_full((1,), 0.5), (1, 1), value=0.25)  # on the device: no copy to wait for
        kernel = torch.outer(taps, taps).expand(features.shape[1], 1, 3, 3)
        return functional.conv2d(self.padded(features), kernel, stride=2, groups=features.shape[1])
