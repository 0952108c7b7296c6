"""Two dense layers and two convolutions a side: the MNIST networks of conditional DCGAN and of InfoGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE


class DenseConvGenerator(nn.Module):
    """Dense layers to a small map, then transposed stride-2 convolutions. BatchNorm and ReLU between, tanh at the end.

    With ``condition_size`` a condition (a one-hot label) is joined to the input of every layer, as constant planes
    where that is a map.

    Shapes: (N, latent_size), (N, condition_size) → (N, out_channels, start · 2^len(channels), start · 2^len(channels)).
    Range: [-1, 1] out.
    Source: Newmu/dcgan_code, mnist/train_cond_dcgan.py (kernel 5, condition at every layer); openai/InfoGAN (kernel 4).
    Differs: both end in a sigmoid on [0, 1], which is the same function on another range: tanh(x/2) = 2·sigmoid(x) - 1.
    """

    def __init__(
        self,
        *,
        latent_size: int = 100,
        condition_size: int = 0,
        out_channels: int = 1,
        start: tuple[int, int] = (7, 7),
        dense_units: int = 1024,
        channels: tuple[int, ...] = (128, 64),
        kernel_px: int = 5,
    ) -> None:
        super().__init__()
        self.latent_size, self.condition_size = latent_size, condition_size
        self.out_px = (start[0] << len(channels), start[1] << len(channels))
        self.start, self.first_channels = start, channels[0]
        first = channels[0] * start[0] * start[1]
        self.dense = nn.ModuleList(
            [
                _dense(latent_size + condition_size, dense_units, nn.ReLU()),
                _dense(dense_units + condition_size, first, nn.ReLU()),
            ]
        )
        padding, beyond = kernel_px // 2 - (kernel_px % 2 == 0), kernel_px % 2
        self.ups = nn.ModuleList()
        for inputs, outputs in zip(channels, [*channels[1:], out_channels], strict=True):
            last = len(self.ups) == len(channels) - 1
            up = nn.ConvTranspose2d(inputs + condition_size, outputs, kernel_px, 2, padding, beyond, bias=last)
            self.ups.append(up if last else nn.Sequential(up, nn.BatchNorm2d(outputs), nn.ReLU()))

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        features: Tensor = latent
        for layer in self.dense:
            features = layer(joined(features, condition))
        features = features.reshape(features.shape[0], self.first_channels, *self.start)
        for layer in self.ups:
            features = layer(joined(features, condition))
        return torch.tanh(features / 2)


class DenseConvDiscriminator(nn.Module):
    """Stride-2 convolutions, a dense layer and a logit; the condition is joined to every layer's input.

    ``features`` are what the logit is computed from: InfoGAN's Q shares them.

    Shapes: (N, in_channels, H, W), (N, condition_size) → (N, 1), H and W multiples of 2^len(channels). Range: logits.
    Source: as the generator. Leak 0.2 in dcgan_code, 0.1 in InfoGAN's paper (0.01 in its code).
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        condition_size: int = 0,
        image_px: tuple[int, int] = (28, 28),
        channels: tuple[int, ...] = (64, 128),
        dense_units: int = 1024,
        kernel_px: int = 5,
        leak: float = LEAKY_SLOPE,
    ) -> None:
        super().__init__()
        self.condition_size, self.feature_size = condition_size, dense_units
        padding = (kernel_px - 1) // 2
        self.downs = nn.ModuleList()
        inputs = in_channels
        for level, outputs in enumerate(channels):
            down = nn.Conv2d(inputs + condition_size, outputs, kernel_px, 2, padding, bias=level == 0)
            norm = [nn.BatchNorm2d(outputs)] if level else []
            self.downs.append(nn.Sequential(down, *norm, nn.LeakyReLU(leak)))
            inputs = outputs
        flat = inputs * (image_px[0] >> len(channels)) * (image_px[1] >> len(channels))
        self.dense = _dense(flat + condition_size, dense_units, nn.LeakyReLU(leak))
        self.logit = nn.Linear(dense_units + condition_size, 1)

    def features(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, in_channels, H, W) → (N, dense_units)."""
        found = image
        for layer in self.downs:
            found = layer(joined(found, condition))
        return cast(Tensor, self.dense(joined(found.flatten(1), condition)))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.logit(joined(self.features(image, condition), condition)))


class CodeReader(nn.Module):
    """InfoGAN's Q: reads the codes from the discriminator's features.

    Shapes: (N, feature_size) → (N, outputs): logits of each categorical code in turn, then means of continuous codes.
    Paper: Chen 2016, arXiv 1606.03657. OpenAI's code fixes the variance of the continuous codes at 1, as here.
    """

    def __init__(self, *, feature_size: int, outputs: int, units: int = 128, leak: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(_dense(feature_size, units, nn.LeakyReLU(leak)), nn.Linear(units, outputs))

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features))


def joined(features: Tensor, condition: Tensor | None) -> Tensor:
    """Features with a condition behind their channels, as constant planes where they are a map.

    Shapes: (N, C) or (N, C, H, W), (N, K) → (N, C + K) or (N, C + K, H, W).
    """
    if condition is None:
        return features
    if features.ndim == 4:
        condition = condition[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat((features, condition), dim=1)


def _dense(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), activation)
