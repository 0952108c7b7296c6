"""The discriminator of the context encoder."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, NORMS, NormName, convolution_bias, maybe_spectral, widths
from gantools.models.strided import StridedConv2d

INNERMOST_PX = 4


class RegionDiscriminator(nn.Module):
    """Judge a whole region: 4×4 stride-2 layers down to 4×4, then one 4×4 convolution without padding (as in DCGAN).

    Shapes: (N, in_channels, H, W) → (N, 1, H/2^downs - 3, W/2^downs - 3): one logit for a region of 4·2^downs px.
    Range: logits; the paper's sigmoid is in the loss.
    Paper: Pathak 2016, arXiv 1604.07379.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        downs: int = 4,
        base_channels: int = 64,
        max_channels: int = 512,
        norm: NormName = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        for level, outputs in enumerate(widths(base_channels, max_channels, downs)):
            norm_here: NormName = norm if level else "none"
            convolution = StridedConv2d(inputs, outputs, 4, 2, 1, bias=convolution_bias(norm_here, None))
            layers += [maybe_spectral(convolution, spectral_norm), NORMS[norm_here](outputs)]
            layers += [nn.LeakyReLU(LEAKY_SLOPE)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.logits = maybe_spectral(nn.Conv2d(inputs, 1, INNERMOST_PX), spectral_norm)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.logits(self.features(image)))
