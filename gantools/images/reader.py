"""Reading pictures: formats by content, size before decoding, whole or not at all."""

from __future__ import annotations

import io
import math
import os
import threading
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
from gantools.images import orientation, shards
from gantools.images.depth import to_8_bit
from gantools.images.formats import KNOWN, sniff, webp_size
from gantools.images.metadata import metadata_of
from gantools.images.picture import Metadata, Picture, Pixels
from gantools.images.samples import Samples, largest_value, samples_of

Source: TypeAlias = bytes | str | os.PathLike[str]

MAX_PIXELS = 2**27
"""134 million: below what Pillow refuses by itself, above every ordinary camera."""

_HEAD_BYTES = 32
_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "tiff": TiffImageFile,
    "bmp": BmpImageFile,
    "ppm": PpmImageFile,
}
_switches = threading.Lock()


@dataclass(frozen=True)
class Header:
    """What is known of a picture without decoding it; ``width`` and ``height`` are those of the upright picture."""

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
) -> Picture:
    """Read one picture from a path or from a file's bytes.

    ``name`` is how messages call it (default: the path). ``allow_truncated`` accepts what is left of a damaged file;
    while such a file decodes, reads in other threads of the process are as tolerant.
    Raises ImageError naming the file: unreadable, of no known format, damaged, too large, or of several frames.
    """
    label = _label(source, name)
    data = _content(source, label)
    with _named(label):
        image = _opened(data, label, max_pixels, first_frame)
        largest = largest_value(image, data)
        _load(image, allow_truncated)
        metadata = _metadata(image, label)
        return _picture(samples_of(image, data, largest, label), metadata, sniff(data) or "")


def read_rgb8(source: Source, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one training picture: upright uint8 RGB [H, W, 3], alpha laid on white. Raises ImageError as ``read``."""
    label = _label(source, None)
    data = _content(source, label)
    with _named(label):
        image = _opened(data, label, max_pixels, False)
        largest = largest_value(image, data)
        _load(image, allow_truncated=False)
        samples = samples_of(image, data, largest, label)
    pixels = _three_channels(to_8_bit(samples.colour))
    return pixels if samples.alpha is None else _on_white(pixels, to_8_bit(samples.alpha))


def probe(source: Source, *, name: str | None = None) -> Header:
    """Read a picture's header only. Raises ImageError as ``read``, but cannot notice damage behind the header."""
    label = _label(source, name)
    data = _content(source, label)
    with _named(label):
        image = _opened(data, label, None, True)
        turn = PillowImage.Image.getexif(image).get(orientation.TAG)  # PNG's own getexif would decode the picture
        swap = orientation.swaps_sides(turn) and image.format != "TIFF"  # Pillow states a TIFF's size upright
        width, height = image.size[::-1] if swap else image.size
        bits = 16 if largest_value(image, data) > 255 else 8
        return Header(width, height, image.mode, sniff(data) or "", bits, _several_frames(image))


def _label(source: Source, name: str | None) -> str:
    if name is not None:
        return repr(name)
    return "image data" if isinstance(source, bytes) else repr(os.fspath(source))


def _content(source: Source, label: str) -> bytes:
    """The file's bytes; only the first few of a file that is no picture."""
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


def _opened(data: bytes, label: str, max_pixels: int | None, first_frame: bool) -> ImageFile.ImageFile:
    """Parse the header and refuse what should not be decoded."""
    kind = sniff(data) or ""
    stated = webp_size(data) if kind == "webp" else (0, 0)  # opening a WebP allocates its canvas
    _require_size(stated, label, max_pixels)
    with _pillow(stated, allow_truncated=False):
        image = _OPENERS[kind](io.BytesIO(data))
    _require_size(image.size, label, max_pixels)
    if not first_frame and _several_frames(image):
        raise ImageError(f"{label}: holds several frames or pages; take the first with --frames first")
    return image


def _require_size(size: tuple[int, int], label: str, max_pixels: int | None) -> None:
    width, height = size
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{label}: {width}×{height} is {width * height:,} pixels, over the limit of {max_pixels:,}; "
            "raise it with --max-pixels"
        )


def _several_frames(image: ImageFile.ImageFile) -> bool:
    return bool(getattr(image, "is_animated", False))


def _load(image: ImageFile.ImageFile, allow_truncated: bool) -> None:
    with _pillow(image.size, allow_truncated):
        image.load()


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


def _metadata(image: ImageFile.ImageFile, label: str) -> Metadata:
    """What a loaded file says besides its samples; the profile of print colours is done with, they become sRGB."""
    metadata = metadata_of(image, label)
    return replace(metadata, icc=None) if image.mode == "CMYK" else metadata


def _picture(samples: Samples, metadata: Metadata, file_format: str) -> Picture:
    return Picture(_three_channels(samples.colour), samples.alpha, samples.gray, metadata, file_format)


def _three_channels(colour: Pixels) -> Pixels:
    return colour if colour.ndim == 3 else np.asarray(cv2.cvtColor(colour, cv2.COLOR_GRAY2RGB))


def _on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    weight = alpha[..., None].astype(np.uint32)
    return ((pixels * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
