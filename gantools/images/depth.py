"""Samples of 8 and of 16 bits. No torch, so that reading and writing pictures starts fast."""

from __future__ import annotations

import numpy as np

from gantools.images.picture import Pixels


def to_8_bit(pixels: Pixels) -> Pixels:
    """Round uint16 samples to the nearest uint8 step (65535 → 255); uint8 passes unchanged."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_16_bit(pixels: Pixels) -> Pixels:
    """Widen uint8 samples to uint16 (255 → 65535); uint16 passes unchanged."""
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def to_depth_of(like: Pixels, pixels: Pixels) -> Pixels:
    """Samples at the depth of ``like``."""
    return to_8_bit(pixels) if like.dtype == np.uint8 else to_16_bit(pixels)
