"""Writing pictures: what a format cannot hold is refused or converted in the open, never lost in silence."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, TypedDict

from gantools import files
from gantools.errors import ImageError, UsageError
from gantools.images.formats import ALPHA, DEEP, FORMATS, LONGEST_SIDE_PX, format_of
from gantools.images.image import Image, Metadata
from gantools.images.io.encoders import jpeg, plain, png, tiff, webp
from gantools.images.io.metadata import fitted
from gantools.images.io.stored import Stored

__all__ = ["FORMATS", "encode", "save", "write"]

Depth: TypeAlias = Literal["keep", 8, 16]
Lossless: TypeAlias = bool | Literal["keep"]


class Given(TypedDict, total=False):
    """How a picture is stored: what ``encode`` and ``save`` take besides picture and format."""

    quality: int
    lossless: Lossless
    depth: Depth
    metadata: Literal["keep", "strip"]
    alpha: Literal["keep", "drop"]


def encode(
    picture: Image,
    format: str,
    *,
    quality: int = 95,
    lossless: Lossless = "keep",
    depth: Depth = "keep",
    metadata: Literal["keep", "strip"] = "keep",
    alpha: Literal["keep", "drop"] = "keep",
) -> bytes:
    """Encode a picture as ``format`` (a key or a value of ``FORMATS``).

    ``quality`` is JPEG's and lossy WebP's; JPEG is written 4:4:4. 16 bits become 8 where the format holds no more.
    ``lossless`` is for WebP, which may be either; ``keep``: as the WebP that was read, else with loss.
    ``alpha="drop"`` leaves the colours of transparent pixels as they are.
    Raises UsageError when the format cannot hold what is asked for, ImageError when the encoder fails.
    """
    kind, out = _known(format), io.BytesIO()
    _check(picture, kind, quality, lossless, depth, alpha)
    stored = _layout(picture, kind, depth, alpha)
    _append(stored, kind, _kept(stored, kind, metadata, "the result"), quality, _lossless(picture, lossless), out)
    return out.getvalue()


def save(
    picture: Image,
    path: Path,
    *,
    format: str | None = None,
    quality: int = 95,
    lossless: Lossless = "keep",
    depth: Depth = "keep",
    metadata: Literal["keep", "strip"] = "keep",
    alpha: Literal["keep", "drop"] = "keep",
) -> None:
    """Write the bytes of ``encode`` atomically; the format is the suffix's unless given.

    Beside the picture it takes a few rows at a time, but for WebP. Raises as ``encode``, and OSError.
    """
    kind = _known(format or format_of(path))
    _check(picture, kind, quality, lossless, depth, alpha)
    stored = _layout(picture, kind, depth, alpha)
    kept = _kept(stored, kind, metadata, repr(str(path)))
    with files.staged_file(path) as staged, _announced(staged) as out:
        _append(stored, kind, kept, quality, _lossless(picture, lossless), out)


def write(
    picture: Image,
    path: Path,
    *,
    format: str | None = None,
    quality: int = 95,
    lossless: Lossless = "keep",
    depth: Depth = "keep",
    metadata: Literal["keep", "strip"] = "keep",
    alpha: Literal["keep", "drop"] = "keep",
) -> None:
    """Save a picture; every failure names the path. Raises UsageError and ImageError as ``encode``."""
    kind = format_of(path) if format is None else format
    try:
        save(
            picture,
            path,
            format=kind,
            quality=quality,
            lossless=lossless,
            depth=depth,
            metadata=metadata,
            alpha=alpha,
        )
    except (UsageError, ImageError) as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    except OSError as error:
        raise ImageError(f"{str(path)!r}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _announced(staged: Path) -> Iterator[BinaryIO]:
    """A staged file whose events can be watched like those of ``files.new_file``."""
    files.tell("create", staged)
    with staged.open("xb") as out:
        files.tell("write", staged)
        yield out


def _append(stored: Stored, kind: str, kept: Metadata, quality: int, lossless: bool, out: BinaryIO) -> None:
    """Append the encoded picture to a stream that is empty."""
    match kind:
        case "png":
            png.encode(stored, kept, out)
        case "jpeg":
            jpeg.encode(stored, kept, quality, out)
        case "webp":
            webp.encode(stored, kept, quality, lossless, out)
        case "tiff":
            tiff.encode(stored, kept, out)
        case "bmp":
            plain.encode_bmp(stored, kept, out)
        case _:
            plain.encode_ppm(stored, out)


def _known(name: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def _check(picture: Image, kind: str, quality: int, lossless: Lossless, depth: Depth, alpha: str) -> None:
    """Refuse what ``kind`` cannot hold before any work."""
    shown = kind.upper()
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not within 1 to 100")
    if lossless is True and kind == "jpeg":
        raise UsageError("JPEG always loses a little; use --format webp or png")
    if depth == 16 and kind not in DEEP:
        raise UsageError(f"{shown} holds no 16-bit samples; use --format png or tif, or --depth 8")
    if alpha == "keep" and kind not in ALPHA and picture.transparent:
        raise UsageError(f"{shown} cannot hold the picture's transparency; use --alpha drop or --format png")
    limit = LONGEST_SIDE_PX.get(kind)
    if limit is not None and max(picture.width, picture.height) > limit:
        size = f"{picture.width}×{picture.height}"
        raise ImageError(f"{size} is more than {shown} can hold ({limit} px a side); use --format png or tif")


def _layout(picture: Image, kind: str, depth: Depth, alpha: str) -> Stored:
    """The channels and the depth in which ``kind`` stores the picture.

    WebP has no gray; gray + alpha exists in PNG and in 8-bit TIFF that readers understand.
    """
    wanted = depth if depth != "keep" else picture.pixels.itemsize * 8
    bits = 16 if wanted == 16 and kind in DEEP else 8
    stays = picture.alpha is not None and alpha == "keep" and kind in ALPHA
    holds_gray = (kind == "png" or (kind == "tiff" and bits == 8)) if stays else kind != "webp"
    return Stored(picture, picture.gray and holds_gray, stays, bits)


def _kept(stored: Stored, kind: str, metadata: str, label: str) -> Metadata:
    """The metadata that is written; what the format has no place for is named once."""
    if metadata == "strip":
        return Metadata()
    picture = stored.picture
    kept, lost = fitted(picture.metadata, kind, picture.width, picture.height, gray=stored.gray)
    if lost:
        warnings.warn(f"{label}: a {kind.upper()} has no place for {', '.join(lost)}; left out", stacklevel=3)
    kept, long = jpeg.fitting(kept) if kind == "jpeg" else (kept, [])
    if long:
        warnings.warn(f"{label}: {', '.join(long)} does not fit into a JPEG and was left out", stacklevel=3)
    return kept


def _lossless(picture: Image, asked: Lossless) -> bool:
    """Whether a WebP is written without loss: on request, else as the file that was read."""
    return (picture.format == "webp" and picture.lossless) if asked == "keep" else asked
