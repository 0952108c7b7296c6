"""Reading images: formats by content, size before decoding, whole or not at all."""

from __future__ import annotations

import io
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gantools.errors import ImageError
from gantools.images.formats import KNOWN, sniff, webp_lossless, webp_size
from gantools.images.image import Image, Pixels, to_8_bit
from gantools.images.io import shards
from gantools.images.io.metadata import metadata_of, orientation_of
from gantools.images.io.png_chunks import Chunk, parted, require_sound
from gantools.images.io.samples import Opened, largest_value, samples_of
from gantools.images.io.tiff import Page, page_of, starting_with

Source: TypeAlias = bytes | str | os.PathLike[str]

MAX_PIXELS = 2**27
"""134 million: below what Pillow refuses by itself, above every ordinary camera."""

_HEAD_BYTES = 32
_UNREAD_FRAMES = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical", 0xCB: "lossless",
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical",
}  # fmt: skip
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_LS = 0xF7
_BMP_PLAIN = frozenset({0, 1, 2, 3, 6})
_INSTEAD = "is not read; store it with 8 bits a sample, or as PNG"


class _Jpeg(JpegImageFile):
    """Pillow's, but for EXIF, which is parsed by ourselves."""

    def getexif(self) -> PillowImage.Exif:
        """Nothing: Pillow looks for the resolution in it, and warns without a name of what it cannot parse."""
        return PillowImage.Exif()


_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "png": PngImageFile,
    "jpeg": _Jpeg,
    "webp": WebPImageFile,
    "tiff": TiffImageFile,
    "bmp": BmpImageFile,
    "ppm": PpmImageFile,
}
_switches, _warnings = threading.Lock(), threading.RLock()


@dataclass(frozen=True)
class Header:
    """What is known of an image without decoding it; ``width`` and ``height`` are those of the upright image."""

    width: int
    height: int
    mode: str
    format: str
    bits: int
    several_frames: bool


def read(
    source: Source,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
    first_frame: bool = False,
) -> Image:
    """Read one image from a path or from a file's bytes.

    ``name`` is how messages call it (default: the path). ``allow_truncated`` accepts what is left of a damaged file;
    while such a file decodes, reads in other threads of the process are as tolerant.
    Raises ImageError naming the file: unreadable, of no known format, damaged, too large, or of several frames.
    """
    label = _label(source, name)
    data = _content(source, label)
    with _named(label):
        opened = _opened(data, label, max_pixels, first_frame)
        del data  # a PNG without its texts is another one
        _load(opened, allow_truncated)
        if opened.damaged:
            warnings.warn(f"{label}: damaged and left out: {', '.join(opened.damaged)}", stacklevel=2)
        metadata = metadata_of(opened.image, opened.data, opened.page, opened.chunks, label)
        if opened.image.mode == "CMYK":  # its colours become sRGB
            metadata = replace(metadata, icc=None)
        samples = samples_of(opened, checked=not allow_truncated)
        pixels, lossless = _three_channels(samples.colour), opened.kind == "webp" and webp_lossless(opened.data)
        return Image(pixels, samples.alpha, samples.gray, metadata, opened.kind, lossless)


