"""LPIPS: a perceptual distance whose channels are weighted as people judged (Zhang et al., 2018, arXiv:1801.03924)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gantools.errors import ModelFileError
from gantools.images.image import Pixels
from gantools.images.ranges import to_tensor
from gantools.metrics import features
from gantools.metrics.pixels import cut_borders
from gantools.pretrained.feature_weights import read_state

SMALLEST_PX = 32

LAYERS: Mapping[str, tuple[int, ...]] = {
    "alexnet": (1, 4, 7, 9, 11),
    "vgg16": (3, 8, 15, 22, 29),
    "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12),
}
"""Ends of the compared stages in torchvision's ``features``."""

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
"""Its authors' own normalisation of images in [-1, 1]."""


class Lpips:
    """Version 0.1 with its learnt weights (``heads``); 0 for equal images, larger is less alike.

    ``weights`` is a file of torchvision's ``network``, ``heads`` the file of the same backbone that its authors
    publish. Raises ModelFileError when they are not. Whole image, no border cut.
    """

    def __init__(self, weights: Path, heads: Path, network: str, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._stages = features.stages(features.load(weights, network), LAYERS[network], self._device)
        self._heads = [head.to(self._device) for head in _heads(heads, len(self._stages))]

    @torch.inference_mode()
    def __call__(self, a: Pixels, b: Pixels) -> float:
        """Compare two images. Shapes: uint8 [H, W, 3], equal, 32 px or more a side."""
        cut_borders(a, b, 0, SMALLEST_PX)
        images = torch.cat([to_tensor(a, self._device), to_tensor(b, self._device)])
        shift, scale = (images.new_tensor(numbers).view(1, 3, 1, 1) for numbers in (_SHIFT, _SCALE))
        values = (images - shift) / scale
        distance = torch.zeros((), device=self._device)
        for stage, head in zip(self._stages, self._heads, strict=True):
            values = stage(values)
            unit = features.unit_length(values)
            distance += ((unit[0] - unit[1]).square() * head[0]).sum(0).mean()
        return float(distance)


def _heads(path: Path, count: int) -> list[Tensor]:
    """One weight per channel and stage. Shapes: (1, C, 1, 1) each."""
    state = read_state(path, "LPIPS' learnt weights")
    try:
        return [state[f"lin{stage}.model.1.weight"].float() for stage in range(count)]
    except KeyError as error:
        raise ModelFileError(f"{str(path)!r}: not LPIPS' learnt weights: no tensor {error}") from error
