"""Any size through networks that want multiples: reflect, run, cut back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Crop:
    """The part of a padded picture that is the picture: its top left corner."""

    height: int
    width: int

    def __call__(self, tensor: Tensor, scale: int = 1) -> Tensor:
        """Cut the padding off an output that is ``scale`` times as large as the padded input. Shapes: [..., H, W]."""
        return tensor[..., : self.height * scale, : self.width * scale]


def pad_to_multiple(tensor: Tensor, multiple: int) -> tuple[Tensor, Crop]:
    """Extend a picture at the right and bottom to a multiple of ``multiple`` by reflection, as often as it takes.

    Shapes: [N, C, H, W] → [N, C, ⌈H⌉, ⌈W⌉] and the crop that undoes it. Works from 1×1 on, where ``F.pad`` refuses.
    """
    height, width = tensor.shape[-2:]
    for axis, length in ((-2, height), (-1, width)):
        padded = -(-length // multiple) * multiple
        if padded != length:
            tensor = tensor.index_select(axis, _reflected(length, padded, tensor.device))
    return tensor, Crop(height, width)


def _reflected(length: int, padded: int, device: torch.device) -> Tensor:
    """Indices 0 … length-1 … 0 … of a reflection that does not repeat the edge."""
    period = max(1, 2 * (length - 1))
    position = torch.arange(padded, device=device) % period
    return torch.minimum(position, period - position)
