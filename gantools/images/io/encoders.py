"""One encoder per format: an image in, a file's bytes out.

An encoder appends to a binary stream that starts empty and can seek. PNG, TIFF and PPM take a few rows at a time, so
that a large result needs no second copy of itself in memory; JPEG, WebP and BMP need one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image as PillowImage

from gantools.errors import ImageError
from gantools.images.formats import per_metre
from gantools.images.image import Image, Metadata, Other, Pixels, to_8_bit, to_16_bit
from gantools.images.io import exif, tiff
from gantools.images.io.metadata import GEO, IPTC, iptc_resource
from gantools.images.io.png_chunks import chunk
from gantools.images.io.tiff import Entry, Order, Tree
from gantools.images.ops import color

BAND_BYTES = 1 << 23
"""How much of an image is turned into its stored form at once."""


@dataclass(frozen=True)
class Stored:
    """What is stored of an image: gray, gray + alpha, RGB or RGBA, in 8 or 16 bits."""

    image: Image
    gray: bool
    alpha: bool
    bits: int

    @property
    def channels(self) -> int:
        return (1 if self.gray else 3) + self.alpha

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, unpacked and without padding."""
        return self.image.width * self.channels * self.bits // 8

    def samples(self, top: int = 0, bottom: int | None = None) -> Pixels:
        """Samples of the rows from ``top`` to before ``bottom``. Shapes: [rows, W, C], contiguous."""
        convert = to_16_bit if self.bits == 16 else to_8_bit
        colour = convert(self.image.pixels[top:bottom])
        if self.gray:
            colour = color.gray(colour)[..., None]
        if not self.alpha or self.image.alpha is None:
            return np.ascontiguousarray(colour)
        return np.dstack([colour, convert(self.image.alpha[top:bottom])])

    def bands(self, rows: int = 0) -> Iterator[Pixels]:
        """Samples from top to bottom, ``rows`` (0: as many as make ``BAND_BYTES``) at a time."""
        rows = rows or max(1, BAND_BYTES // self.row_bytes)
        return (self.samples(top, top + rows) for top in range(0, self.image.height, rows))


def opencv(suffix: str, stored: Stored, *options: int, blocks: dict[int, bytes] | None = None) -> memoryview:
    """The whole image as OpenCV encodes it, with ``blocks`` of metadata. Raises ImageError."""
    samples = stored.samples()
    code = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(stored.channels)
    pixels = samples if code is None else np.asarray(cv2.cvtColor(samples, code))
    try:
        if blocks:
            contents = [np.frombuffer(content, np.uint8) for content in blocks.values()]
            done, encoded = cv2.imencodeWithMetadata(suffix, pixels, list(blocks), contents, list(options))
        else:
            done, encoded = cv2.imencode(suffix, pixels, list(options))
    except cv2.error:
        done, encoded = False, np.empty(0, np.uint8)
    if not done:
        size = f"{stored.image.width}×{stored.image.height} px"
        raise ImageError(f"the {suffix} encoder refused {size}, {stored.channels} channels of {samples.dtype}")
    return encoded.data


# PNG

_PNG_HEADER_BYTES = 33
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_SUB = 1


def encode_png(stored: Stored, kept: Metadata, out: BinaryIO) -> None:
    """Append a PNG, its metadata behind the header: by OpenCV, or by zlib where the image is large or gray + alpha."""
    width, height = stored.image.width, stored.image.height
    if stored.row_bytes * height <= BAND_BYTES and stored.channels != 2:
        content = opencv(".png", stored)
        out.write(content[:_PNG_HEADER_BYTES])
        out.writelines(_png_metadata(kept))
        out.write(content[_PNG_HEADER_BYTES:])
        return
    header = struct.pack(">IIBBBBB", width, height, stored.bits, _PNG_COLOUR_TYPE[stored.channels], 0, 0, 0)
    out.write(b"\x89PNG\r\n\x1a\n" + chunk("IHDR", header))
    out.writelines(_png_metadata(kept))
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)  # as OpenCV does: little repeats in differences but runs
    for band in stored.bands():
        # Rows as differences to the pixel before (filter "Sub"), each behind the number of its filter.
        step = band.shape[2] * band.itemsize
        rows = band.astype(band.dtype.newbyteorder(">"), copy=False).reshape(len(band), -1).view(np.uint8)
        lines = np.empty((len(band), 1 + rows.shape[1]), np.uint8)
        lines[:, 0] = _SUB
        lines[:, 1 : 1 + step] = rows[:, :step]
        np.subtract(rows[:, step:], rows[:, :-step], out=lines[:, 1 + step :])
        if part := deflate.compress(lines.data):
            out.write(chunk("IDAT", part))
    out.write(chunk("IDAT", deflate.flush()) + chunk("IEND", b""))


