"""JPEG with full colour resolution: OpenCV's encoder, for large pictures in bands that restart markers join."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO

import cv2

from gantools.images.image import Metadata, Other, Pixels
from gantools.images.io.encoders import opencv
from gantools.images.io.metadata import IPTC, iptc_resource
from gantools.images.io.stored import Stored

_BLOCK_PX = 8
_RESTARTS = 8
"""Restart markers are numbered 0 to 7; a band of eight intervals ends where the numbers begin again."""
_APP1, _APP2, _APP13, _COMMENT = 0xE1, 0xE2, 0xED, 0xFE
_START_OF_FRAME, _START_OF_SCAN = 0xC0, 0xDA
_LAST_RESTART = b"\xff\xd7"
_END = b"\xff\xd9"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SEGMENT_BYTES = 65533
_ICC_PART_BYTES = _SEGMENT_BYTES - len(_ICC_PREFIX) - 2


def encode(stored: Stored, kept: Metadata, quality: int, out: BinaryIO) -> None:
    """Append a JPEG of ``quality``, 4:4:4. However many bands it is made in, it decodes to the same samples."""
    if stored.small:
        _append_first(_encoded(stored.band(0, stored.height), quality), kept, out)
        return
    interval = -(-stored.width // _BLOCK_PX)
    bands = stored.bands(stored.rows_per_band(_BLOCK_PX * _RESTARTS))
    first = bytearray(_encoded(next(bands), quality, interval))
    _state_height(first, stored.height)
    _append_first(memoryview(first)[: -len(_END)], kept, out)
    for band in bands:
        content = _encoded(band, quality, interval)
        out.write(_LAST_RESTART)
        out.write(content[_scan(content) : -len(_END)])
    out.write(_END)


def _encoded(band: Pixels, quality: int, interval: int = 0) -> memoryview:
    full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    restarts = (cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    return opencv.encode(".jpg", band, cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour, *restarts)


def _append_first(content: memoryview, kept: Metadata, out: BinaryIO) -> None:
    """Append a whole JPEG or the first band of one, the metadata behind its JFIF header, the resolution in it."""
    end = 4 + int.from_bytes(content[4:6], "big")
    jfif = bytes(content[:end])
    if kept.dpi:
        per_inch = (min(65535, max(1, round(value))) for value in kept.dpi)
        jfif = jfif[:13] + struct.pack(">BHH", 1, *per_inch) + jfif[18:]
    out.write(jfif)
    out.writelines(_metadata_segments(kept))
    out.write(content[end:])


def _state_height(content: bytearray, height: int) -> None:
    """Write the whole picture's height over that of its first band."""
    struct.pack_into(">H", content, _segment_at(content, _START_OF_FRAME) + 5, height)


def _scan(content: memoryview) -> int:
    """Where the compressed samples begin."""
    start = _segment_at(content, _START_OF_SCAN)
    return start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")


def _segment_at(content: memoryview | bytearray, marker: int) -> int:
    """Where the segment of a marker begins; the encoder writes it always."""
    position = 2
    while content[position + 1] != marker:
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return position


def fitting(kept: Metadata) -> tuple[Metadata, list[str]]:
    """The metadata that fits into a JPEG's segments, and in words what is too long for one."""
    lost: list[str] = []

    def fits(content: bytes | None, name: str) -> bool:
        fine = content is None or len(content) <= _SEGMENT_BYTES
        lost.extend([] if fine else [f"the {name} of {len(content or b''):,} bytes"])
        return fine

    exif = kept.exif if fits(kept.exif, "EXIF") else None
    xmp = kept.xmp if kept.xmp is None or fits(_XMP_PREFIX + kept.xmp, "XMP") else None
    others = tuple(each for each in kept.others if fits(_held(each)[1], each[0]))
    return replace(kept, exif=exif, xmp=xmp, others=others), lost


def _held(other: Other) -> tuple[int, bytes]:
    """Marker and content of the segment that holds a comment or IPTC."""
    name, content = other
    return (_APP13, iptc_resource(content)) if name == IPTC else (_COMMENT, content)


def _metadata_segments(kept: Metadata) -> Iterable[bytes]:
    if kept.exif:
        yield _segment(_APP1, kept.exif)
    if kept.xmp:
        yield _segment(_APP1, _XMP_PREFIX + kept.xmp)
    yield from (_segment(*_held(each)) for each in kept.others)
    icc = kept.icc or b""
    parts = [icc[start : start + _ICC_PART_BYTES] for start in range(0, len(icc), _ICC_PART_BYTES)]
    for number, part in enumerate(parts, 1):
        yield _segment(_APP2, _ICC_PREFIX + bytes([number, len(parts)]) + part)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
