"""WebP, metadata included: by OpenCV, and without loss by Pillow, which keeps the colour of transparent pixels."""

from __future__ import annotations

from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from gantools.errors import ImageError
from gantools.images.image import Metadata
from gantools.images.io.encoders import opencv
from gantools.images.io.stored import Stored

_EXIF_PREFIX = b"Exif\0\0"
_EFFORT, _METHOD = 50, 3
"""How hard a lossless encoder tries; twice the time makes a photo about 1 % smaller."""


def encode(stored: Stored, kept: Metadata, quality: int, lossless: bool, out: BinaryIO) -> None:
    """Append a WebP; ``quality`` 100 is not lossless, only very good."""
    exif = (kept.exif or b"").removeprefix(_EXIF_PREFIX)
    if lossless:
        _encode_lossless(stored, kept, exif, out)
        return
    chunks = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_XMP: kept.xmp, cv2.IMAGE_METADATA_ICCP: kept.icc}
    given = {kind: np.frombuffer(content, np.uint8) for kind, content in chunks.items() if content}
    kinds, contents, options = list(given), list(given.values()), [cv2.IMWRITE_WEBP_QUALITY, quality]
    samples = stored.band(0, stored.height)
    out.write(
        opencv.checked(
            ".webp", samples, lambda pixels: cv2.imencodeWithMetadata(".webp", pixels, kinds, contents, options)
        )
    )


def _encode_lossless(stored: Stored, kept: Metadata, exif: bytes, out: BinaryIO) -> None:
    image = Image.fromarray(stored.band(0, stored.height))
    extra = {"icc_profile": kept.icc or b"", "xmp": kept.xmp or b"", "exif": exif}
    try:
        image.save(out, "WEBP", lossless=True, exact=True, quality=_EFFORT, method=_METHOD, **extra)
    except (OSError, ValueError) as error:
        raise ImageError(f"the .webp encoder refused {stored.width}×{stored.height} px ({error})") from error
