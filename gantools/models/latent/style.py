"""StyleGAN2: a mapping network from latents to styles, and a synthesis network that styles modulate."""

from __future__ import annotations

from math import log2, sqrt
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import LEAKY_SLOPE
from gantools.models.latent.equalized import EqualizedConv2d, EqualizedLinear, drawn, minibatch_deviation, pixel_norm

START_PX = 4
MAPPING_LR_MULTIPLIER = 0.01
EPSILON = 1e-8
MEAN_DECAY = 0.995
"""Decay of the running mean of the styles, a training step."""

Noise: TypeAlias = Literal["const", "random", "none"]
"""Planes of noise: those that are stored in the weights, new ones each time, or none."""


def widths(image_px: int, channel_base: int, max_channels: int) -> list[int]:
    """Channels at 4, 8, … image_px: base / side, at most ``max_channels``."""
    return [max(1, min(channel_base // (START_PX << level), max_channels)) for level in range(int(log2(image_px)) - 1)]


def activated(features: Tensor, gain: float = sqrt(2), clamp: float | None = None) -> Tensor:
    """LeakyReLU 0.2 times ``gain``, which keeps the variance; within ± ``clamp`` · gain where one is given."""
    features = functional.leaky_relu(features, LEAKY_SLOPE) * gain
    return features if clamp is None else features.clamp(-clamp * gain / sqrt(2), clamp * gain / sqrt(2))


def smoothing(like: Tensor, gain: float = 1.0) -> Tensor:
    """The filter [1, 3, 3, 1] in both directions, of sum ``gain``, once for each channel of ``like``."""
    taps = functional.pad(like.new_full((2,), 3 / 8), (1, 1), value=1 / 8)  # made on the device: no copy to wait for
    return (torch.outer(taps, taps) * gain).expand(like.shape[1], 1, 4, 4)


def blur(features: Tensor, padding: int, *, stride: int = 1, gain: float = 1.0) -> Tensor:
    """Smooth each channel alone; zeros outside. Sides shrink by 3 and grow by 2 · ``padding``."""
    kernel = smoothing(features, gain)
    return functional.conv2d(features, kernel, stride=stride, padding=padding, groups=features.shape[1])


def enlarged(image: Tensor) -> Tensor:
    """Twice the size by the same filter; zeros outside. Shapes: (N, C, H, W) → (N, C, 2H, 2W).

    In float32 also under autocast: sums of several levels.
    """
    with torch.autocast(image.device.type, enabled=False):
        return functional.conv_transpose2d(image, smoothing(image, 4), stride=2, padding=1, groups=image.shape[1])


class Mapping(nn.Module):
    """Dense layers from a normalised latent, beside a normalised embedding of the label, to a style.

    ``running_mean`` is the mean style of the training, towards which truncation pulls. A discriminator has one too:
    ``latent_size`` 0, from the label alone.

    Shapes: (N, latent_size), (N, condition_size) → (N, style_size).
    Paper: Karras 2020, arXiv 1912.04958; NVlabs/stylegan2-ada-pytorch for labels.
    """

    running_mean: Tensor

    def __init__(self, latent_size: int, condition_size: int, style_size: int, layers: int) -> None:
        super().__init__()
        self.embed = EqualizedLinear(condition_size, style_size, gain=1) if condition_size else None
        inputs = latent_size + (style_size if condition_size else 0)
        self.layers = nn.ModuleList(
            EqualizedLinear(inputs if number == 0 else style_size, style_size, 1, MAPPING_LR_MULTIPLIER)
            for number in range(layers)
        )
        self.register_buffer("running_mean", torch.zeros(style_size))

    def forward(self, latent: Tensor | None, condition: Tensor | None = None) -> Tensor:
        """Computed in float32, also under autocast: small numbers that all layers depend on."""
        with torch.autocast(self.running_mean.device.type, enabled=False):
            parts = [] if latent is None else [pixel_norm(latent.float())]
            if self.embed is not None and condition is not None:
                parts.append(pixel_norm(self.embed(condition.float())))
            style = torch.cat(parts, dim=1)
            for layer in self.layers:
                style = activated(layer(style))
            return style

    @torch.no_grad()
    def follow(self, style: Tensor) -> None:
        """Move the running mean towards the mean of a batch of styles."""
        self.running_mean.copy_(style.detach().float().mean(dim=0).lerp(self.running_mean, MEAN_DECAY))


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels a style scales; ``demodulate`` brings the outputs back to unit variance.

    The style scales the features and the outputs are divided by the norm of the scaled weights: the same numbers as
    scaling the weights of each image, without a convolution of its own for each. ``up``: stride 2, transposed, blurred.

    Shapes: (N, inputs, H, W), (N, style_size) → (N, outputs, H, W), or twice the sides with ``up``.
    Paper: Karras 2020, arXiv 1912.04958, section 2.2.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_px: int, style_size: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(drawn(outputs, inputs, kernel_px, kernel_px))
        self.affine = EqualizedLinear(style_size, inputs, gain=1, bias_start=1.0)
        self.factor, self.demodulate, self.up = 1 / sqrt(inputs * kernel_px**2), demodulate, up

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        scales: Tensor = self.affine(style)
        weight = self.weight if self.demodulate else self.weight * self.factor
        with torch.autocast(features.device.type, enabled=False):
            energy = scales.float().square() @ weight.float().square().sum(dim=(2, 3)).t()
            norm = (energy + EPSILON).rsqrt().to(features.dtype)
        features = features * scales.to(features.dtype)[:, :, None, None]
        if self.up:
            features = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=2)
            features = blur(features, padding=1, gain=4)
        else:
            features = functional.conv2d(features, weight, padding=weight.shape[-1] // 2)
        return features * norm[:, :, None, None] if self.demodulate else features


class StyledConv2d(nn.Module):
    """A modulated convolution, noise of one plane for all channels, a bias for each, LeakyReLU.

    Shapes: (N, inputs, H, W), (N, style_size) → (N, outputs, side_px, side_px).
    """

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, style_size: int, side_px: int, *, up: bool = False, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, style_size, up=up)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", drawn(side_px, side_px))
        self.clamp = clamp

    def forward(self, features: Tensor, style: Tensor, noise: Tensor | Noise) -> Tensor:
        features = cast(Tensor, self.convolution(features, style))
        if noise == "random":
            noise = torch.randn(len(features), 1, *features.shape[2:], device=features.device)
        if not isinstance(noise, str):
            features = features + (noise * self.noise_strength).to(features.dtype)
        elif noise == "const":
            features = features + (self.noise * self.noise_strength).to(features.dtype)
        return activated(features + self.bias[:, None, None].to(features.dtype), clamp=self.clamp)


class Level(nn.Module):
    """One size of the synthesis: a convolution that doubles it (but for the first), another one, and an image.

    It uses two rows of styles (the first size one), and ``to_image`` the next one, which it shares with the next level.
    """

    def __init__(
        self, inputs: int, outputs: int, style_size: int, side_px: int, channels: int, clamp: float | None
    ) -> None:
        super().__init__()
        size = {"style_size": style_size, "side_px": side_px, "clamp": clamp}
        self.up = StyledConv2d(inputs, outputs, up=True, **size) if inputs else None  # type: ignore[arg-type]
        self.same = StyledConv2d(outputs, outputs, **size)  # type: ignore[arg-type]
        self.to_image = ModulatedConv2d(outputs, channels, 1, style_size, demodulate=False)
        self.image_bias = nn.Parameter(torch.zeros(channels))
        self.clamp = clamp

    def image(self, features: Tensor, style: Tensor) -> Tensor:
        """What this level adds to the image, in float32."""
        image: Tensor = self.to_image(features, style).float() + self.image_bias[:, None, None]
        return image if self.clamp is None else image.clamp(-self.clamp, self.clamp)


class Synthesis(nn.Module):
    """From a learnt 4×4 start to an image, each level adding to the enlarged image of the one before.

    Shapes: (N, rows, style_size) → (N, channels, image_px, image_px). Range: about [-1, 1], linear.
    Paper: Karras 2020, arXiv 1912.04958, section 4 (skip generator).
    """

    def __init__(
        self, image_px: int, channels: int, style_size: int, channel_base: int, max_channels: int, clamp: float | None
    ) -> None:
        super().__init__()
        sizes = widths(image_px, channel_base, max_channels)
        self.rows = 2 * len(sizes)
        self.start = nn.Parameter(drawn(sizes[0], START_PX, START_PX))
        self.levels = nn.ModuleList(
            Level(inputs, outputs, style_size, START_PX << number, channels, clamp)
            for number, (inputs, outputs) in enumerate(zip([0, *sizes[:-1]], sizes, strict=True))
        )

    @property
    def noise_shapes(self) -> list[tuple[int, int]]:
        """Height and width of each plane of noise, in the order of use."""
        return [(START_PX << (number + 1) // 2,) * 2 for number in range(self.rows - 1)]

    @property
    def noise(self) -> list[Tensor]:
        """The stored planes of noise, (H, W) each, in the order of use."""
        levels = [cast(Level, level) for level in self.levels]
        used = [layer for level in levels for layer in (level.up, level.same) if layer is not None]
        return [layer.noise for layer in used]

    def forward(self, styles: Tensor, noise: Noise | list[Tensor] = "const") -> Tensor:
        """``noise``: which planes, or the planes themselves, (N or 1, 1, H, W) each, as ``noise_shapes``."""
        planes = [noise] * (self.rows - 1) if isinstance(noise, str) else noise
        features = self.start.expand(styles.shape[0], -1, -1, -1)
        image: Tensor | None = None
        for number, module in enumerate(self.levels):
            level, row = cast(Level, module), max(0, 2 * number - 1)
            if level.up is not None:
                features = level.up(features, styles[:, row], planes[row])
                row += 1
            features = level.same(features, styles[:, row], planes[row])
            made = level.image(features, styles[:, row + 1])
            image = made if image is None else enlarged(image) + made
        return cast(Tensor, image)


class StyleGenerator(nn.Module):
    """StyleGAN2's generator: ``mapping`` makes a style of a latent, ``synthesis`` an image of a row of styles a layer.

    Shapes: (N, latent_size), (N, condition_size) → (N, out_channels, image_px, image_px). Range: about [-1, 1], linear.
    Paper: Karras 2020, arXiv 1912.04958 (channel_base 32768, 8 dense layers).
    """

    def __init__(
        self,
        *,
        latent_size: int = 512,
        style_size: int = 512,
        image_px: int = 256,
        out_channels: int = 3,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        max_channels: int = 512,
        condition_size: int = 0,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.latent_size, self.condition_size, self.out_px = latent_size, condition_size, (image_px, image_px)
        self.mapping = Mapping(latent_size, condition_size, style_size, mapping_layers)
        self.synthesis = Synthesis(image_px, out_channels, style_size, channel_base, max_channels, clamp)

    @property
    def rows(self) -> int:
        """How many styles an image has: two a level."""
        return self.synthesis.rows

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """The image with its stored noise, not truncated."""
        return cast(Tensor, self.synthesis(self.styles(latent, condition)))

    def styles(
        self,
        latent: Tensor,
        condition: Tensor | None = None,
        truncation: float = 1.0,
        truncated_rows: int | None = None,
    ) -> Tensor:
        """A row of styles for each layer, all the same but for truncation. Shapes: (N, rows, style_size).

        The first ``truncated_rows`` (all by default) are moved towards the mean style: ``truncation`` 0 is the mean.
        """
        styles: Tensor = self.mapping(latent, condition)[:, None].repeat(1, self.rows, 1)
        if truncation == 1:
            return styles
        mean, moved = self.mapping.running_mean, slice(0, truncated_rows)
        styles[:, moved] = mean.lerp(styles[:, moved], truncation)
        return styles


class DownLevel(nn.Module):
    """A residual block of the discriminator that halves the sides: two convolutions beside a 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int, clamp: float | None) -> None:
        super().__init__()
        self.same = EqualizedConv2d(inputs, inputs, 3, gain=1)
        self.down = EqualizedConv2d(inputs, outputs, 3, gain=1)
        self.skip = EqualizedConv2d(inputs, outputs, 1, gain=1, bias=False)
        self.clamp = clamp

    def forward(self, features: Tensor) -> Tensor:
        beside: Tensor = self.skip(blur(features, padding=1, stride=2))
        features = activated(self.same(features), clamp=self.clamp)
        features = self.down(blur(features, padding=2), stride=2)
        return activated(features, gain=1, clamp=self.clamp) + beside * sqrt(0.5)


class StyleDiscriminator(nn.Module):
    """StyleGAN2's residual discriminator; with labels it scores by the direction of the label's mapping.

    Shapes: (N, in_channels, image_px, image_px), (N, condition_size) → (N, 1). Range: unbounded logits.
    Paper: Karras 2020, arXiv 1912.04958, section 4; labels: Miyato 2018, arXiv 1802.05637.
    """

    def __init__(
        self,
        *,
        image_px: int = 256,
        in_channels: int = 3,
        channel_base: int = 32768,
        max_channels: int = 512,
        condition_size: int = 0,
        group_images: int = 4,
        mapping_layers: int = 8,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        sizes = widths(image_px, channel_base, max_channels)
        self.group_images, self.clamp = group_images, clamp
        self.from_image = EqualizedConv2d(in_channels, sizes[-1], 1, gain=1)
        self.levels = nn.ModuleList(
            DownLevel(sizes[number], sizes[number - 1], clamp) for number in reversed(range(1, len(sizes)))
        )
        first = sizes[0]
        self.last = EqualizedConv2d(first + 1, first, 3, gain=1)
        self.dense = EqualizedLinear(first * START_PX**2, first, gain=1)
        self.mapping = Mapping(0, condition_size, first, mapping_layers) if condition_size else None
        self.score = EqualizedLinear(first, first if condition_size else 1, gain=1)

    def freeze(self, levels: int) -> None:
        """Let the largest ``levels`` sizes, from the image on, learn no more (Mo 2020, arXiv 2002.10964)."""
        for module in (self.from_image, *self.levels)[: levels + 1] if levels else ():
            module.requires_grad_(False)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        features = activated(self.from_image(image), clamp=self.clamp)
        for level in self.levels:
            features = level(features)
        features = minibatch_deviation(features.float(), self.group_images)
        features = activated(self.last(features), clamp=self.clamp).flatten(1)
        scores = cast(Tensor, self.score(activated(self.dense(features))))
        if self.mapping is not None:
            direction = self.mapping(None, condition)
            scores = (scores * direction).sum(dim=1, keepdim=True) / sqrt(direction.shape[1])
        return scores
