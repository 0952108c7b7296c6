"""Metadata inside encoded files: PNG chunks, JPEG segments, BMP resolution.

OpenCV could write some of it, but puts XMP where other readers do not look and knows no resolution.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterable

from gantools.images.picture import Metadata

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = 33
_METRES_PER_INCH = 0.0254
_EXIF_PREFIX = b"Exif\0\0"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SEGMENT_BYTES = 65533
_ICC_PART_BYTES = _SEGMENT_BYTES - len(_ICC_PREFIX) - 2


def png(header: bytes, chunks: Iterable[bytes]) -> bytes:
    """Join a PNG of an IHDR's content and finished chunks."""
    return _PNG_SIGNATURE + png_chunk(b"IHDR", header) + b"".join(chunks) + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Frame one PNG chunk: length, kind, content, checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(encoded: bytes, metadata: Metadata) -> bytes:
    """Insert the metadata right behind a PNG's header, where profile and resolution must stand."""
    return encoded[:_AFTER_HEADER] + b"".join(_png_chunks(metadata)) + encoded[_AFTER_HEADER:]


def _png_chunks(metadata: Metadata) -> Iterable[bytes]:
    if metadata.icc:
        yield png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        yield png_chunk(b"pHYs", struct.pack(">IIB", *_per_metre(metadata.dpi), 1))
    if metadata.exif:
        yield png_chunk(b"eXIf", metadata.exif.removeprefix(_EXIF_PREFIX))
    if metadata.xmp:
        yield png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)


def jpeg_with(encoded: bytes, metadata: Metadata) -> bytes:
    """Insert the metadata behind a JPEG's JFIF header and write its resolution there."""
    end = 4 + struct.unpack(">H", encoded[4:6])[0]
    jfif = encoded[:end]
    if metadata.dpi:
        per_inch = (min(65535, max(1, round(value))) for value in metadata.dpi)
        jfif = jfif[:13] + struct.pack(">BHH", 1, *per_inch) + jfif[18:]
    return jfif + b"".join(_jpeg_segments(metadata)) + encoded[end:]


def _jpeg_segments(metadata: Metadata) -> Iterable[bytes]:
    if metadata.exif:
        yield _segment(0xE1, metadata.exif, "EXIF")
    if metadata.xmp:
        yield _segment(0xE1, _XMP_PREFIX + metadata.xmp, "XMP")
    icc = metadata.icc or b""
    parts = [icc[start : start + _ICC_PART_BYTES] for start in range(0, len(icc), _ICC_PART_BYTES)]
    for number, part in enumerate(parts, 1):
        yield _segment(0xE2, _ICC_PREFIX + bytes([number, len(parts)]) + part, "ICC profile")


def _segment(marker: int, content: bytes, kind: str) -> bytes:
    if len(content) > _SEGMENT_BYTES:
        warnings.warn(f"the {kind} of {len(content):,} bytes does not fit into a JPEG and was left out", stacklevel=2)
        return b""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def bmp_with(encoded: bytes, metadata: Metadata) -> bytes:
    """Write the resolution into a BMP, which has no place for anything else."""
    if metadata.dpi is None:
        return encoded
    return encoded[:38] + struct.pack("<ii", *_per_metre(metadata.dpi)) + encoded[46:]


def _per_metre(dpi: tuple[float, float]) -> tuple[int, int]:
    return round(dpi[0] / _METRES_PER_INCH), round(dpi[1] / _METRES_PER_INCH)
