"""Image files in every colour mode and format, made without the code under test."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

Pixels = np.ndarray


def stored_position(orientation: int, y: int, x: int, h: int, w: int) -> tuple[int, int]:
    """EXIF's definition: where in the stored image (height h, width w) the upright pixel (y, x) lies."""
    bottom, right = h - 1, w - 1
    places = {1: (y, x), 2: (y, right - x), 3: (bottom - y, right - x), 4: (bottom - y, x)}
    places |= {5: (x, y), 6: (bottom - x, y), 7: (bottom - x, right - y), 8: (x, right - y)}
    return places[orientation]


def upright(stored: Pixels, orientation: int) -> Pixels:
    """Turn an image upright pixel by pixel, straight from EXIF's definition."""
    h, w = stored.shape[:2]
    rows, columns = (w, h) if orientation > 4 else (h, w)
    picked = [[stored[stored_position(orientation, y, x, h, w)] for x in range(columns)] for y in range(rows)]
    return np.array(picked, dtype=stored.dtype)


def noise(height: int, width: int, channels: int, dtype: type = np.uint8, seed: int = 0) -> Pixels:
    """Random samples: [H, W] for one channel."""
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)
    return values[..., 0] if channels == 1 else values


def exif_block(orientation: int = 1, **texts: str) -> bytes:
    """An EXIF block as cameras write it: orientation, description, pixel dimensions."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, text in texts.items():
        exif[{"description": 0x010E, "artist": 0x013B}[name]] = text
    exif.get_ifd(0x8769).update({0xA002: 9999, 0xA003: 8888, 0x9003: "2020:01:02 03:04:05"})
    return exif.tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: Pixels, colour_type: int, extra: bytes = b"", bits: int | None = None) -> bytes:
    """A PNG straight from the specification, unfiltered. ``samples`` [H, W] or [H, W, C]."""
    stored = samples.astype(samples.dtype.newbyteorder(">"))
    depth = bits or stored.itemsize * 8
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in stored)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


def tiff(samples: Pixels, orientation: int = 1) -> bytes:
    stream = io.BytesIO()
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    layout = {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
    }
    tifffile.imwrite(stream, samples, metadata=None, extratags=[(274, "H", 1, orientation, True)], **layout)
    return stream.getvalue()


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def blocks(height: int = 48, width: int = 80) -> Pixels:
    """An image that survives JPEG almost unchanged: flat 16 px squares of different colours."""
    small = noise(height // 16, width // 16, 3, seed=3)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


@cache
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def printer_profile() -> bytes:
    """A printer whose coloured inks all come out mid gray, and whose black is black."""
    white, ink, black = bytes((255, 128, 128)), bytes((128, 128, 128)), bytes((0, 128, 128))
    clut = white + black + (ink + black) * 7
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    linear = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + linear * 4 + clut + linear * 3
    white_point = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(8 + 2 + 1 + 67)
    text += bytes(-len(text) % 4)
    lut += bytes(-len(lut) % 4)
    parts = ((b"desc", text), (b"wtpt", white_point), (b"A2B0", lut))
    start, table, body = 128 + 4 + 12 * len(parts), struct.pack(">I", len(parts)), b""
    for name, content in parts:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


@contextmanager
def warned() -> Iterator[list[str]]:
    """The texts of all warnings of a block, known after it."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [str(each.message) for each in caught]
