"""How much an image looks like one thing to an ImageNet classifier."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from gantools.images.image import Pixels
from gantools.images.imagenet import normalised
from gantools.images.ranges import to_tensor
from gantools.metrics import features

GRANNY_SMITH, ORANGE = 948, 950
"""Classes of ImageNet in torchvision's order. There is none for red apples."""

SHORT_SIDE_PX, CROP_PX = 256, 224


class ClassScore:
    """The probability, 0 to 1, that ImageNet's SqueezeNet 1.0 gives an image of being of one class.

    As ImageNet is evaluated: the short side is brought to 256 px (antialiased bilinear), the middle 224×224 px are
    judged. ``weights`` is a file in the layout of torchvision's ``squeezenet1_0``, classifier included.
    Raises ModelFileError when it is not. Paper: Iandola et al., 2016, arXiv:1602.07360.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = features.load(weights, "squeezenet1_0").to(self._device)

    @torch.inference_mode()
    def __call__(self, image: Pixels, class_index: int) -> float:
        """Judge one image. Shapes: uint8 [H, W, 3], of any size."""
        logits = self._network(normalised(_middle(to_tensor(image, self._device))))
        return float(logits.softmax(1)[0, class_index])


def _middle(values: Tensor) -> Tensor:
    """The middle square that the classifier is shown. Shapes: (1, 3, H, W) → (1, 3, 224, 224)."""
    height, width = values.shape[2:]
    factor = SHORT_SIDE_PX / min(height, width)
    size = (max(SHORT_SIDE_PX, round(height * factor)), max(SHORT_SIDE_PX, round(width * factor)))
    resized = functional.interpolate(values, size, mode="bilinear", antialias=True)
    top, left = (size[0] - CROP_PX) // 2, (size[1] - CROP_PX) // 2
    return resized[:, :, top : top + CROP_PX, left : left + CROP_PX]
