"""How well a hole was filled: only its pixels count, all three channels together, on the scale of 255."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels
from gantools.images.ops.masks import Mask
from gantools.metrics.pairs import cut_borders


def hole_psnr(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Peak signal-to-noise ratio in decibels over the missing pixels; infinite where they are equal.

    Shapes: uint8 [H, W, 3] twice, bool [H, W]. Known pixels never count: they are equal and would only flatter.
    """
    error = float(np.mean(np.square(_differences(a, b, hole))))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def hole_l1_percent(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Mean absolute difference over the missing pixels, of samples scaled to [0, 1], times 100."""
    return float(np.mean(np.abs(_differences(a, b, hole))) / 255 * 100)


def hole_l2_percent(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Mean squared difference over the missing pixels, of samples scaled to [0, 1], times 100."""
    return float(np.mean(np.square(_differences(a, b, hole) / 255)) * 100)


def _differences(a: Pixels, b: Pixels, hole: Mask) -> npt.NDArray[np.float64]:
    a, b = cut_borders(a, b, 0)
    if not hole.any():
        raise ValueError("no pixel is missing, so there is nothing to measure")
    return a[hole].astype(np.float64) - b[hole]
