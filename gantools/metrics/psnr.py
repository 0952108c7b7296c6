"""Peak signal-to-noise ratio in decibels; infinite for equal images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels
from gantools.images.ops.color import luma
from gantools.metrics.pairs import cut_borders


def psnr_y(a: Pixels, b: Pixels, border_px: int = 4) -> float:
    """PSNR of the brightness (Y, 16 to 235, peak 255), 4 px border cut: the protocol of super-resolution papers."""
    a, b = cut_borders(a, b, border_px)
    return _decibels(luma(a) - luma(b))


def psnr_rgb(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """PSNR over all three channels together; about 1.8 dB below ``psnr_y`` on photos."""
    a, b = cut_borders(a, b, border_px)
    return _decibels(a.astype(np.float64) - b)


def _decibels(difference: npt.NDArray[Any]) -> float:
    error = float(np.mean(np.square(difference)))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
