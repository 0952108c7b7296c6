"""Structural similarity (Wang et al., 2004): 11×11 Gaussian window, σ 1.5, valid region, float64."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.color import luma
from gantools.images.picture import Pixels
from gantools.metrics.pairs import cut_borders

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim_y(a: Pixels, b: Pixels, border_px: int = 4) -> float:
    """SSIM of the brightness (Y, 16 to 235), 4 px border cut: the protocol of super-resolution papers."""
    a, b = cut_borders(a, b, border_px, _WINDOW_PX)
    return _similarity(luma(a), luma(b))


def ssim_rgb(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """SSIM of each of the three channels, averaged."""
    a, b = cut_borders(a, b, border_px, _WINDOW_PX)
    return _similarity(a.astype(np.float64), b.astype(np.float64))


def _similarity(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    mean_a, mean_b = _windowed(a), _windowed(b)
    variances = _windowed(a * a) - mean_a**2 + _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    structure = (2 * covariance + _C2) / (variances + _C2)
    brightness = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return float(np.mean(brightness * structure))


def _windowed(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Gaussian means at the positions whose whole window lies inside the picture."""
    kernel = cv2.getGaussianKernel(_WINDOW_PX, _SIGMA_PX)
    edge = _WINDOW_PX // 2
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel))[edge:-edge, edge:-edge]
