"""What a decoded image is: its samples and what is kept beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[Any]
"""Samples of an image: uint8 or uint16, height × width × channels."""


Other: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True)
class Metadata:
    """What a file says about an image besides its samples.

    ``exif`` starts with ``Exif\\0\\0``, has orientation 1 and no thumbnail; ``xmp`` is the packet; ``dpi`` is (x, y).
    ``others`` are what only some formats have a place for, by name: PNG chunks (``gAMA``, ``tEXt``, …) as they are, a
    JPEG's ``comment``, ``iptc`` and ``geo``, the tags of GeoTIFF.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    others: tuple[Other, ...] = ()


@dataclass(frozen=True, eq=False)
class Image:
    """One upright image.

    Shapes: ``pixels`` [H, W, 3] RGB and ``alpha`` [H, W] of the same dtype, or None.
    Range: uint8 or uint16, the full range of the dtype.
    ``gray`` says that the file had one colour channel: ``pixels`` holds it three times and a writer stores it once.
    ``lossless`` says that a file of a format that may be either (WebP) was compressed without loss.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    format: str = "png"
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels must be uint8 or uint16 [H, W, 3], not {self.pixels.dtype} {self.pixels.shape}")
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[:2]:
            raise ValueError(f"alpha {self.alpha.shape} does not cover pixels {self.pixels.shape[:2]}")
        if self.alpha is not None and self.alpha.dtype != self.pixels.dtype:
            raise ValueError(f"alpha is {self.alpha.dtype}, pixels are {self.pixels.dtype}")

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def nbytes(self) -> int:
        """What its samples take in memory."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    @property
    def transparent(self) -> bool:
        """Whether any pixel is not fully opaque."""
        return self.alpha is not None and bool((self.alpha != np.iinfo(self.alpha.dtype).max).any())


def to_8_bit(pixels: Pixels) -> Pixels:
    """Round uint16 samples to the nearest uint8 step (65535 → 255); uint8 passes unchanged."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_16_bit(pixels: Pixels) -> Pixels:
    """Widen uint8 samples to uint16 (255 → 65535); uint16 passes unchanged."""
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def to_depth_of(like: Pixels, pixels: Pixels) -> Pixels:
    """Samples at the depth of ``like``."""
    return to_8_bit(pixels) if like.dtype == np.uint8 else to_16_bit(pixels)
