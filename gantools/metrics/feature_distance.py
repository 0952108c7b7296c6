"""A perceptual distance from the features of an ImageNet SqueezeNet."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import nn

from gantools.images.imagenet import normalised
from gantools.images.picture import Pixels
from gantools.images.ranges import to_tensor
from gantools.metrics import squeezenet
from gantools.metrics.pairs import cut_borders

LAYERS = (1, 3, 4, 5, 7, 8, 9, 10, 12)
"""Ends of the stages in ``squeezenet1_0().features``: the first ReLU and the eight fire modules."""

SMALLEST_PX = 21
_TINY = 1e-10


class FeatureDistance:
    """Distance of two pictures in SqueezeNet 1.0's features; 0 for equal ones, larger is less alike.

    Each of nine activations is divided by its channel norm; the squared difference is summed over channels, averaged
    over positions and summed over the layers. Whole picture, no border cut.
    ``weights`` is a safetensors file in the layout of torchvision's ``squeezenet1_0``.
    Raises ModelFileError when it is not. Differs from LPIPS (Zhang et al., 2018): no learned weights per channel.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._stages = [stage.to(self._device) for stage in _stages(weights)]

    @torch.inference_mode()
    def __call__(self, a: Pixels, b: Pixels) -> float:
        """Compare two pictures. Shapes: uint8 [H, W, 3], equal, 21 px or more a side."""
        cut_borders(a, b, 0, SMALLEST_PX)
        values = normalised(torch.cat([to_tensor(a, self._device), to_tensor(b, self._device)]))
        distance = torch.zeros((), device=self._device)
        for stage in self._stages:
            values = stage(values)
            unit = values / (values.square().sum(1, keepdim=True).sqrt() + _TINY)
            distance += (unit[0] - unit[1]).square().sum(0).mean()
        return float(distance)


def _stages(weights: Path) -> list[nn.Module]:
    """The network cut after each layer that is compared."""
    features = cast("nn.Sequential", squeezenet.load(weights).features)
    return [features[start:end] for start, end in pairwise((0, *(layer + 1 for layer in LAYERS)))]
