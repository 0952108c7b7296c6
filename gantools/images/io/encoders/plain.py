"""BMP and PPM: samples as they are, behind a short header."""

from __future__ import annotations

import struct
from typing import BinaryIO

from gantools.errors import ImageError
from gantools.images.formats import per_metre
from gantools.images.image import Metadata
from gantools.images.io.encoders import opencv
from gantools.images.io.stored import Stored

_LARGEST_BMP_BYTES = 2**32 - 1


def encode_bmp(stored: Stored, kept: Metadata, out: BinaryIO) -> None:
    """Append a BMP, whose rows run from the bottom up; it has no place for metadata but the resolution.

    Raises ImageError for more than the 4 GB that the format can state.
    """
    rows = stored.rows_per_band()
    tops = range(0, stored.height, rows)
    bands = (opencv.encode(".bmp", stored.band(top, top + rows)) for top in reversed(tops))
    lowest = next(bands)
    start = int.from_bytes(lowest[10:14], "little")
    out.write(_bmp_header(bytes(lowest[:start]), stored, kept))
    out.write(lowest[start:])
    for band in bands:
        out.write(band[start:])


def _bmp_header(header: bytes, stored: Stored, kept: Metadata) -> bytes:
    """The header of one band made that of the whole picture."""
    sample_bytes = (stored.row_bytes + 3) // 4 * 4 * stored.height
    if len(header) + sample_bytes > _LARGEST_BMP_BYTES:
        raise ImageError(f"{stored.width}×{stored.height} is more than BMP can hold (4 GB); use --format png")
    stated = struct.pack("<I", len(header) + sample_bytes) + header[6:22] + struct.pack("<i", stored.height)
    stated = header[:2] + stated + header[26:]
    return stated if kept.dpi is None else stated[:38] + struct.pack("<ii", *per_metre(kept.dpi)) + stated[46:]


def encode_ppm(stored: Stored, out: BinaryIO) -> None:
    """Append a PPM, or a PGM where the picture is gray."""
    kind, largest = 5 if stored.channels == 1 else 6, 2**stored.bits - 1
    out.write(f"P{kind}\n{stored.width} {stored.height}\n{largest}\n".encode())
    for band in stored.bands(stored.rows_per_band()):
        out.write(band.astype(band.dtype.newbyteorder(">"), copy=False).data)
