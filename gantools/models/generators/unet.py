"""The U-Net of pix2pix."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, NORMS, NormName, convolution_bias, maybe_dropout, widths
from gantools.models.halo import LOCAL_NORMS, Halo
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Upsampling: TypeAlias = Literal["transposed", "source", "resize"]


class UNet(nn.Module):
    """Halve ``downs`` times, double as often, and hand every scale's features across.

    With E the convolutions down and D those up, n norm, ℓ LeakyReLU 0.2, r ReLU and s = ``skip_activation``::

        eₖ = ℓ(n(Eₖ(eₖ₋₁)))    d₁ = r(n(D₁(s(e_last))))    dₖ = r(n(Dₖ([dₖ₋₁, s(e)])))    y = tanh(D_last([d, s(e₁)]))

    For s = r this is the reference, which writes each activation before the next convolution (r∘ℓ = r, so its decoder
    sees r of the whole concatenation); for s = ℓ the source's U-Net, which hands ℓ across unchanged. No norm after the
    first and the innermost convolution. Dropout stands between norm and activation, with which it commutes.

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 2^downs.
    Range: [-1, 1] → [-1, 1].
    Paper: Isola 2017, arXiv 1611.07004.
    Differs from the paper: no norm at the innermost convolution, as in its erratum (on a 1×1 map it erases everything).
    """

    scale: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        downs: int = 8,
        base_channels: int = 64,
        max_channels: int = 512,
        norm: NormName = "batch",
        upsampling: Upsampling = "transposed",
        skip_activation: Literal["relu", "leaky_relu"] = "relu",
        dropout: float = 0.5,
        dropout_downs_from: int | None = None,
        dropout_ups: int = 3,
        dropout_ups_from: int = 1,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.size_multiple = self.minimum_size_px = 2**downs
        self.halo_px: int | None = _halo(downs, upsampling).px if norm in LOCAL_NORMS else None
        channels = widths(base_channels, max_channels, downs)
        has_bias = convolution_bias(norm, bias)
        first_dropout = downs + 1 if dropout_downs_from is None else dropout_downs_from
        down_dropouts = [dropout if level >= first_dropout else 0.0 for level in range(1, downs + 1)]
        ups_with_dropout = range(dropout_ups_from, dropout_ups_from + dropout_ups)
        up_dropouts = [dropout if level in ups_with_dropout else 0.0 for level in range(1, downs)]
        self.downs = _encoder(in_channels, channels, norm, has_bias, down_dropouts)
        self.to_decoder = nn.ReLU() if skip_activation == "relu" else nn.Identity()
        self.ups = _decoder(channels, norm, has_bias, up_dropouts, upsampling)
        self.last = nn.Sequential(*_last_enlargement(2 * channels[0], out_channels, upsampling), nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        scales, features = [], image
        for down in self.downs:
            features = down(features)
            scales.append(features)
        decoded = self.to_decoder(scales.pop())
        for up in self.ups:
            decoded = torch.cat((up(decoded), self.to_decoder(scales.pop())), dim=1)
        return cast(Tensor, self.last(decoded))


def _encoder(inputs: int, channels: list[int], norm: NormName, bias: bool, dropouts: list[float]) -> nn.ModuleList:
    downs = nn.ModuleList()
    for level, (outputs, dropout) in enumerate(zip(channels, dropouts, strict=True)):
        norm_here: NormName = "none" if level in (0, len(channels) - 1) else norm
        downs.append(
            nn.Sequential(
                StridedConv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias),
                NORMS[norm_here](outputs),
                *maybe_dropout(dropout),
                nn.LeakyReLU(LEAKY_SLOPE),
            )
        )
        inputs = outputs
    return downs


def _decoder(
    channels: list[int], norm: NormName, bias: bool, dropouts: list[float], upsampling: Upsampling
) -> nn.ModuleList:
    ups, inputs = nn.ModuleList(), channels[-1]
    for outputs, dropout in zip(reversed(channels[:-1]), dropouts, strict=True):
        enlargement = _enlargement(inputs, outputs, bias, upsampling)
        ups.append(nn.Sequential(*enlargement, NORMS[norm](outputs), *maybe_dropout(dropout), nn.ReLU()))
        inputs = 2 * outputs
    return ups


def _enlargement(inputs: int, outputs: int, bias: bool, upsampling: Upsampling) -> list[nn.Module]:
    if upsampling == "resize":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
    return [StridedConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)]


def _last_enlargement(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    """The step to the image; the source pads left and top by one so that a 4×4 kernel keeps the size."""
    if upsampling == "source":
        padded = nn.ZeroPad2d((1, 0, 1, 0))
        return [nn.Upsample(scale_factor=2), padded, nn.Conv2d(inputs, outputs, 4, padding=1)]
    return _enlargement(inputs, outputs, True, upsampling)


def _halo(downs: int, upsampling: Upsampling) -> Halo:
    """What a tile needs of the image: the decoder's needs at every scale, then the encoder's on top of them."""
    last = (
        Halo().convolution(4, padding=2).enlarged()
        if upsampling == "source"
        else _before_enlargement(Halo(), upsampling)
    )
    needs = [last]
    for _ in range(downs - 1):
        needs.append(_before_enlargement(needs[-1], upsampling))
    halo = needs.pop()
    for skip in reversed(needs):
        halo = halo.convolution(4, 2, 1) | skip
    return halo.convolution(4, 2, 1)


def _before_enlargement(halo: Halo, upsampling: Upsampling) -> Halo:
    return halo.convolution(3).enlarged() if upsampling == "resize" else halo.transposed(4)
