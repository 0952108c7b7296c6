"""ImageNet's statistics, in which networks trained on it see images."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue on [0, 1]."""

TO_NORMALISED = tuple(
    (1 / (2 * deviation), (0.5 - mean) / deviation) for mean, deviation in zip(MEAN, DEVIATION, strict=True)
)
FROM_NORMALISED = tuple((2 * deviation, 2 * mean - 1) for mean, deviation in zip(MEAN, DEVIATION, strict=True))
"""Scale and shift of each channel, from [-1, 1] to ImageNet's statistics and back."""


def normalised(image: Tensor) -> Tensor:
    """Each channel with ImageNet's mean and deviation as 0 and 1.

    Shapes: (N, 3, H, W). Range: [-1, 1] in, about [-2.1, 2.6] out.
    """
    scale, shift = _scale_and_shift(image.device, image.dtype)
    moved: Tensor = image * scale + shift
    return moved


@cache
def _scale_and_shift(device: torch.device, dtype: torch.dtype) -> Tensor:
    """``TO_NORMALISED`` on a device, where it is copied once: a copy is a wait. Shapes: (2, 1, 3, 1, 1)."""
    import torch

    with torch.inference_mode(False):  # or training could not use what an evaluation made
        return torch.tensor(TO_NORMALISED, device=device, dtype=dtype).T.reshape(2, 1, 3, 1, 1)
