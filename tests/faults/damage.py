"""Images of every format, damaged in many ways, and decompression bombs."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from PIL import Image

SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "PPM": "ppm"}


def photo(width: int = 48, height: int = 32, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Smooth colours with some noise. Shapes: uint8 [height, width, channels]."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, channels), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def encoded(suffix: str, samples: np.ndarray) -> bytes:
    done, content = cv2.imencode(suffix, samples)
    assert done
    return content.tobytes()


def intact() -> list[tuple[str, bytes]]:
    """Images of every format and kind, as (suffix, content)."""
    colour, deep = photo(), photo().astype(np.uint16) * 257
    image, alpha = Image.fromarray(colour), Image.fromarray(photo(channels=4))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "an image"
    found = [(suffix, saved(image, form)) for form, suffix in SUFFIXES.items()]
    found += [("png", saved(kind, "PNG", exif=exif)) for kind in (alpha, image.convert("L"), image.convert("P"))]
    found += [("jpg", saved(image, "JPEG", progressive=True, exif=exif)), ("jpg", saved(image.convert("CMYK"), "JPEG"))]
    found += [("webp", saved(alpha, "WEBP", lossless=True)), ("webp", saved(image, "WEBP", exif=exif))]
    found += [("tif", saved(image, "TIFF", compression=kind)) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    found += [("png", encoded(".png", deep)), ("tif", encoded(".tiff", deep)), ("ppm", encoded(".ppm", deep))]
    return found


def mutated(rng: random.Random, images: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One of ``images``, damaged in one of the ways below."""
    suffix, content = rng.choice(images)
    _, other = rng.choice(images)
    return suffix, rng.choice(_WAYS)(rng, content, other)


def _flipped(rng: random.Random, content: bytes, _other: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 32))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _header(rng: random.Random, content: bytes, _other: bytes) -> bytes:
    """Damage within the first bytes, which hold the size."""
    damaged = bytearray(content)
    for _ in range(rng.randrange(1, 5)):
        damaged[rng.randrange(min(64, len(damaged)))] = rng.randrange(256)
    return bytes(damaged)


def _cut(rng: random.Random, content: bytes, _other: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _spliced(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


def _swapped(rng: random.Random, content: bytes, _other: bytes) -> bytes:
    """Two stretches change places."""
    a, b, c, d = sorted(rng.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _overwritten(rng: random.Random, content: bytes, _other: bytes) -> bytes:
    start = rng.randrange(len(content))
    stretch = rng.choice((b"\xff", b"\0", b"\x7f")) * rng.randrange(1, 16)
    return content[:start] + stretch + content[start + len(stretch) :]


_WAYS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _flipped, _header, _cut, _spliced, _swapped, _overwritten,
)  # fmt: skip


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, data: bytes, before: bytes = b"", bits: int = 8, colour_type: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + before + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def bombs() -> Iterator[tuple[str, str, bytes]]:
    """Small files that claim or unpack to gigabytes, as (folder, suffix, content).

    Those in the folder "in" are to be refused. Those in "texts" have a chunk that nobody needs and that unpacks to
    100 MB; they are to be read without it.
    """
    yield from (("in", suffix, content) for suffix, content in _claims())
    for kind, prefix in ((b"iCCP", b"x\0\0"), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\1\0\0\0")):
        text = prefix + zlib.compress(bytes(100_000_000), 9)
        yield "texts", "png", _png(8, 8, zlib.compress(bytes(8 * 25)), _chunk(kind, text))


def _claims() -> Iterator[tuple[str, bytes]]:
    zeros = zlib.compress(bytes(50_000_000), 9)
    for side in (12_000, 30_000, 65_535, 2**31 - 1):
        yield "png", _png(side, side, zeros)
        yield "png", _png(side, side, zeros, bits=16, colour_type=6)
        yield "png", _png(side, side, zeros, bits=1, colour_type=0)
        yield "bmp", _bmp(side, bits=24, packed=0)
        yield "bmp", _bmp(side, bits=8, packed=1)
        yield "ppm", b"P6\n%d %d\n255\n" % (side, side) + bytes(1000)
        yield "ppm", b"P5\n%d %d\n65535\n" % (side, side) + bytes(1000)
        yield "tif", _tiff(side, side)
        yield "tif", _tiff(side, side, strips=100_000)
    for side in (12_000, 16_383):
        yield "webp", _webp_lossless(side)
        yield "webp", _webp_canvas(2**24 - side)
    for side in (12_000, 20_000, 30_000, 65_500):
        yield "jpg", _jpeg(side)
        yield "jpg", _jpeg(side, progressive=True)


def _bmp(side: int, bits: int, packed: int) -> bytes:
    header = struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, bits, packed, 0, 0, 0, 0, 0)
    return b"BM" + header + bytes(99)


def _tiff(width: int, height: int, strips: int = 1) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(273, 4, strips, 8 if strips == 1 else 4096), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, strips, 99)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + zlib.compress(bytes(100_000))


def _webp_lossless(side: int) -> bytes:
    content = saved(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    sides = struct.unpack("<I", content[21:25])[0] & ~(2**28 - 1) | (side - 1) | (side - 1) << 14
    return content[:21] + struct.pack("<I", sides) + content[25:]


def _webp_canvas(side: int) -> bytes:
    body = saved(Image.new("RGB", (8, 8)), "WEBP")[12:]
    extended = b"VP8X" + struct.pack("<II", 10, 0) + (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(extended) + len(body)) + b"WEBP" + extended + body


def _jpeg(side: int, *, progressive: bool = False) -> bytes:
    content = saved(Image.fromarray(photo()), "JPEG", progressive=progressive)
    frame = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    return content[: frame + 5] + struct.pack(">HH", side, side) + content[frame + 9 :]
