"""The two stages of StackGAN: a sketch from a sentence, then a larger image that reads the sentence again."""

from __future__ import annotations

import itertools
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, Residual

CODE_SIZE = 128
"""Values of a code that conditioning augmentation draws."""


class Code(NamedTuple):
    """A drawn code with the Gaussian that it was drawn from. Shapes: (N, CODE_SIZE) each."""

    drawn: Tensor
    mean: Tensor
    log_deviation: Tensor


class ConditioningAugmentation(nn.Module):
    """Draw a code from a Gaussian around a sentence, so that a few sentences cover the space between them.

    Shapes: (N, text_size), noise (N, CODE_SIZE) → codes (N, CODE_SIZE).
    Paper: Zhang 2017, arXiv 1612.03242, section 3.2.
    Differs from StackGAN-Pytorch, which puts a ReLU on mean and variance.
    """

    def __init__(self, text_size: int, code_size: int = CODE_SIZE) -> None:
        super().__init__()
        self.linear = nn.Linear(text_size, 2 * code_size)

    def forward(self, text: Tensor, noise: Tensor) -> Code:
        mean, log_deviation = nn.functional.leaky_relu(self.linear(text), LEAKY_SLOPE).chunk(2, dim=1)
        return Code(mean + log_deviation.exp() * noise, mean, log_deviation)