def read_rgb8(source: Source, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one training image: upright uint8 RGB [H, W, 3], alpha laid on white. Raises ImageError as ``read``."""
    label = _label(source, None)
    data = _content(source, label)
    with _named(label):
        opened = _opened(data, label, max_pixels, False)
        del data
        _load(opened, allow_truncated=False)
        samples = samples_of(opened)
    pixels = _three_channels(to_8_bit(samples.colour))
    if samples.alpha is None:
        return pixels
    weight = to_8_bit(samples.alpha)[..., None].astype(np.uint32)
    return ((pixels * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def probe(
    source: Source, *, name: str | None = None, max_pixels: int | None = None, first_frame: bool = True
) -> Header:
    """Read an image's header only. Raises ImageError as ``read``, but cannot notice damage behind the header."""
    label = _label(source, name)
    data = _content(source, label)
    with _named(label):
        opened = _opened(data, label, max_pixels, first_frame)
        image = opened.image
        width, height = image.size[::-1] if opened.turn in (5, 6, 7, 8) else image.size
        bits = 16 if opened.largest > 255 else 8
        return Header(width, height, image.mode, opened.kind, bits, _several_frames(image, opened.page))


def _label(source: Source, name: str | None) -> str:
    if name is not None:
        return repr(name)
    return "image data" if isinstance(source, bytes) else repr(os.fspath(source))


def _content(source: Source, label: str) -> bytes:
    """The file's bytes; only the first few of a file that is no image."""
    if isinstance(source, bytes):
        return _recognised(source, label)
    try:
        with shards.opened(Path(source)) as stream:
            head = _recognised(stream.read(_HEAD_BYTES), label)
            if not stream.seekable():
                return head + stream.read()
            stream.seek(0)
            return stream.read()
    except OSError as error:
        raise ImageError(f"{label}: cannot be read: {error.strerror or error}") from error


def _recognised(head: bytes, label: str) -> bytes:
    if sniff(head[:_HEAD_BYTES]) is None:
        raise ImageError(f"{label}: {f'not a {KNOWN} image' if head else 'the file is empty'}")
    return head


@contextmanager
def _named(label: str) -> Iterator[None]:
    """Whatever a decoder raises on foreign bytes is this file's failure, in one line with its name."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{label}: not enough memory to decode it") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{label}: damaged or truncated ({reason})") from error


def _opened(data: bytes, label: str, max_pixels: int | None, first_frame: bool) -> Opened:
    """Parse the header and refuse what should not be decoded."""
    kind, chunks, damaged = sniff(data) or "", list[Chunk](), list[str]()
    stated = webp_size(data) if kind == "webp" else (0, 0)  # opening a WebP allocates its canvas
    _require_size(stated, label, max_pixels)
    page = page_of(data) if kind == "tiff" else None
    if kind == "png":
        data, chunks, damaged = parted(data)
    if page is not None:
        data = starting_with(data, page)
        _refuse(page.refusal, label)
    image = _image(data, kind, stated, page, label)
    _require_size(image.size, label, max_pixels)
    if not first_frame and _several_frames(image, page):
        raise ImageError(f"{label}: holds several frames or pages; take the first with --frames first")
    turn = None if kind == "tiff" else orientation_of(image, chunks)  # decoders turn TIFF themselves, and its size
    return Opened(image, data, kind, label, largest_value(image, data), turn, page, chunks, damaged)


def _image(data: bytes, kind: str, stated: tuple[int, int], page: Page | None, label: str) -> ImageFile.ImageFile:
    """Open a file with Pillow. Raises ImageError for a whole file of a kind that is not read."""
    try:
        with _pillow(stated, allow_truncated=False), _silent(kind):
            return _OPENERS[kind](io.BytesIO(data))
    except Exception:
        _refuse(_unsupported(data, kind, page), label)
        raise


def _refuse(reason: str | None, label: str) -> None:
    if reason is not None:
        raise ImageError(f"{label}: {reason}")


@contextmanager
def _silent(kind: str) -> Iterator[None]:
    """Keep Pillow from warning of a TIFF's tags without naming the file: what matters of them is read by ourselves.

    Warnings are a matter of the whole process, hence the lock.
    """
    if kind != "tiff":
        yield
        return
    with _warnings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _require_size(size: tuple[int, int], label: str, max_pixels: int | None) -> None:
    width, height = size
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{label}: {width}×{height} is {width * height:,} pixels, over the limit of {max_pixels:,}; "
            "raise it with --max-pixels"
        )


def _several_frames(image: ImageFile.ImageFile, page: Page | None) -> bool:
    return bool(getattr(image, "is_animated", False)) if page is None else page.several


def _load(opened: Opened, allow_truncated: bool) -> None:
    """Decode with Pillow, which also finds out whether a file is whole; planes are decoded by themselves."""
    if opened.page is not None and opened.page.planar:
        return
    if opened.kind == "png" and not allow_truncated:
        require_sound(opened.data)
    try:
        with _pillow(opened.image.size, allow_truncated), _silent(opened.kind):
            opened.image.load()
    except Exception:
        _refuse(_unsupported(opened.data, opened.kind, opened.page), opened.label)
        raise


@contextmanager
def _pillow(size: tuple[int, int], allow_truncated: bool) -> Iterator[None]:
    """Let Pillow accept what is left of a file, and a size that has passed our own limit.

    It knows both only as switches of the whole process, so they are turned for one file at a time and where needed.
    """
    if not allow_truncated and size[0] * size[1] <= (PillowImage.MAX_IMAGE_PIXELS or math.inf):
        yield
        return
    with _switches:
        usual = ImageFile.LOAD_TRUNCATED_IMAGES, PillowImage.MAX_IMAGE_PIXELS
        ImageFile.LOAD_TRUNCATED_IMAGES, PillowImage.MAX_IMAGE_PIXELS = allow_truncated, None
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES, PillowImage.MAX_IMAGE_PIXELS = usual


def _three_channels(colour: Pixels) -> Pixels:
    return colour if colour.ndim == 3 else np.asarray(cv2.cvtColor(colour, cv2.COLOR_GRAY2RGB))


def _unsupported(data: bytes, kind: str, page: Page | None) -> str | None:
    """Why an intact file of this kind is not read; None where it may as well be damaged."""
    match kind:
        case "jpeg":
            return _unsupported_jpeg(data)
        case "bmp":
            compression = int.from_bytes(data[30:34], "little") if int.from_bytes(data[14:18], "little") >= 40 else 0
            return None if compression in _BMP_PLAIN else f"a BMP of compression {compression} {_INSTEAD}"
        case "tiff":
            return page.unread if page is not None and page.rare else None
        case _:
            return None


def _unsupported_jpeg(data: bytes) -> str | None:
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _JPEG_LS:
            return f"a JPEG-LS file {_INSTEAD}"
        if marker in _START_OF_FRAME:
            bits = data[at + 4]
            if marker in _UNREAD_FRAMES:
                return f"a {_UNREAD_FRAMES[marker]} JPEG {_INSTEAD}"
            return None if bits == 8 else f"a JPEG of {bits}-bit samples {_INSTEAD}"
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
