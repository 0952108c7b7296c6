"""A perceptual distance from the features of an ImageNet SqueezeNet."""

from __future__ import annotations

from pathlib import Path

import torch

from gantools.images.image import Pixels
from gantools.images.imagenet import normalised
from gantools.images.ranges import to_tensor
from gantools.metrics import features
from gantools.metrics.pixels import cut_borders

LAYERS = (1, 3, 4, 5, 7, 8, 9, 10, 12)
"""Ends of the stages in ``squeezenet1_0().features``: the first ReLU and the eight fire modules."""

SMALLEST_PX = 21


class FeatureDistance:
    """Distance of two images in SqueezeNet 1.0's features; 0 for equal ones, larger is less alike.

    Each of nine activations is divided by its channel norm; the squared difference is summed over channels, averaged
    over positions and summed over the layers. Whole image, no border cut.
    ``weights`` is a file in the layout of torchvision's ``squeezenet1_0``.
    Raises ModelFileError when it is not. Differs from LPIPS (Zhang et al., 2018): no learned weights per channel.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._stages = features.stages(features.load(weights, "squeezenet1_0"), LAYERS, self._device)

    @torch.inference_mode()
    def __call__(self, a: Pixels, b: Pixels) -> float:
        """Compare two images. Shapes: uint8 [H, W, 3], equal, 21 px or more a side."""
        cut_borders(a, b, 0, SMALLEST_PX)
        values = normalised(torch.cat([to_tensor(a, self._device), to_tensor(b, self._device)]))
        distance = torch.zeros((), device=self._device)
        for stage in self._stages:
            values = stage(values)
            unit = features.unit_length(values)
            distance += (unit[0] - unit[1]).square().sum(0).mean()
        return float(distance)
