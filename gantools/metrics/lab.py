"""Difference of the colours of two images, whatever their brightness."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels
from gantools.metrics.pairs import cut_borders


def ab_l1(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean absolute difference in the a and b of CIELAB (sRGB, D65): 0 for equal colours, saturated ones are 30 to 100.

    Paper: none; the error colorization is scored by since Zhang et al., 2016, arXiv:1603.08511.
    """
    a, b = cut_borders(a, b, border_px)
    return float(np.abs(_ab(a) - _ab(b)).mean())


def _ab(picture: Pixels) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 1:], np.float32)
