"""A picture's samples in the channels and the depth in which a file holds them, made band by band.

An encoder asks for a few rows at a time, so that writing a large picture needs little beside the picture itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gantools.images.image import Image, Pixels, to_8_bit, to_16_bit

BAND_BYTES = 1 << 23
"""How much of a picture is turned into its stored form at once."""

_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Stored:
    """What is stored of a picture: gray, gray + alpha, RGB or RGBA, in 8 or 16 bits."""

    picture: Image
    gray: bool
    alpha: bool
    bits: int

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def channels(self) -> int:
        return (1 if self.gray else 3) + self.alpha

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, unpacked and without padding."""
        return self.width * self.channels * self.bits // 8

    @property
    def small(self) -> bool:
        """Whether the whole picture is one band."""
        return self.row_bytes * self.height <= BAND_BYTES

    def rows_per_band(self, multiple: int = 1) -> int:
        """How many rows make a band of about ``BAND_BYTES``, a multiple of ``multiple``."""
        return max(1, BAND_BYTES // self.row_bytes // multiple) * multiple

    def bands(self, rows: int) -> Iterator[Pixels]:
        """Samples from top to bottom, [at most ``rows``, W, C]; each is to be used before the next is asked for."""
        for top in range(0, self.height, rows):
            yield self.band(top, top + rows)

    def band(self, top: int, bottom: int) -> Pixels:
        """Samples of the rows from ``top`` to before ``bottom``. Shapes: [rows, W, C], contiguous."""
        convert = to_16_bit if self.bits == 16 else to_8_bit
        colour = convert(self.picture.pixels[top:bottom])
        if self.gray:
            colour = _luma(colour)[..., None]
        if not self.alpha or self.picture.alpha is None:
            return np.ascontiguousarray(colour)
        return np.dstack([colour, convert(self.picture.alpha[top:bottom])])


def _luma(pixels: Pixels) -> Pixels:
    """One channel of three: themselves when they are equal, else weighted as the eye does (Rec. 601)."""
    first = pixels[..., 0]
    if (pixels[..., 1] == first).all() and (pixels[..., 2] == first).all():
        return first
    return np.asarray(np.floor(pixels @ _LUMA + 0.5), dtype=pixels.dtype)
