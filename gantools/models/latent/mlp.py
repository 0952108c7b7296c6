"""The fully connected networks of the first GAN, and the everyday variant of them."""

from __future__ import annotations

import itertools
from typing import Literal, cast

from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, maybe_dropout

PAPER_RANGE, PAPER_DISCRIMINATOR_RANGE = 0.05, 0.005
"""First weights are uniform within ± these (goodfeli/adversarial, mnist.yaml)."""


class MlpGenerator(nn.Module):
    """Fully connected layers from a latent vector to an image.

    ``paper``: two hidden layers of 1200 with ReLU, then a sigmoid brought to [-1, 1]. ``everyday``: 128, 256, 512 and
    1024 with LeakyReLU, BatchNorm from the second on, then tanh.

    Shapes: (N, latent_size) → (N, channels, height_px, width_px).
    Range: [-1, 1] out.
    Paper: Goodfellow 2014, arXiv 1406.2661.
    Differs from the paper: its output biases start at the pixels' mean logits, here at 0.
    """

    condition_size = 0

    def __init__(
        self,
        *,
        latent_size: int = 100,
        channels: int = 1,
        height_px: int = 28,
        width_px: int = 28,
        variant: Literal["paper", "everyday"] = "everyday",
        hidden: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.latent_size, self.out_px = latent_size, (height_px, width_px)
        self.channels, self.variant = channels, variant
        widths = [latent_size, *(hidden or ((1200, 1200) if variant == "paper" else (128, 256, 512, 1024)))]
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers.append(nn.Linear(inputs, outputs))
            if variant == "everyday" and level:
                layers.append(nn.BatchNorm1d(outputs))
            layers.append(nn.ReLU() if variant == "paper" else nn.LeakyReLU(LEAKY_SLOPE))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], channels * height_px * width_px))
        if variant == "paper":
            _uniform(self, PAPER_RANGE)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        flat = self.layers(latent)
        squashed = (flat / 2).tanh() if self.variant == "paper" else flat.tanh()  # tanh(x/2) = 2·sigmoid(x) - 1
        return cast(Tensor, squashed.unflatten(1, (self.channels, *self.out_px)))


class Maxout(nn.Module):
    """The largest of ``pieces`` linear maps, unit by unit (Goodfellow 2013, arXiv 1302.4389).

    Shapes: (N, inputs) → (N, units).
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.linear(features).unflatten(1, (self.units, self.pieces)).amax(dim=2))


class MlpDiscriminator(nn.Module):
    """Fully connected layers from an image to one logit.

    ``paper``: two maxout layers of 240 units with 5 pieces, dropout 0.2 on the input and 0.5 after them. ``everyday``:
    512 and 256 with LeakyReLU.

    Shapes: (N, channels, height_px, width_px) → (N, 1). Range: logits.
    Paper: Goodfellow 2014, arXiv 1406.2661.
    Differs from the paper: it sees images on [-1, 1], not on [0, 1].
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        height_px: int = 28,
        width_px: int = 28,
        variant: Literal["paper", "everyday"] = "everyday",
        dropout: bool = True,
    ) -> None:
        super().__init__()
        inputs = channels * height_px * width_px
        if variant == "paper":
            drop = (maybe_dropout(0.2), maybe_dropout(0.5)) if dropout else ([], [])
            layers = [*drop[0], Maxout(inputs, 240, 5), *drop[1], Maxout(240, 240, 5), *drop[1], nn.Linear(240, 1)]
        else:
            slopes = nn.LeakyReLU(LEAKY_SLOPE), nn.LeakyReLU(LEAKY_SLOPE)
            layers = [nn.Linear(inputs, 512), slopes[0], nn.Linear(512, 256), slopes[1], nn.Linear(256, 1)]
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        if variant == "paper":
            _uniform(self, PAPER_DISCRIMINATOR_RANGE)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 (the protocol's)
        return cast(Tensor, self.layers(image))


def _uniform(network: nn.Module, bound: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)
