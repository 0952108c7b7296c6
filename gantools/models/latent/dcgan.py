"""The convolutional networks of DCGAN."""

from __future__ import annotations

import itertools
from typing import cast

from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE


class DcganGenerator(nn.Module):
    """Transposed convolutions from a latent vector to an image of start · 2^doublings.

    A dense layer (a transposed convolution on a 1×1 map) gives ``start``, then each 4×4 stride-2 transposed convolution
    doubles the sides and halves the channels, down to ``base_channels`` before the image. BatchNorm and ReLU after all
    but the last, tanh after that, no biases.

    Shapes: (N, latent_size) → (N, out_channels, start_height · 2^doublings, start_width · 2^doublings).
    Range: [-1, 1] out.
    Paper: Radford 2016, arXiv 1511.06434: start 4×4, 4 doublings, base 128 (128 · 2^3 = 1024 at 4×4); pytorch/examples
    has base 64.
    """

    condition_size = 0

    def __init__(
        self,
        *,
        latent_size: int = 100,
        out_channels: int = 3,
        start: tuple[int, int] = (4, 4),
        doublings: int = 4,
        base_channels: int = 64,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.out_px = (start[0] << doublings, start[1] << doublings)
        channels = [base_channels << level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_size, channels[0], start, bias=False)]
        for inputs, outputs in zip(channels, [*channels[1:], out_channels], strict=True):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        return cast(Tensor, self.layers(latent[:, :, None, None]))


class DcganDiscriminator(nn.Module):
    """4×4 stride-2 convolutions down to ``start``, then one over all of it to a logit: the generator's mirror.

    BatchNorm from the second layer on, LeakyReLU 0.2, no biases.

    Shapes: (N, in_channels, start_height · 2^halvings, start_width · 2^halvings) → (N, 1). Range: logits.
    Paper: Radford 2016, arXiv 1511.06434.
    """

    def __init__(
        self, *, in_channels: int = 3, start: tuple[int, int] = (4, 4), halvings: int = 4, base_channels: int = 64
    ) -> None:
        super().__init__()
        channels = [in_channels, *(base_channels << level for level in range(halvings))]
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(itertools.pairwise(channels)):
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(outputs)] if level else []
            layers.append(nn.LeakyReLU(LEAKY_SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, start, bias=False), nn.Flatten())

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        return cast(Tensor, self.layers(image))
