"""The patch discriminator of pix2pix and CycleGAN."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, NORMS, NormName, convolution_bias, maybe_spectral, widths
from gantools.models.strided import StridedConv2d

Layout: TypeAlias = Literal["paper", "source"]


class PatchGan(nn.Module):
    """Say of every patch how real it looks. A condition is concatenated to the image before the call.

    ``paper``: ``downs`` 4×4 stride-2 layers (the first without norm), one of stride 1, one of stride 1 to the logits;
    ``downs`` 0 is the 1×1 "pixel" discriminator. ``source``: the stride-2 layers, then (1, 0, 1, 0) padding and a 4×4
    convolution without bias. ``receptive_field_px`` is the side of the patch behind one logit: 1, 16, 34, 70, 142,
    286 px for ``downs`` 0 to 5 in the paper's layout, 94 px for the source's four.

    Shapes: (N, in_channels, H, W) → (N, 1, h, w), H and W at least ``minimum_size_px``; 256 px give 30 (paper, 3 downs)
    or 16 (source, 4 downs).
    Range: logits, no sigmoid.
    Paper: Isola 2017, arXiv 1611.07004.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        layout: Layout = "paper",
        downs: int = 3,
        base_channels: int = 64,
        max_channels: int = 512,
        norm: NormName = "batch",
        spectral_norm: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        strides = [2] * downs  # of the layers before the logits; the pixel discriminator has two of stride 1
        if layout == "paper":
            strides += [1] if downs else [1, 1]
        channels = [in_channels, *widths(base_channels, max_channels, len(strides))]
        kernel_px = 1 if layout == "paper" and downs == 0 else 4
        self.receptive_field_px = 1
        for stride in (1, *reversed(strides)):
            self.receptive_field_px = self.receptive_field_px * stride + kernel_px - stride
        self.minimum_size_px = 1 if kernel_px == 1 else 2**downs * (3 if layout == "paper" else 1)
        features: list[nn.Module] = []
        for level, stride in enumerate(strides):
            inputs, outputs = channels[level : level + 2]
            has_bias = level == 0 or convolution_bias(norm, bias)
            features.append(maybe_spectral(_convolution(inputs, outputs, kernel_px, stride, has_bias), spectral_norm))
            features += [NORMS[norm if level else "none"](outputs), nn.LeakyReLU(LEAKY_SLOPE)]
        self.features = nn.Sequential(*features)
        self.padding = nn.ZeroPad2d((1, 0, 1, 0)) if layout == "source" else nn.Identity()
        self.logits = maybe_spectral(_convolution(channels[-1], 1, kernel_px, 1, layout == "paper"), spectral_norm)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.logits(self.padding(self.features(image))))


def _convolution(inputs: int, outputs: int, kernel_px: int, stride: int, bias: bool) -> nn.Conv2d:
    return StridedConv2d(inputs, outputs, kernel_px, stride, padding=1 if kernel_px == 4 else 0, bias=bias)
