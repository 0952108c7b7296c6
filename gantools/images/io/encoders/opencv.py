"""OpenCV's encoders, whose failures are a False as often as an exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from gantools.errors import ImageError
from gantools.images.image import Pixels

Encoded: TypeAlias = tuple[bool, Pixels]

_BGR = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}


def encode(suffix: str, samples: Pixels, *options: int) -> memoryview:
    """Encode samples [H, W, C] in RGB order as the format of ``suffix``. Raises ImageError."""
    return checked(suffix, samples, lambda pixels: cv2.imencode(suffix, pixels, list(options)))


def checked(suffix: str, samples: Pixels, encoder: Callable[[Pixels], Encoded]) -> memoryview:
    """What ``encoder`` makes of samples [H, W, C] in RGB order, given them as BGR. Raises ImageError."""
    height, width, channels = samples.shape
    try:
        done, content = encoder(_bgr(samples))
    except cv2.error:
        done, content = False, np.empty(0, np.uint8)
    if not done:
        raise ImageError(f"the {suffix} encoder refused {width}×{height} px, {channels} channels of {samples.dtype}")
    return content.data


def _bgr(samples: Pixels) -> Pixels:
    code = _BGR.get(samples.shape[2])
    return np.ascontiguousarray(samples) if code is None else np.asarray(cv2.cvtColor(samples, code))