def _png_metadata(kept: Metadata) -> Iterable[bytes]:
    if kept.icc:
        yield chunk("iCCP", b"ICC Profile\0\0" + zlib.compress(kept.icc))
    if kept.dpi:
        yield chunk("pHYs", struct.pack(">IIB", *per_metre(kept.dpi), 1))
    if kept.exif:
        yield chunk("eXIf", kept.exif.removeprefix(exif.PREFIX))
    if kept.xmp:
        yield chunk("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept.xmp)
    yield from (chunk(name, content) for name, content in kept.others)


# JPEG

_SEGMENT_BYTES = 65533
_APP1, _APP2, _APP13, _COMMENT = 0xE1, 0xE2, 0xED, 0xFE
_XMP_PREFIX, _ICC_PREFIX = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


def encode_jpeg(stored: Stored, kept: Metadata, quality: int, out: BinaryIO) -> None:
    """Append a JPEG of ``quality``, 4:4:4: metadata behind its JFIF header, the resolution in it."""
    full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    content = opencv(".jpg", stored, cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour)
    end = 4 + int.from_bytes(content[4:6], "big")
    jfif = bytes(content[:end])
    if kept.dpi:
        per_inch = (min(65535, max(1, round(value))) for value in kept.dpi)
        jfif = jfif[:13] + struct.pack(">BHH", 1, *per_inch) + jfif[18:]
    segments = [(_APP1, kept.exif)] if kept.exif else []
    segments += [(_APP1, _XMP_PREFIX + kept.xmp)] if kept.xmp else []
    segments += [_jpeg_other(each) for each in kept.others]
    most, icc = _SEGMENT_BYTES - len(_ICC_PREFIX) - 2, kept.icc or b""
    parts = [icc[start : start + most] for start in range(0, len(icc), most)]
    segments += [(_APP2, _ICC_PREFIX + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, 1)]
    out.write(jfif)
    out.writelines(struct.pack(">BBH", 0xFF, marker, len(each) + 2) + each for marker, each in segments)
    out.write(content[end:])


def _jpeg_other(other: Other) -> tuple[int, bytes]:
    """Marker and content of the segment that holds a comment or IPTC."""
    name, content = other
    return (_APP13, iptc_resource(content)) if name == IPTC else (_COMMENT, content)


def fit_jpeg(kept: Metadata) -> tuple[Metadata, list[str]]:
    """The metadata that fits into a JPEG's segments, and in words what is too long for one."""
    sizes = {"EXIF": len(kept.exif or b""), "XMP": len(_XMP_PREFIX) + len(kept.xmp or b"")}
    sizes |= {each[0]: len(_jpeg_other(each)[1]) for each in kept.others}
    long = {name: size for name, size in sizes.items() if size > _SEGMENT_BYTES}
    others = tuple(each for each in kept.others if len(_jpeg_other(each)[1]) <= _SEGMENT_BYTES)
    fitting = replace(
        kept, exif=None if "EXIF" in long else kept.exif, xmp=None if "XMP" in long else kept.xmp, others=others
    )
    return fitting, [f"the {name} of {size:,} bytes" for name, size in long.items()]


# WebP, BMP, PPM

_WEBP_EFFORT, _WEBP_METHOD = 50, 3
"""How hard a lossless encoder tries; twice the time makes a photo about 1 % smaller."""

_LARGEST_BYTES = 2**32 - 1
"""What BMP and TIFF can address."""


def encode_webp(stored: Stored, kept: Metadata, quality: int, lossless: bool, out: BinaryIO) -> None:
    """Append a WebP: by OpenCV, or without loss by Pillow, which keeps the colour of transparent pixels.

    ``quality`` 100 is not lossless, only very good.
    """
    block = (kept.exif or b"").removeprefix(exif.PREFIX)
    if not lossless:
        blocks = {cv2.IMAGE_METADATA_EXIF: block, cv2.IMAGE_METADATA_XMP: kept.xmp, cv2.IMAGE_METADATA_ICCP: kept.icc}
        given = {kind: content for kind, content in blocks.items() if content}
        out.write(opencv(".webp", stored, cv2.IMWRITE_WEBP_QUALITY, quality, blocks=given))
        return
    image = PillowImage.fromarray(stored.samples())
    extra = {"icc_profile": kept.icc or b"", "xmp": kept.xmp or b"", "exif": block}
    try:
        image.save(out, "WEBP", lossless=True, exact=True, quality=_WEBP_EFFORT, method=_WEBP_METHOD, **extra)
    except (OSError, ValueError) as error:
        size = f"{stored.image.width}×{stored.image.height} px"
        raise ImageError(f"the .webp encoder refused {size} ({error})") from error


def encode_bmp(stored: Stored, kept: Metadata, out: BinaryIO) -> None:
    """Append a BMP, which has no place for metadata but the resolution. Raises ImageError for more than 4 GB."""
    if stored.row_bytes * stored.image.height > _LARGEST_BYTES:
        raise _too_large(stored, "BMP")
    content = opencv(".bmp", stored)
    out.write(content[:38])
    out.write(struct.pack("<ii", *per_metre(kept.dpi)) if kept.dpi else content[38:46])
    out.write(content[46:])


def encode_ppm(stored: Stored, out: BinaryIO) -> None:
    """Append a PPM, or a PGM where the image is gray."""
    kind, largest = 5 if stored.channels == 1 else 6, 2**stored.bits - 1
    out.write(f"P{kind}\n{stored.image.width} {stored.image.height}\n{largest}\n".encode())
    for band in stored.bands():
        out.write(band.astype(band.dtype.newbyteorder(">"), copy=False).data)


def _too_large(stored: Stored, name: str) -> ImageError:
    size = f"{stored.image.width}×{stored.image.height}"
    return ImageError(f"{size} is more than {name} can hold (4 GB); use --format png")


# TIFF: OpenCV writes no metadata, Pillow no 16-bit colour, neither an EXIF block as it is.

_STRIP_BYTES = 1 << 20
_FAST = 1  # on differences of photos nearly 3 times as fast as the default and no larger
_DEFLATE, _HORIZONTAL_DIFFERENCES, _UNASSOCIATED_ALPHA, _INCH = 8, 2, 2, 2
_BLACK_IS_ZERO, _RGB = 1, 2
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTE_COUNTS, _XMP_TAG, _IPTC_TAG, _ICC_TAG = 273, 278, 279, 700, 33723, 34675
_LARGEST_DENOMINATOR = 4000


def encode_tiff(stored: Stored, kept: Metadata, out: BinaryIO) -> None:
    """Append a deflated TIFF in the byte order of its EXIF, whose values stay as they are.

    The place of its directory is kept until the lengths of the strips are known. Raises ImageError for more than 4 GB.
    """
    tags, order = _tiff_metadata(stored, kept)
    rows = max(1, _STRIP_BYTES // stored.row_bytes)
    out.write(_tiff_start(stored, tags, order, rows, [0] * -(-stored.image.height // rows)))
    lengths = []
    for band in stored.bands(rows):
        differences = band.copy()
        differences[:, 1:] -= band[:, :-1]
        ordered = differences.astype(band.dtype.newbyteorder(order), copy=False)
        lengths.append(out.write(zlib.compress(ordered.data, _FAST)))
    if out.tell() > _LARGEST_BYTES:
        raise _too_large(stored, "TIFF")
    out.seek(0)
    out.write(_tiff_start(stored, tags, order, rows, lengths))


def _tiff_start(stored: Stored, tags: Tree, order: Order, rows: int, lengths: Sequence[int]) -> bytes:
    """Header and directory, as many bytes whatever the lengths of the strips."""
    long: dict[int, tuple[int, ...]] = {
        256: (stored.image.width,),
        257: (stored.image.height,),
        _ROWS_PER_STRIP: (rows,),
    }
    long |= {_STRIP_OFFSETS: (0,) * len(lengths), _STRIP_BYTE_COUNTS: tuple(lengths)}
    short: dict[int, tuple[int, ...]] = {
        258: (stored.bits,) * stored.channels,
        259: (_DEFLATE,),
        262: (_BLACK_IS_ZERO if stored.channels < 3 else _RGB,),
        tiff.ORIENTATION: (1,),
        277: (stored.channels,),
        284: (1,),
        317: (_HORIZONTAL_DIFFERENCES,),
        339: (1,) * stored.channels,
    }
    short |= {338: (_UNASSOCIATED_ALPHA,)} if stored.alpha else {}
    structure = {tag: tiff.entry(tiff.LONG, order, *values) for tag, values in long.items()}
    structure |= {tag: tiff.entry(tiff.SHORT, order, *values) for tag, values in short.items()}
    header = tiff.file_header(order)
    start = len(header) + len(tiff.written({**tags, **structure}, order, len(header)))
    offsets = start + np.cumsum([0, *lengths[:-1]])
    structure[_STRIP_OFFSETS] = tiff.entry(tiff.LONG, order, *(int(offset) % 2**32 for offset in offsets))
    return header + tiff.written({**tags, **structure}, order, len(header))


def _tiff_metadata(stored: Stored, kept: Metadata) -> tuple[Tree, Order]:
    """The tags that say something about the image, and their byte order, which is that of the file they come from."""
    others = dict(kept.others)
    tags: Tree = {}
    order: Order = "<"
    if GEO in others:
        placed, order = exif.geo_fitted(others[GEO], stored.image.width, stored.image.height)
        tags.update(placed)
    if kept.exif:
        described, order = exif.as_tree(kept.exif)
        tags.update(described)
    if kept.dpi:
        for tag, value in zip((282, 283), kept.dpi, strict=True):
            ratio = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
            tags[tag] = tiff.entry(tiff.RATIONAL, order, ratio.numerator, ratio.denominator)
        tags[296] = tiff.entry(tiff.SHORT, order, _INCH)
    extra = (
        (_XMP_TAG, tiff.BYTE, kept.xmp),
        (_IPTC_TAG, tiff.UNDEFINED, others.get(IPTC)),
        (_ICC_TAG, tiff.UNDEFINED, kept.icc),
    )
    tags.update({tag: Entry(kind, len(content), content) for tag, kind, content in extra if content})
    return tags, order
