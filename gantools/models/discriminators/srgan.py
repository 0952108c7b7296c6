"""The discriminators of SRGAN: the paper's on a fixed crop, and one for any size."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

from gantools.errors import UsageError
from gantools.models.blocks import LEAKY_SLOPE, NORMS, NormName, convolution_bias, maybe_spectral
from gantools.models.strided import StridedConv2d

DOWNS = 4


class SrganDiscriminator(nn.Module):
    """Eight 3×3 convolutions, every second one halving, then two dense layers: one logit per crop.

    Shapes: (N, in_channels, crop_px, crop_px) → (N, 1).
    Range: logits; the paper's sigmoid is in the loss.
    Raises: UsageError for another size.
    Paper: Ledig 2017, arXiv 1609.04802, figure 4.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        crop_px: int = 96,
        base_channels: int = 64,
        dense_units: int = 1024,
        norm: NormName = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.crop_px = crop_px
        self.features = _features(in_channels, base_channels, norm, spectral_norm)
        side_px = -(-crop_px // 2**DOWNS)
        self.logits = nn.Sequential(
            nn.Flatten(),
            maybe_spectral(nn.Linear(base_channels * 8 * side_px**2, dense_units), spectral_norm),
            nn.LeakyReLU(LEAKY_SLOPE),
            maybe_spectral(nn.Linear(dense_units, 1), spectral_norm),
        )

    def forward(self, image: Tensor) -> Tensor:
        height_px, width_px = image.shape[-2:]
        if (height_px, width_px) != (self.crop_px, self.crop_px):
            raise UsageError(
                f"discriminator srgan takes {self.crop_px}×{self.crop_px} px crops and got {width_px}×{height_px};"
                ' set its crop_px, or take "srgan_fully_convolutional"'
            )
        return cast(Tensor, self.logits(self.features(image)))


class SrganFullyConvolutional(nn.Module):
    """The same convolutions, then 1×1 convolutions in the dense layers' place.

    Shapes: (N, in_channels, H, W) → (N, 1, 1, 1) with mean pooling, else (N, 1, ⌈H/16⌉, ⌈W/16⌉).
    Range: logits, no sigmoid.
    Paper: Ledig 2017, arXiv 1609.04802.
    Differs from the paper: takes any size, and does not know where in the crop a feature stands.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        pooling: Literal["mean", "none"] = "mean",
        base_channels: int = 64,
        dense_units: int = 1024,
        norm: NormName = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.features = _features(in_channels, base_channels, norm, spectral_norm)
        self.logits = nn.Sequential(
            nn.AdaptiveAvgPool2d(1) if pooling == "mean" else nn.Identity(),
            maybe_spectral(nn.Conv2d(base_channels * 8, dense_units, 1), spectral_norm),
            nn.LeakyReLU(LEAKY_SLOPE),
            maybe_spectral(nn.Conv2d(dense_units, 1, 1), spectral_norm),
        )

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.logits(self.features(image)))


def _features(in_channels: int, base_channels: int, norm: NormName, spectral_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = in_channels
    for level in range(2 * DOWNS):
        outputs, stride = base_channels * 2 ** (level // 2), 1 + level % 2
        norm_here: NormName = norm if level else "none"
        convolution = StridedConv2d(inputs, outputs, 3, stride, 1, bias=convolution_bias(norm_here, None))
        layers += [maybe_spectral(convolution, spectral_norm), NORMS[norm_here](outputs), nn.LeakyReLU(LEAKY_SLOPE)]
        inputs = outputs
    return nn.Sequential(*layers)
