"""From an opened file to samples: every colour mode becomes gray or RGB, 8 or 16 bits, with or without alpha."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageFile

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import png_chunks, tiff
from gantools.images.io.png_chunks import Chunk
from gantools.images.io.tiff import BLACK_IS_ZERO, CMYK, EXTRA_SAMPLES, RGB, WHITE_IS_ZERO, Page, planes

_PNG_BIT_DEPTH, _PNG_GRAY_ALPHA = 24, 4
_UNASSOCIATED = 2
_ASSOCIATED = "16-bit TIFF with premultiplied alpha is not read; store the alpha unassociated"
_BAND_ROWS = 256
_COMPARED_ROWS = 32
"""How many rows of a 16-bit decode are compared with what another decoder made of them."""


@dataclass(frozen=True)
class Samples:
    """Upright samples: ``colour`` [H, W] when gray, else [H, W, 3] RGB, and ``alpha`` [H, W] or None."""

    colour: Pixels
    alpha: Pixels | None

    @property
    def gray(self) -> bool:
        return self.colour.ndim == 2


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that was opened, and what is known of it.

    ``largest`` is the value of white, ``turn`` the EXIF orientation that is still to be applied, ``chunks`` what was
    taken out of a PNG and ``damaged`` the names of its chunks that were left out.
    """

    image: ImageFile.ImageFile
    data: bytes
    kind: str
    label: str
    largest: int
    turn: int | None
    page: Page | None
    chunks: list[Chunk]
    damaged: list[str]


def samples_of(opened: Opened, *, checked: bool = True) -> Samples:
    """Take the samples out of a loaded file, which is closed: a large image need not lie in memory twice.

    ``checked``: what OpenCV decodes must be what Pillow decoded. Raises ImageError, and ValueError for damaged planes.
    """
    turn = opened.turn
    if opened.page is not None and opened.page.planar:
        samples, turn = _planar_samples(opened, opened.page), opened.page.number(tiff.ORIENTATION, 1)
    elif opened.largest > 255:
        samples = _deep_samples(opened, checked)
    else:
        samples = _shallow_samples(opened.image, opened.label)
    alpha = None if samples.alpha is None else upright(samples.alpha, turn)
    return Samples(upright(samples.colour, turn), alpha)


def upright(pixels: Pixels, orientation: object) -> Pixels:
    """Turn stored samples [H, W, ...] upright; 1 and values that EXIF does not define change nothing."""
    if orientation not in range(2, 9):
        return pixels
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def largest_value(image: ImageFile.ImageFile, head: bytes) -> int:
    """The value of white in an opened, not yet loaded file; above 255 the image is kept as 16 bits."""
    if image.format == "PNG":
        return 65535 if head[_PNG_BIT_DEPTH] == 16 else 255
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        unsigned = set(tags.get(tiff.SAMPLE_FORMAT, (1,))) == {1}
        known = tags.get(tiff.PHOTOMETRIC) in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
        return 65535 if set(tags.get(tiff.BITS, ())) == {16} and unsigned and known else 255
    arguments = image.tile[0].args if image.format == "PPM" and image.tile else None
    if isinstance(arguments, tuple):  # of a PPM, whose decoder is given the maximum that its header states
        return int(arguments[1]) if len(arguments) > 1 and isinstance(arguments[1], int) else 255
    return 65535 if arguments == "I;16B" else 255


