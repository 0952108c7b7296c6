"""PNG: by OpenCV where the picture is small, else rows filtered and deflated one band after another."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from gantools.images.formats import per_metre
from gantools.images.image import Metadata, Pixels
from gantools.images.io.encoders import opencv
from gantools.images.io.png_chunks import chunk
from gantools.images.io.stored import Stored

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = 33
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_EXIF_PREFIX = b"Exif\0\0"
_SUB = 1


def encode(stored: Stored, kept: Metadata, out: BinaryIO) -> None:
    """Append a PNG, the metadata right behind its header, where profile and resolution must stand."""
    if stored.small and stored.channels != 2:
        content = opencv.encode(".png", stored.band(0, stored.height))
        out.write(content[:_AFTER_HEADER])
        out.writelines(_metadata_chunks(kept))
        out.write(content[_AFTER_HEADER:])
        return
    size = struct.pack(">II", stored.width, stored.height)
    out.write(_SIGNATURE + chunk("IHDR", size + bytes([stored.bits, _COLOUR_TYPE[stored.channels], 0, 0, 0])))
    out.writelines(_metadata_chunks(kept))
    out.writelines(chunk("IDAT", part) for part in _deflated(stored) if part)
    out.write(chunk("IEND", b""))


def _deflated(stored: Stored) -> Iterator[bytes]:
    """Run lengths find what little repeats in differences, as fast as OpenCV, which does the same."""
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
    for band in stored.bands(stored.rows_per_band()):
        yield deflate.compress(_differences(band).data)
    yield deflate.flush()


def _differences(band: Pixels) -> Pixels:
    """Rows as differences to the pixel before (filter "Sub"). Shapes: [H, W, C] → uint8 [H, 1 + bytes of a row]."""
    height, _, channels = band.shape
    step = channels * band.itemsize
    rows = band.astype(band.dtype.newbyteorder(">"), copy=False).reshape(height, -1).view(np.uint8)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _SUB
    lines[:, 1 : 1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=lines[:, 1 + step :])
    return lines


def _metadata_chunks(kept: Metadata) -> Iterable[bytes]:
    if kept.icc:
        yield chunk("iCCP", b"ICC Profile\0\0" + zlib.compress(kept.icc))
    if kept.dpi:
        yield chunk("pHYs", struct.pack(">IIB", *per_metre(kept.dpi), 1))
    if kept.exif:
        yield chunk("eXIf", kept.exif.removeprefix(_EXIF_PREFIX))
    if kept.xmp:
        yield chunk("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept.xmp)
    yield from (chunk(name, content) for name, content in kept.others)
