"""ImageNet's statistics, in which networks trained on it see images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from torch import cat

    filled = [[image.new_full((1, 1, 1, 1), value) for value in values] for values in zip(*TO_NORMALISED, strict=True)]
    scale, shift = (cat(values, dim=1) for values in filled)  # made on the device: no copy to wait for
    moved: Tensor = image * scale + shift
    return moved
