"""The growing networks of ProGAN."""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import LEAKY_SLOPE
from gantools.models.latent.equalized import (
    HE_GAIN,
    EqualizedConv2d,
    EqualizedLinear,
    minibatch_deviation,
    pixel_norm,
)

START_PX = 4


def channels_at(level: int, base: int, most: int) -> int:
    """Channels of the features of 4 · 2^level px: base/2^(level + 1), at most ``most``."""
    return max(1, min(base >> (level + 1), most))


class _Growing(nn.Module):
    """``level`` is how far the network has grown (0: 4×4), ``alpha`` how much of the newest level is used (0 to 1).

    ``grown`` has both as numbers, without a wait for the device at every step.
    """

    level: Tensor
    alpha: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("level", torch.tensor(levels - 1))
        self.register_buffer("alpha", torch.tensor(1.0))
        self._grown: tuple[int, float] | None = (levels - 1, 1.0)
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    @property
    def grown(self) -> tuple[int, float]:
        """``level`` and ``alpha``."""
        if self._grown is None:
            self._grown = int(self.level), float(self.alpha)
        return self._grown

    def grow(self, level: int, alpha: float) -> None:
        """Use levels up to ``level``, and of that one the share ``alpha``."""
        self._grown = level, float(torch.tensor(alpha))  # in float32, as it is saved
        self.level.fill_(level)
        self.alpha.fill_(alpha)

    def stop_growing(self) -> None:
        """Make ``level`` and ``alpha`` plain numbers, so that a graph of the network can be drawn."""
        level, alpha = self.grown
        del self.level, self.alpha
        self.level, self.alpha = level, alpha  # type: ignore[assignment]


def _forget(network: _Growing, _keys: object) -> None:
    """The numbers of a network that took ``level`` and ``alpha`` from a file."""
    network._grown = None


class ProgressiveGenerator(_Growing):
    """Grows from 4×4: each level doubles the sides by nearest neighbours and has two 3×3 convolutions.

    After every convolution: bias, LeakyReLU 0.2, pixel norm. While a level fades in, its image is blended with the
    enlarged one of the level before. Images have the size of the current level.

    Shapes: (N, latent_size) → (N, out_channels, 4·2^level, 4·2^level). Range: about [-1, 1], linear.
    Paper: Karras 2018, arXiv 1710.10196, table 2 (channel_base 8192, at most 512).
    """

    condition_size = 0

    def __init__(
        self,
        *,
        latent_size: int = 512,
        out_channels: int = 3,
        levels: int = 7,
        channel_base: int = 8192,
        max_channels: int = 512,
    ) -> None:
        super().__init__(levels)
        self.latent_size, self.out_px = latent_size, (START_PX << (levels - 1),) * 2
        widths = [channels_at(level, channel_base, max_channels) for level in range(levels)]
        self.dense = EqualizedLinear(latent_size, widths[0] * START_PX**2, gain=HE_GAIN / 4)
        self.first = EqualizedConv2d(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualizedConv2d(inputs, outputs, 3), EqualizedConv2d(outputs, outputs, 3)])
            for inputs, outputs in itertools.pairwise(widths)
        )
        self.to_image = nn.ModuleList(EqualizedConv2d(width, out_channels, 1, gain=1) for width in widths)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        return self.steps(latent)[-1]

    def steps(self, latent: Tensor, condition: Tensor | None = None) -> list[Tensor]:  # noqa: ARG002 (the protocol's)
        """The image of every level so far, the last one blended as it fades in."""
        level, alpha = self.grown
        features = self.dense(pixel_norm(latent)).unflatten(1, (-1, START_PX, START_PX))
        features = _activated(self.first(_activated(features)))
        images = [self.to_image[0](features)]
        for number in range(level):
            features = functional.interpolate(features, scale_factor=2)
            for convolution in cast(nn.ModuleList, self.blocks[number]):
                features = _activated(convolution(features))
            images.append(self.to_image[number + 1](features))
        if level and alpha < 1:
            images[-1] = functional.interpolate(images[-2], scale_factor=2).lerp(images[-1], alpha)
        return images


class ProgressiveDiscriminator(_Growing):
    """The generator's mirror: two 3×3 convolutions and an average pool a level, then minibatch deviation at 4×4.

    Shapes: (N, in_channels, 4·2^level, 4·2^level) → (N, 1). Range: unbounded scores.
    Paper: Karras 2018, arXiv 1710.10196, table 2.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        levels: int = 7,
        channel_base: int = 8192,
        max_channels: int = 512,
        group_images: int = 4,
    ) -> None:
        super().__init__(levels)
        self.group_images = group_images
        widths = [channels_at(level, channel_base, max_channels) for level in range(levels)]
        self.from_image = nn.ModuleList(EqualizedConv2d(in_channels, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualizedConv2d(outputs, outputs, 3), EqualizedConv2d(outputs, inputs, 3)])
            for inputs, outputs in itertools.pairwise(widths)
        )
        self.last = EqualizedConv2d(widths[0] + 1, widths[0], 3)
        self.dense = EqualizedLinear(widths[0] * START_PX**2, widths[0])
        self.score = EqualizedLinear(widths[0], 1, gain=1)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        level, alpha = self.grown
        features = _leaky(self.from_image[level](image))
        for number in reversed(range(level)):
            for convolution in cast(nn.ModuleList, self.blocks[number]):
                features = _leaky(convolution(features))
            features = functional.avg_pool2d(features, 2)
            if number == level - 1 and alpha < 1:
                before = _leaky(self.from_image[number](functional.avg_pool2d(image, 2)))
                features = before.lerp(features, alpha)
        features = _leaky(self.last(minibatch_deviation(features, self.group_images)))
        return cast(Tensor, self.score(_leaky(self.dense(features.flatten(1)))))


def faded(image: Tensor, alpha: float) -> Tensor:
    """Real images as the generator's fade in: blended with a copy whose 2×2 blocks are averaged.

    Shapes: (N, C, H, W), H and W even.
    """
    coarse = functional.interpolate(functional.avg_pool2d(image, 2), scale_factor=2)
    return coarse.lerp(image, alpha)


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, LEAKY_SLOPE)


def _activated(features: Tensor) -> Tensor:
    return pixel_norm(_leaky(features))
