"""The halo of a network: how many input pixels beyond a tile's edges its output depends on."""

from __future__ import annotations

from dataclasses import dataclass

from gantools.models.blocks import NormName

LOCAL_NORMS: tuple[NormName, ...] = ("batch", "none")
"""Norms that treat every position alike once trained; the others look at the whole image."""


@dataclass(frozen=True)
class Halo:
    """Samples needed before and after a tile whose edges lie on the grid of the network's coarsest scale.

    Followed from the output to the input: each method returns what a layer needs of its input.
    """

    before: int = 0
    after: int = 0

    def __or__(self, other: Halo) -> Halo:
        """What two branches need of the same features."""
        return Halo(max(self.before, other.before), max(self.after, other.after))

    @property
    def px(self) -> int:
        """The same margin for all sides."""
        return max(self.before, self.after)

    def convolution(self, kernel: int, stride: int = 1, padding: int | None = None, times: int = 1) -> Halo:
        """Through ``times`` convolutions; without ``padding`` it is half the kernel. Pooling needs the same."""
        padding = kernel // 2 if padding is None else padding
        before, after = self.before, self.after
        for _ in range(times):
            before, after = before * stride + padding, after * stride + max(0, kernel - stride - padding)
        return Halo(before, after)

    def transposed(self, kernel: int, stride: int = 2, padding: int = 1) -> Halo:
        """Through a transposed convolution, to its coarse side."""
        before = (self.before - padding + kernel - 1) // stride
        return Halo(max(0, before), max(0, 1 + (self.after - 1 + padding) // stride))

    def enlarged(self, factor: int = 2) -> Halo:
        """Through nearest enlargement or PixelShuffle, to the coarse side: any needed part of a cell needs it whole."""
        return Halo(-(-self.before // factor), -(-self.after // factor))

    def interpolated(self) -> Halo:
        """Through bilinear enlargement to twice the side, to the coarse side: four samples take part, as of a 4×4."""
        return self.transposed(4)

    def folded(self, factor: int = 2) -> Halo:
        """Through PixelUnshuffle, to the fine side."""
        return Halo(self.before * factor, self.after * factor)
