"""Writing pictures: what a format cannot hold is refused or converted in the open, never lost in silence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np

from gantools import files
from gantools.errors import ImageError, UsageError
from gantools.images import containers
from gantools.images.depth import to_8_bit, to_16_bit
from gantools.images.formats import ALPHA, DEEP, FORMATS, LONGEST_SIDE_PX, format_of
from gantools.images.metadata import fit_exif, fit_icc
from gantools.images.picture import Metadata, Picture, Pixels
from gantools.images.tiff import encode_tiff

__all__ = ["FORMATS", "encode", "write"]

Depth: TypeAlias = Literal["keep", 8, 16]

_BGR = {1: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
_LUMA = np.array([0.299, 0.587, 0.114])


def encode(
    picture: Picture,
    format: str,
    *,
    quality: int = 95,
    depth: Depth = "keep",
    metadata: Literal["keep", "strip"] = "keep",
    alpha: Literal["keep", "drop"] = "keep",
) -> bytes:
    """Encode a picture as ``format`` (a key or a value of ``FORMATS``).

    ``quality`` is JPEG's and lossy WebP's; JPEG is written 4:4:4. 16 bits become 8 where the format holds no more.
    ``alpha="drop"`` leaves the colours of transparent pixels as they are.
    Raises UsageError when the format cannot hold what is asked for, ImageError when the encoder fails.
    """
    kind = _known(format)
    _check(picture, kind, quality, depth, alpha)
    stored = _layout(_fitted_depth(_fitted_alpha(picture, kind, alpha), kind, depth), kind)
    kept = _fitted_metadata(picture, gray=stored.shape[2] < 3) if metadata == "keep" else Metadata()
    return _encoded(stored, kind, quality, kept)


def write(
    picture: Picture,
    path: Path,
    *,
    format: str | None = None,
    quality: int = 95,
    depth: Depth = "keep",
    metadata: Literal["keep", "strip"] = "keep",
    alpha: Literal["keep", "drop"] = "keep",
) -> None:
    """Encode a picture and write it atomically; the format is the suffix's unless given. Raises as ``encode``."""
    kind = format_of(path) if format is None else format
    try:
        content = encode(picture, kind, quality=quality, depth=depth, metadata=metadata, alpha=alpha)
        files.write_bytes(path, content)
    except (UsageError, ImageError) as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    except OSError as error:
        raise ImageError(f"{str(path)!r}: cannot be written: {error.strerror or error}") from error


