"""WebP by OpenCV, metadata included."""

from __future__ import annotations

from typing import BinaryIO

import cv2
import numpy as np

from gantools.images.encoders import opencv
from gantools.images.picture import Metadata
from gantools.images.stored import Stored


def encode(stored: Stored, kept: Metadata, quality: int, out: BinaryIO) -> None:
    """Append a WebP; ``quality`` 100 is not lossless, only very good."""
    chunks = {
        cv2.IMAGE_METADATA_EXIF: kept.exif and kept.exif.removeprefix(b"Exif\0\0"),
        cv2.IMAGE_METADATA_XMP: kept.xmp,
        cv2.IMAGE_METADATA_ICCP: kept.icc,
    }
    given = {kind: np.frombuffer(content, np.uint8) for kind, content in chunks.items() if content}
    kinds, contents, options = list(given), list(given.values()), [cv2.IMWRITE_WEBP_QUALITY, quality]
    samples = stored.band(0, stored.height)
    out.write(
        opencv.checked(
            ".webp", samples, lambda pixels: cv2.imencodeWithMetadata(".webp", pixels, kinds, contents, options)
        )
    )
