"""The context encoder: what is missing from an image, guessed from what is around it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, NORMS, NormName, convolution_bias, widths
from gantools.models.harmonic import harmonic_square
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Region: TypeAlias = Literal["center", "full"]

INNERMOST_PX = 4
"""Side of the features that the bottleneck sees."""


class ContextEncoder(nn.Module):
    """Halve ``downs`` times to 4×4, squeeze through a bottleneck of one pixel, and enlarge again.

    ``center`` predicts the middle (half the side) and returns the image with its middle replaced: known pixels around
    it pass through. ``full`` predicts every pixel; its decoder is one level deeper. Both have an image of the training
    size, 4·2^downs, for a single bottleneck; on larger ones the bottleneck slides, and where its windows overlap their
    mean is taken, so that features have the size that the decoder has learnt.

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 2^downs, at least 4·2^downs. With one
    channel more than it makes, the last one is the mask.
    Range: [-1, 1] → [-1, 1]; missing pixels come as the mean colour, in the mask as 1.
    Paper: Pathak 2016, arXiv 1604.07379.
    Differs from the paper: convolutions before BatchNorm have no bias (its code sets every bias to zero in each step);
    the channel-wise dense layer of its figure is the 4×4 convolution of its code. With ``residual`` the decoder's
    output is added to the smoothest continuation of the known pixels, so that a short training need not learn that.
    With ``skips`` the decoder of the full network also sees the encoder's features: what is beside the hole need not
    pass the bottleneck.
    """

    scale: int = 1
    halo_px: int | None = None

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        region: Region = "center",
        overlap_px: int = 4,
        downs: int = 5,
        base_channels: int = 64,
        max_channels: int = 512,
        bottleneck_channels: int = 4000,
        norm: NormName = "batch",
        residual: bool = False,
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.region, self.overlap_px, self.residual, self.skips = region, overlap_px, residual, skips
        self.out_channels = out_channels
        self.size_multiple, self.minimum_size_px = 2**downs, INNERMOST_PX * 2**downs
        channels = [base_channels, *widths(base_channels, max_channels, downs - 1)]
        self.encoder = _encoder(in_channels, channels, norm)
        self.bottleneck = _layer(
            nn.Conv2d(channels[-1], bottleneck_channels, INNERMOST_PX, bias=convolution_bias(norm, None)), norm
        )
        has_bias = convolution_bias(norm, None)
        self.widen = nn.ConvTranspose2d(bottleneck_channels, channels[-1], INNERMOST_PX, bias=has_bias)
        self.decoder = _decoder(channels if region == "full" else channels[1:], out_channels, norm, skips)

    def forward(self, given: Tensor) -> Tensor:
        predicted, image = self.predict(given), given[:, : self.out_channels]
        if self.region == "full":
            return predicted
        top, left = image.shape[-2] // 4, image.shape[-1] // 4
        replaced = image.clone()
        replaced[..., top : top + predicted.shape[-2], left : left + predicted.shape[-1]] = predicted.to(image.dtype)
        return replaced

    def predict(self, given: Tensor) -> Tensor:
        """What the decoder makes. Shapes: as ``forward``; of center (N, out_channels, H/2, W/2)."""
        features = given
        scales: list[Tensor] = []
        for layer in self.encoder:
            features = layer(features)
            scales.append(features)
        squeezed = self.bottleneck(features)
        made: Tensor = self.widen(squeezed)
        if squeezed.shape[-2:] != (1, 1):
            made = made / _windows(made)
        for enlargement in self.decoder:
            made = enlargement(torch.cat((made, scales.pop()), dim=1) if self.skips else made)
        if not self.residual:
            return made
        return (_continued(given[:, : self.out_channels], self.overlap_px) + made).clamp(-1, 1)


def _layer(convolution: nn.Module, norm: NormName) -> nn.Sequential:
    """A convolution of the encoder with what follows it."""
    return nn.Sequential(convolution, NORMS[norm](cast(int, convolution.out_channels)), nn.LeakyReLU(LEAKY_SLOPE))


def _encoder(inputs: int, channels: list[int], norm: NormName) -> nn.Sequential:
    layers: list[nn.Module] = []
    for level, (given, made) in enumerate(pairwise([inputs, *channels])):
        norm_here: NormName = norm if level else "none"
        layers.append(_layer(StridedConv2d(given, made, 4, 2, 1, bias=convolution_bias(norm_here, None)), norm_here))
    return nn.Sequential(*layers)


def _decoder(channels: list[int], outputs: int, norm: NormName, skips: bool) -> nn.Sequential:
    """From 4×4 up: norm and ReLU before every enlargement, so that the widened bottleneck gets its own too."""
    levels = []
    for level, (width, made) in enumerate(pairwise([*reversed(channels), outputs]), 1):
        given, last = 2 * width if skips else width, level == len(channels)
        enlargement = StridedConvTranspose2d(given, made, 4, 2, 1, bias=last or convolution_bias(norm, None))
        levels.append(nn.Sequential(NORMS[norm](given), nn.ReLU(), enlargement, nn.Tanh() if last else nn.Identity()))
    return nn.Sequential(*levels)


def _continued(image: Tensor, overlap_px: int) -> Tensor:
    """The middle of the image: its known border, and inside the smoothest continuation of that."""
    height, width = image.shape[-2:]
    middle = image[..., height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2].clone()
    side_px = min(height, width) // 2 - 2 * overlap_px
    top, left = (middle.shape[-2] - side_px) // 2, (middle.shape[-1] - side_px) // 2
    middle[..., top : top + side_px, left : left + side_px] = harmonic_square(image, side_px)
    return middle


def _windows(wide: Tensor) -> Tensor:
    """How many windows of the bottleneck cover each position. Shapes: (…, h, w) → (h, w)."""
    counts = []
    for side in wide.shape[-2:]:  # windows of four along one axis: 1, 2, 3, 4, 4, …, 3, 2, 1
        position = torch.arange(side, device=wide.device)
        most = min(INNERMOST_PX, side - INNERMOST_PX + 1)
        counts.append(torch.minimum(position + 1, side - position).clamp(max=most).to(wide.dtype))
    return counts[0][:, None] * counts[1]