def _known(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def _check(picture: Picture, kind: str, quality: int, depth: Depth, alpha: str) -> None:
    """Refuse what ``kind`` cannot hold before any work."""
    shown = kind.upper()
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not within 1 to 100")
    if depth == 16 and kind not in DEEP:
        raise UsageError(f"{shown} holds no 16-bit samples; use --format png or tif, or --depth 8")
    if alpha == "keep" and kind not in ALPHA and picture.transparent:
        raise UsageError(f"{shown} cannot hold the picture's transparency; use --alpha drop or --format png")
    limit = LONGEST_SIDE_PX.get(kind)
    if limit is not None and max(picture.width, picture.height) > limit:
        size = f"{picture.width}×{picture.height}"
        raise ImageError(f"{size} is more than {shown} can hold ({limit} px a side); use --format png or tif")


def _fitted_alpha(picture: Picture, kind: str, alpha: str) -> Picture:
    return replace(picture, alpha=None) if alpha == "drop" or kind not in ALPHA else picture


def _fitted_depth(picture: Picture, kind: str, depth: Depth) -> Picture:
    wanted = depth if depth != "keep" else picture.pixels.itemsize * 8
    convert = to_16_bit if wanted == 16 and kind in DEEP else to_8_bit
    return replace(
        picture, pixels=convert(picture.pixels), alpha=None if picture.alpha is None else convert(picture.alpha)
    )


def _layout(picture: Picture, kind: str) -> Pixels:
    """The channels as they are stored: gray, gray + alpha, RGB or RGBA, [H, W, C]."""
    colour = _luma(picture.pixels)[..., None] if picture.gray and _holds_gray(picture, kind) else picture.pixels
    return colour if picture.alpha is None else np.dstack([colour, picture.alpha])


def _holds_gray(picture: Picture, kind: str) -> bool:
    """WebP has no gray; gray + alpha exists in PNG and in 8-bit TIFF that readers understand."""
    if picture.alpha is None:
        return kind != "webp"
    return kind == "png" or (kind == "tiff" and picture.pixels.dtype == np.uint8)


def _luma(pixels: Pixels) -> Pixels:
    """One channel of three: themselves when they are equal, else weighted as the eye does (Rec. 601)."""
    first = pixels[..., 0]
    if (pixels[..., 1] == first).all() and (pixels[..., 2] == first).all():
        return np.ascontiguousarray(first)
    return np.asarray(np.floor(pixels @ _LUMA + 0.5), dtype=pixels.dtype)


def _fitted_metadata(picture: Picture, *, gray: bool) -> Metadata:
    kept = picture.metadata
    exif = fit_exif(kept.exif, picture.width, picture.height) if kept.exif else None
    return replace(kept, exif=exif, icc=fit_icc(kept.icc, gray=gray))


def _encoded(stored: Pixels, kind: str, quality: int, kept: Metadata) -> bytes:
    match kind:
        case "png":
            return containers.png_with(_gray_alpha_png(stored) if stored.shape[2] == 2 else _cv2(".png", stored), kept)
        case "jpeg":
            options = (cv2.IMWRITE_JPEG_QUALITY, quality)
            full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
            return containers.jpeg_with(_cv2(".jpg", stored, *options, *full_colour), kept)
        case "webp":
            return _webp(stored, quality, kept)
        case "tiff":
            return encode_tiff(stored, kept)
        case "bmp":
            return containers.bmp_with(_cv2(".bmp", stored), kept)
        case _:
            return _cv2(".pgm" if stored.shape[2] == 1 else ".ppm", stored)


def _cv2(suffix: str, stored: Pixels, *options: int) -> bytes:
    return _checked(suffix, stored, lambda pixels: cv2.imencode(suffix, pixels, list(options)))


def _webp(stored: Pixels, quality: int, kept: Metadata) -> bytes:
    chunks = {
        cv2.IMAGE_METADATA_EXIF: kept.exif and kept.exif.removeprefix(b"Exif\0\0"),
        cv2.IMAGE_METADATA_XMP: kept.xmp,
        cv2.IMAGE_METADATA_ICCP: kept.icc,
    }
    given = {kind: np.frombuffer(content, np.uint8) for kind, content in chunks.items() if content}
    kinds, contents, options = list(given), list(given.values()), [cv2.IMWRITE_WEBP_QUALITY, quality]
    return _checked(".webp", stored, lambda pixels: cv2.imencodeWithMetadata(".webp", pixels, kinds, contents, options))


def _checked(suffix: str, stored: Pixels, encoder: Callable[[Pixels], tuple[bool, Pixels]]) -> bytes:
    """Run an OpenCV encoder, whose failures are a False as often as an exception."""
    height, width, channels = stored.shape
    try:
        done, content = encoder(_bgr(stored))
    except cv2.error:
        done, content = False, np.empty(0, np.uint8)
    if not done:
        raise ImageError(f"the {suffix} encoder refused {width}×{height} px, {channels} channels of {stored.dtype}")
    return bytes(content)


def _bgr(stored: Pixels) -> Pixels:
    code = _BGR[stored.shape[2]]
    return np.ascontiguousarray(stored) if code is None else np.asarray(cv2.cvtColor(stored, code))


def _gray_alpha_png(stored: Pixels) -> bytes:
    """Encode gray + alpha, which OpenCV cannot: rows as differences to the pixel before (filter "Sub")."""
    height, width, channels = stored.shape
    step = channels * stored.itemsize
    rows = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    lines = np.ones((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 1:] = rows
    lines[:, 1 + step :] -= rows[:, :-step]
    header = struct.pack(">IIBBBBB", width, height, stored.itemsize * 8, 4, 0, 0, 0)
    return containers.png(header, [containers.png_chunk(b"IDAT", zlib.compress(lines.tobytes()))])
