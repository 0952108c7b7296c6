"""The critic of NoGAN restoration."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gantools.models.attention import SelfAttention
from gantools.models.blocks import LEAKY_SLOPE
from gantools.models.strided import StridedConv2d


class NoGanCritic(nn.Module):
    """Tell real images from generated ones: spectral norm and dropout everywhere, attention after the second down.

    Shapes: (N, in_channels, H, W) → (N, 1, h, w), sides at least 4 · 2^(downs + 1); 128 px → 5×5 with three downs.
    Range: logits.
    Paper: none; fastai's gan_critic, with Miyato 2018, arXiv 1802.05957 and Zhang 2018, arXiv 1805.08318.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        base_channels: int = 128,
        downs: int = 3,
        dropout: float = 0.15,
        self_attention: bool = True,
    ) -> None:
        super().__init__()
        channels = 2 * base_channels
        layers: list[nn.Module] = [
            *_convolution(in_channels, base_channels, 4, 2),
            nn.Dropout2d(dropout / 2),
            _Dense(
                *_convolution(base_channels, base_channels, 3, 1), *_convolution(base_channels, base_channels, 3, 1)
            ),
        ]
        for down in range(downs):
            layers += [nn.Dropout2d(dropout), *_convolution(channels, 2 * channels, 4, 2)]
            layers += [SelfAttention(2 * channels)] if self_attention and down == 0 else []
            channels *= 2
        self.features = nn.Sequential(*layers)
        self.score = parametrizations.spectral_norm(nn.Conv2d(channels, 1, 4, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.score(self.features(image)))


class _Dense(nn.Module):
    """The input beside what ``body`` makes of it."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat((features, self.body(features)), dim=1)


def _convolution(inputs: int, outputs: int, kernel_px: int, stride: int) -> list[nn.Module]:
    convolution = StridedConv2d(inputs, outputs, kernel_px, stride, padding=1)
    nn.init.kaiming_normal_(convolution.weight)
    nn.init.zeros_(cast(Tensor, convolution.bias))
    return [parametrizations.spectral_norm(convolution), nn.LeakyReLU(LEAKY_SLOPE)]