def _deep_samples(opened: Opened, checked: bool) -> Samples:
    """Samples by OpenCV, as Pillow silently makes 8 bits of 16-bit colour. Pillow has checked the file itself."""
    image, data, label = opened.image, opened.data, opened.label
    undecodable = f"{label}: this kind of 16-bit {image.format} cannot be decoded; store it as 8 bits or as PNG"
    if image.format == "PNG" and not png_chunks.has_end(data):  # OpenCV allocates the length that a chunk states
        raise ImageError(f"{label}: damaged or truncated (a chunk is longer than the file)")
    rows = np.unique(np.linspace(0, image.height - 1, _COMPARED_ROWS).astype(int))
    seen = [np.asarray(image.crop((0, row, image.width, row + 1)))[0] for row in rows] if checked else []
    image.close()
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        raise ImageError(undecodable)
    if image.format == "PPM" and opened.largest != 65535:
        stored = (stored.astype(np.uint32) * 65535 // opened.largest).clip(0, 65535).astype(np.uint16)
    if stored.ndim == 3:
        code = cv2.COLOR_BGRA2RGBA if stored.shape[2] == 4 else cv2.COLOR_BGR2RGB
        for top in range(0, len(stored), _BAND_ROWS):
            band = stored[top : top + _BAND_ROWS]
            band[:] = cv2.cvtColor(band, code)
        if image.format == "PNG" and data[_PNG_BIT_DEPTH + 1] == _PNG_GRAY_ALPHA:  # which OpenCV expands
            stored = np.ascontiguousarray(stored[..., 2:])
    if checked and not _alike(stored[rows], np.stack(seen)):
        raise ImageError(undecodable)
    tags = getattr(image, "tag_v2", {})
    if tiff.PREMULTIPLIED in tags.get(EXTRA_SAMPLES, ()):
        raise ImageError(f"{label}: {_ASSOCIATED}")
    if stored.ndim == 3:
        opaque = image.format == "TIFF" and image.mode != "RGBA"
        return _split(np.ascontiguousarray(stored[..., :3]) if opaque else stored)
    key = image.info.get("transparency")  # a gray PNG may name one value as transparent
    alpha = np.where(stored == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
    return Samples(65535 - stored if tags.get(tiff.PHOTOMETRIC) == WHITE_IS_ZERO else stored, alpha)


def _alike(deep: Pixels, seen: Pixels) -> bool:
    """Whether 16-bit rows [N, W(, C)] are, but for rounding to 8 bits, what another decoder made of them."""
    mine, theirs = (rows.reshape(*rows.shape[:2], -1) for rows in (deep, seen))
    if mine.shape[:2] != theirs.shape[:2]:
        return False
    if mine.shape[2] == 2 and theirs.shape[2] == 4:  # of gray and alpha Pillow makes four channels
        theirs = theirs[..., 2:]
    if theirs.dtype != np.uint8:
        theirs = theirs >> 8
    channels = min(mine.shape[2], theirs.shape[2])
    difference = (mine[..., :channels] >> 8).astype(int) - theirs[..., :channels].astype(int)
    return bool(np.abs(difference).max() <= 1)


def _planar_samples(opened: Opened, page: Page) -> Samples:
    """Samples that lie plane by plane. Raises ImageError and ValueError."""
    if page.premultiplied and page.bits > 8:
        raise ImageError(f"{opened.label}: {_ASSOCIATED}")
    stored = planes(opened.data, page)
    opened.image.close()
    if page.premultiplied and stored.shape[2] in (2, 4):
        gray = stored.shape[2] == 2
        return _split(np.array(Image.fromarray(stored, "La" if gray else "RGBa").convert("LA" if gray else "RGBA")))
    if page.photometric == CMYK:
        shallow = Image.fromarray((stored >> (page.bits - 8)).astype(np.uint8), "CMYK")
        shallow.info = dict(opened.image.info)
        return _split(np.array(_from_cmyk(shallow, opened.label)))
    if page.photometric == WHITE_IS_ZERO:
        stored[..., 0] = np.iinfo(stored.dtype).max - stored[..., 0]
    translucent = stored.shape[2] in (2, 4) and page.number(EXTRA_SAMPLES, _UNASSOCIATED) == _UNASSOCIATED
    if translucent:
        return _split(stored)
    return Samples(np.ascontiguousarray(stored[..., :3] if stored.shape[2] > 2 else stored[..., 0]), None)


def _split(pixels: Pixels) -> Samples:
    """Part [H, W], [H, W, 2], [H, W, 3] or [H, W, 4] into colour and alpha."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return Samples(pixels, None)
    colour = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return Samples(np.ascontiguousarray(colour), np.ascontiguousarray(pixels[..., -1]))


def _shallow_samples(image: ImageFile.ImageFile, label: str) -> Samples:
    """Copy 8-bit samples out of Pillow a band at a time, for what it hands out at once it copies several times."""
    plain = _plain(image, label)
    if plain is not image:
        image.close()
    shape, translucent = (plain.height, plain.width), plain.mode.endswith("A")
    colour = np.empty(shape if plain.mode[0] == "L" else (*shape, 3), np.uint8)
    alpha = np.empty(shape, np.uint8) if translucent else None
    for top in range(0, plain.height, _BAND_ROWS):
        part = slice(top, top + _BAND_ROWS)
        found = _split(np.asarray(plain.crop((0, top, plain.width, min(part.stop, plain.height)))))
        colour[part] = found.colour
        if alpha is not None and found.alpha is not None:
            alpha[part] = found.alpha
    plain.close()
    return Samples(colour, alpha)


def _plain(image: Image.Image, label: str) -> Image.Image:
    """Convert any 8-bit mode to L, LA, RGB or RGBA, none of which loses anything the mode had."""
    if image.mode == "CMYK":
        return _from_cmyk(image, label)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ImageError(f"{label}: 32-bit, signed and float samples are not read; store it with 8 or 16 bits")
    if image.mode == "LAB":
        raise ImageError(f"{label}: CIELAB images are not read; store it as RGB")
    base = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    wanted = base + "A" * (image.has_transparency_data or image.mode in ("La", "RGBa"))
    return image if image.mode == wanted else image.convert(wanted)


def _from_cmyk(image: Image.Image, label: str) -> Image.Image:
    """Convert print colours by the file's own profile, else by the plain formula and say so."""
    profile = image.info.get("icc_profile")
    reason = "has no colour profile"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError) as error:
            reason = f"has an unusable colour profile ({error})"
    warnings.warn(f"{label}: the CMYK image {reason}; its colours are approximate", stacklevel=2)
    return image.convert("RGB")
