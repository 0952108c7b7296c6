"""The Wasserstein critic."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, NORMS, convolution_bias, maybe_dropout, maybe_spectral, widths
from gantools.models.strided import StridedConv2d


class Critic(nn.Module):
    """Score an image: 4×4 stride-2 layers, a last 4×4 convolution, and the mean over its positions.

    Without BatchNorm, so that the score of one image, and so the penalty on its gradient, does not depend on the
    others in the batch.

    Shapes: (N, in_channels, H, W) → (N, 1), H and W at least 2^downs.
    Range: unbounded scores.
    Paper: Gulrajani 2017, arXiv 1704.00028 (no BatchNorm, layer norm instead); Kupyn 2018, arXiv 1711.07064.
    Differs from the paper: DeblurGAN averages in the loss; here the mean belongs to the score, so the penalty sees it.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        downs: int = 4,
        base_channels: int = 64,
        max_channels: int = 512,
        norm: Literal["instance", "layer", "none"] = "instance",
        dropout: float = 0.0,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        for level, outputs in enumerate(widths(base_channels, max_channels, downs)):
            norm_here = norm if level else "none"
            convolution = StridedConv2d(inputs, outputs, 4, 2, 1, bias=convolution_bias(norm_here, None))
            layers += [maybe_spectral(convolution, spectral_norm), NORMS[norm_here](outputs)]
            layers += [nn.LeakyReLU(LEAKY_SLOPE), *maybe_dropout(dropout)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.score = maybe_spectral(nn.Conv2d(inputs, 1, 4, padding=2), spectral_norm)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.score(self.features(image)).mean(dim=(2, 3)))
