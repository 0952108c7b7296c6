"""What every generator states about itself, so that inference can pad, tile and size images without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Generator(Protocol):
    """A network from image to image.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W).
    Range: [-1, 1] in; [-1, 1] out, except for networks with a linear last layer, whose users clamp.
    """

    scale: int
    """Output side / input side."""
    size_multiple: int
    """Input sides must be multiples of this; the caller pads."""
    minimum_size_px: int
    """Smallest input side the network can take; the caller pads."""
    halo_px: int | None
    """How many input pixels beyond a tile's edge can change its output; None: the whole image can."""

    def __call__(self, image: Tensor) -> Tensor: ...
