"""SRResNet, the generator of SRGAN."""

from __future__ import annotations

from math import ceil
from typing import Literal, cast

from torch import Tensor, nn

from gantools.images.imagenet import normalised
from gantools.models.blocks import NORMS, NormName, Residual, convolution_bias


class SRResNet(nn.Module):
    """Residual blocks at low resolution, then log2(scale) sub-pixel doublings and a 9×9 convolution.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), any H and W.
    Range: [-1, 1] → about [-1, 1], unbounded unless ``tanh``; with ``unit_input`` the first layer sees [0, 1], with
    ``imagenet_input`` that with ImageNet's statistics.
    Paper: Ledig 2017, arXiv 1609.04802.
    """

    size_multiple: int = 1
    minimum_size_px: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 16,
        norm: NormName = "batch",
        tanh: bool = False,
        unit_input: bool = True,
        imagenet_input: bool = False,
        body_end: Literal["norm", "prelu"] = "norm",
        bias: bool | None = None,
        channel_slopes: bool = False,
    ) -> None:
        super().__init__()
        doublings = scale.bit_length() - 1
        self.scale = scale
        self.halo_px: int | None = _halo_px(blocks, doublings) if norm in ("batch", "none") else None
        self.input = ImageNetInput() if imagenet_input else UnitInput() if unit_input else nn.Identity()
        slopes = channels if channel_slopes else 1
        self.head = nn.Sequential(nn.Conv2d(in_channels, channels, 9, padding=4), nn.PReLU(slopes))
        has_bias = convolution_bias(norm, bias)
        residual_blocks = [_block(channels, norm, has_bias, slopes) for _ in range(blocks)]
        end = (
            _convolution_norm(channels, norm, has_bias)
            if body_end == "norm"
            else [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(slopes)]
        )
        self.body = Residual(*residual_blocks, *end)
        self.ups = nn.Sequential(*(layer for _ in range(doublings) for layer in _doubling(channels, slopes)))
        self.last = nn.Conv2d(channels, out_channels, 9, padding=4)
        self.squash = nn.Tanh() if tanh else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.squash(self.last(self.ups(self.body(self.head(self.input(image)))))))


class UnitInput(nn.Module):
    """[-1, 1] → [0, 1]."""

    def forward(self, image: Tensor) -> Tensor:
        return (image + 1) / 2


class ImageNetInput(nn.Module):
    """RGB in [-1, 1] → values of mean 0 and deviation 1 over ImageNet."""

    def forward(self, image: Tensor) -> Tensor:
        return normalised(image)


def _convolution_norm(channels: int, norm: NormName, bias: bool) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=bias), NORMS[norm](channels)]


def _block(channels: int, norm: NormName, bias: bool, slopes: int) -> Residual:
    ends = (_convolution_norm(channels, norm, bias) for _ in range(2))
    return Residual(*next(ends), nn.PReLU(slopes), *next(ends))


def _doubling(channels: int, slopes: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(slopes)]


def _halo_px(blocks: int, doublings: int) -> int:
    """Context in input pixels: 4 (head), 2 per block, 1 (body); 1 per doubling and 4 (last) at their own scales."""
    beyond = 4.0
    for _ in range(doublings):
        beyond = beyond / 2 + 1
    return 4 + 2 * blocks + 1 + ceil(beyond)
