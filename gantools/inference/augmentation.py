"""The mean over the eight ways to flip and turn a picture, which evens out what a network does in one of them only."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Network = Callable[[Tensor], Tensor]


def eightfold(network: Network) -> Network:
    """A network whose result is the mean of its results over flips and turns, each turned back.

    Shapes: [N, C, H, W] → [N, C', scale·H, scale·W]. The order is fixed, so the sum is always the same.
    """

    def averaged(image: Tensor) -> Tensor:
        total: Tensor | None = None
        for way in range(8):
            made = _back(network(_there(image, way)), way)
            total = made.clone() if total is None else total.add_(made)
        assert total is not None
        return total.div_(8)

    return averaged


def _there(image: Tensor, way: int) -> Tensor:
    flipped = image.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if way & bit])
    return flipped.transpose(-1, -2) if way & 4 else flipped


def _back(made: Tensor, way: int) -> Tensor:
    turned = made.transpose(-1, -2) if way & 4 else made
    return turned.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if way & bit])