class StageOneGenerator(nn.Module):
    """A sketch from noise and a sentence: a dense layer to 4×4, then doublings by nearest neighbour and 3×3.

    One latent vector holds ``noise_size`` values of noise and those of the conditioning augmentation.

    Shapes: (N, noise_size + CODE_SIZE), (N, text_size) → (N, 3, 4·2^doublings, 4·2^doublings). Range: [-1, 1].
    Paper: Zhang 2017, arXiv 1612.03242 (64 px: 4 doublings, base 128).
    """

    def __init__(
        self, *, text_size: int = 1024, noise_size: int = 100, doublings: int = 4, base_channels: int = 128
    ) -> None:
        super().__init__()
        self.condition_size, self.noise_size = text_size, noise_size
        self.latent_size = noise_size + CODE_SIZE
        self.out_px = (4 << doublings,) * 2
        self.augmentation = ConditioningAugmentation(text_size)
        widths = [base_channels * 8 >> level for level in range(doublings + 1)]
        self.dense = nn.Sequential(
            nn.Linear(noise_size + CODE_SIZE, widths[0] * 16, bias=False), nn.BatchNorm1d(widths[0] * 16), nn.ReLU()
        )
        self.first_channels = widths[0]
        ups = [_doubling(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)]
        self.ups = nn.Sequential(*ups, nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        return self.draw(latent, condition)[0]

    def draw(self, latent: Tensor, text: Tensor) -> tuple[Tensor, Code]:
        """The image and the code that it was drawn from."""
        noise, code_noise = torch.split(latent, [self.noise_size, CODE_SIZE], dim=1)
        code = self.augmentation(text, code_noise)
        features = self.dense(torch.cat((noise, code.drawn), dim=1)).unflatten(1, (self.first_channels, 4, 4))
        return self.ups(features), code


class StageTwoGenerator(nn.Module):
    """Refine a sketch and enlarge it: down to a quarter, joined with a new code of the sentence, residual blocks, up.

    Shapes: (N, 3, s, s), code noise (N, CODE_SIZE), (N, text_size) → (N, 3, s/4·2^doublings, s/4·2^doublings).
    Range: [-1, 1].
    Paper: Zhang 2017, arXiv 1612.03242 (64 to 256 px: 4 doublings, 4 residual blocks).
    """

    def __init__(
        self, *, text_size: int = 1024, doublings: int = 4, base_channels: int = 128, residual_blocks: int = 4
    ) -> None:
        super().__init__()
        self.augmentation = ConditioningAugmentation(text_size)
        widths = [base_channels * 4 >> level for level in range(doublings + 1)]
        self.encoder = nn.Sequential(
            nn.Conv2d(3, base_channels, 3, padding=1),
            nn.ReLU(),
            *_halving(base_channels, 2 * base_channels, nn.ReLU()),
            *_halving(2 * base_channels, 4 * base_channels, nn.ReLU()),
        )
        self.joint = nn.Sequential(*_three_by_three(widths[0] + CODE_SIZE, widths[0]), nn.ReLU())
        blocks = (
            Residual(*_three_by_three(widths[0], widths[0]), nn.ReLU(), *_three_by_three(widths[0], widths[0]))
            for _ in range(residual_blocks)
        )
        self.blocks = nn.Sequential(*(layer for block in blocks for layer in (block, nn.ReLU())))
        ups = [_doubling(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)]
        self.ups = nn.Sequential(*ups, nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh())

    def forward(self, sketch: Tensor, code_noise: Tensor, text: Tensor) -> tuple[Tensor, Code]:
        features = self.encoder(sketch)
        code = self.augmentation(text, code_noise)
        planes = code.drawn[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.ups(self.blocks(self.joint(torch.cat((features, planes), dim=1)))), code


class StackGenerator(nn.Module):
    """Both stages: from noise and a sentence to the large image; with ``second_doublings`` 0 only the first.

    One latent vector holds stage one's noise, its augmentation's and stage two's. The large image's side is that of the
    sketch / 4 · 2^second_doublings.
    """

    def __init__(
        self,
        *,
        text_size: int = 1024,
        noise_size: int = 100,
        first_doublings: int = 4,
        second_doublings: int = 4,
        base_channels: int = 128,
        residual_blocks: int = 4,
    ) -> None:
        super().__init__()
        self.first = StageOneGenerator(
            text_size=text_size, noise_size=noise_size, doublings=first_doublings, base_channels=base_channels
        )
        self.second = (
            StageTwoGenerator(
                text_size=text_size,
                doublings=second_doublings,
                base_channels=base_channels,
                residual_blocks=residual_blocks,
            )
            if second_doublings
            else None
        )
        self.condition_size = text_size
        self.latent_size = self.first.latent_size + (CODE_SIZE if self.second else 0)
        self.out_px = ((1 << first_doublings << second_doublings),) * 2 if self.second else self.first.out_px

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        return self.steps(latent, condition)[-1]

    def steps(self, latent: Tensor, condition: Tensor) -> list[Tensor]:
        """The sketch, then the large image."""
        images = [self.first(latent[:, : self.first.latent_size], condition)]
        if self.second is not None:
            images.append(self.second(images[0], latent[:, self.first.latent_size :], condition)[0])
        return images


class StackDiscriminator(nn.Module):
    """Is an image real, and does it go with the sentence? Stride-2 convolutions to 4×4, joined with the sentence.

    The number of halvings follows from ``image_px``; channels grow to ``base_channels`` · 8, beyond that 3×3
    convolutions bring them back to it, as in the paper's stage two.

    Shapes: (N, 3, image_px, image_px), (N, text_size) → (N, 1). Range: logits.
    """

    def __init__(self, *, image_px: int, text_size: int = 1024, base_channels: int = 64) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(LEAKY_SLOPE)
        halvings = (image_px // 4).bit_length() - 1
        layers: list[nn.Module] = [nn.Conv2d(3, base_channels, 4, 2, 1), leaky]
        width = base_channels
        for _ in range(halvings - 1):
            layers += _halving(width, 2 * width, leaky)
            width *= 2
        while width > 8 * base_channels:
            layers += [*_three_by_three(width, width // 2), leaky]
            width //= 2
        self.features = nn.Sequential(*layers)
        self.text = nn.Sequential(nn.Linear(text_size, CODE_SIZE), leaky)
        self.joint = nn.Sequential(nn.Conv2d(width + CODE_SIZE, width, 1, bias=False), nn.BatchNorm2d(width), leaky)
        self.logit = nn.Conv2d(width, 1, 4)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        features = self.features(image)
        planes = self.text(condition)[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return cast(Tensor, self.logit(self.joint(torch.cat((features, planes), dim=1))).flatten(1))


def _three_by_three(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]


def _halving(inputs: int, outputs: int, activation: nn.Module) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), activation]


def _doubling(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2), *_three_by_three(inputs, outputs), nn.ReLU())
