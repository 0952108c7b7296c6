"""Writing images: what a format cannot hold is refused or converted with a warning, never lost in silence."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, TypedDict, Unpack

from gantools import files
from gantools.errors import ImageError, UsageError
from gantools.images.formats import ALPHA, DEEP, FORMATS, LONGEST_SIDE_PX, format_of
from gantools.images.image import Image, Metadata
from gantools.images.io import encoders
from gantools.images.io.encoders import Stored
from gantools.images.io.metadata import fitted

Depth: TypeAlias = Literal["keep", 8, 16]
Lossless: TypeAlias = bool | Literal["keep"]


class WriteOptions(TypedDict, total=False):
    """How an image is stored.

    ``quality`` (95) is JPEG's and lossy WebP's; JPEG is written 4:4:4. ``lossless`` is for WebP; "keep": as the WebP
    that was read, else with loss. ``depth``: bits per sample; "keep" becomes 8 where the format holds no more.
    ``alpha`` "drop" leaves the colours of transparent pixels as they are. What is not given is "keep".
    """

    quality: int
    lossless: Lossless
    depth: Depth
    metadata: Literal["keep", "strip"]
    alpha: Literal["keep", "drop"]


def encode(image: Image, format: str, **options: Unpack[WriteOptions]) -> bytes:
    """Encode an image as ``format`` (a key or a value of ``FORMATS``).

    Raises UsageError when the format cannot hold what is asked for, ImageError when the encoder fails.
    """
    out = io.BytesIO()
    _encoder(image, _known(format), "the result", options)(out)
    return out.getvalue()


def save(image: Image, path: Path, *, format: str | None = None, **options: Unpack[WriteOptions]) -> None:
    """Write the bytes of ``encode`` atomically; the format is the suffix's unless given.

    Raises as ``encode``, and OSError.
    """
    encoder = _encoder(image, _known(format or format_of(path)), repr(str(path)), options)
    with files.staged_file(path) as staged:
        files.notify("create", staged)
        with staged.open("xb") as out:
            files.notify("write", staged)
            encoder(out)


def write(image: Image, path: Path, *, format: str | None = None, **options: Unpack[WriteOptions]) -> None:
    """Save an image; every failure names the path. Raises UsageError and ImageError."""
    kind = format_of(path) if format is None else format
    try:
        save(image, path, format=kind, **options)
    except (UsageError, ImageError) as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    except OSError as error:
        raise ImageError(f"{str(path)!r}: cannot be written: {error.strerror or error}") from error


def _known(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def _encoder(image: Image, kind: str, label: str, options: WriteOptions) -> Callable[[BinaryIO], None]:
    """What appends the encoded image to an empty stream. Warns of what is lost; raises UsageError and ImageError."""
    quality, depth = options.get("quality", 95), options.get("depth", "keep")
    asked, keep_alpha = options.get("lossless", "keep"), options.get("alpha", "keep") == "keep"
    _check(image, kind, quality, asked, depth, keep_alpha)
    lossless = image.format == "webp" and image.lossless if asked == "keep" else asked
    stored = _stored(image, kind, depth, keep_alpha)
    kept = Metadata() if options.get("metadata") == "strip" else _kept(stored, kind, label)
    match kind:
        case "png":
            return partial(encoders.encode_png, stored, kept)
        case "jpeg":
            return partial(encoders.encode_jpeg, stored, kept, quality)
        case "webp":
            return partial(encoders.encode_webp, stored, kept, quality, lossless)
        case "tiff":
            return partial(encoders.encode_tiff, stored, kept)
        case "bmp":
            return partial(encoders.encode_bmp, stored, kept)
        case _:
            return partial(encoders.encode_ppm, stored)


def _check(image: Image, kind: str, quality: int, lossless: Lossless, depth: Depth, keep_alpha: bool) -> None:
    """Refuse what ``kind`` cannot hold before any work."""
    shown = kind.upper()
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not within 1 to 100")
    if lossless is True and kind == "jpeg":
        raise UsageError("JPEG always loses a little; use --format webp or png")
    if depth == 16 and kind not in DEEP:
        raise UsageError(f"{shown} holds no 16-bit samples; use --format png or tif, or --depth 8")
    if keep_alpha and kind not in ALPHA and image.transparent:
        raise UsageError(f"{shown} cannot hold the image's transparency; use --alpha drop or --format png")
    limit = LONGEST_SIDE_PX.get(kind)
    if limit is not None and max(image.width, image.height) > limit:
        size = f"{image.width}×{image.height}"
        raise ImageError(f"{size} is more than {shown} can hold ({limit} px a side); use --format png or tif")


def _stored(image: Image, kind: str, depth: Depth, keep_alpha: bool) -> Stored:
    """The channels and the depth in which ``kind`` stores the image.

    WebP has no gray; gray + alpha exists in PNG and in 8-bit TIFF that readers understand.
    """
    wanted = depth if depth != "keep" else image.pixels.itemsize * 8
    bits = 16 if wanted == 16 and kind in DEEP else 8
    alpha = image.alpha is not None and keep_alpha and kind in ALPHA
    holds_gray = (kind == "png" or (kind == "tiff" and bits == 8)) if alpha else kind != "webp"
    return Stored(image, image.gray and holds_gray, alpha, bits)


def _kept(stored: Stored, kind: str, label: str) -> Metadata:
    """The metadata that is written; one warning names what the format has no place for."""
    image = stored.image
    kept, lost = fitted(image.metadata, kind, image.width, image.height, gray=stored.gray)
    if lost:
        warnings.warn(f"{label}: a {kind.upper()} has no place for {', '.join(lost)}; left out", stacklevel=4)
    kept, long = encoders.fit_jpeg(kept) if kind == "jpeg" else (kept, [])
    if long:
        warnings.warn(f"{label}: {', '.join(long)} does not fit into a JPEG and was left out", stacklevel=4)
    return kept
