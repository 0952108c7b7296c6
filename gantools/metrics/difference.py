"""Mean differences in percent of full scale, as inpainting papers report them (Pathak et al., 2016)."""

from __future__ import annotations

import numpy as np

from gantools.images.image import Pixels
from gantools.metrics.pairs import cut_borders


def l1_percent(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean absolute difference of the samples scaled to [0, 1], times 100."""
    a, b = cut_borders(a, b, border_px)
    return float(np.mean(np.abs(a.astype(np.float64) - b)) / 255 * 100)


def l2_percent(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean squared difference of the samples scaled to [0, 1], times 100."""
    a, b = cut_borders(a, b, border_px)
    return float(np.mean(np.square((a.astype(np.float64) - b) / 255)) * 100)
