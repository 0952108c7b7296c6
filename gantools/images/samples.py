"""From an opened file to samples: every colour mode becomes gray or RGB, 8 or 16 bits, with or without alpha."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageFile

from gantools.errors import ImageError
from gantools.images import orientation
from gantools.images.picture import Pixels

_PNG_BIT_DEPTH = 24
_BITS_PER_SAMPLE, _PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 338, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PREMULTIPLIED = 1
_BAND_ROWS = 256


@dataclass(frozen=True)
class Samples:
    """Upright samples: ``colour`` [H, W] when gray, else [H, W, 3] RGB, and ``alpha`` [H, W] or None."""

    colour: Pixels
    alpha: Pixels | None

    @property
    def gray(self) -> bool:
        return self.colour.ndim == 2


def samples_of(image: ImageFile.ImageFile, data: bytes, largest: int, label: str) -> Samples:
    """Take the samples out of a loaded file, which is closed: a large picture need not lie in memory twice.

    ``data`` is the file's content, ``largest`` its ``largest_value`` before it was loaded.
    """
    turn = None if image.format == "TIFF" else image.getexif().get(orientation.TAG)  # decoders turn TIFF themselves
    samples = _deep_samples(image, data, largest, label) if largest > 255 else _shallow_samples(image, label)
    alpha = None if samples.alpha is None else orientation.upright(samples.alpha, turn)
    return Samples(orientation.upright(samples.colour, turn), alpha)


def largest_value(image: ImageFile.ImageFile, head: bytes) -> int:
    """The value of white in an opened, not yet loaded file; above 255 the picture is kept as 16 bits."""
    if image.format == "PNG":
        return 65535 if head[_PNG_BIT_DEPTH] == 16 else 255
    if image.format == "TIFF":
        return 65535 if _deep_tiff(image) else 255
    return _ppm_maximum(image) if image.format == "PPM" else 255


def _deep_tiff(image: ImageFile.ImageFile) -> bool:
    tags = getattr(image, "tag_v2", {})
    unsigned = set(tags.get(_SAMPLE_FORMAT, (1,))) == {1}
    known = tags.get(_PHOTOMETRIC) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
    return set(tags.get(_BITS_PER_SAMPLE, ())) == {16} and unsigned and known


def _ppm_maximum(image: ImageFile.ImageFile) -> int:
    """The maximum that a PPM header states, read from the decoder's plan."""
    arguments = image.tile[0].args if image.tile else None
    if isinstance(arguments, tuple):
        return int(arguments[1]) if len(arguments) > 1 and isinstance(arguments[1], int) else 255
    return 65535 if arguments == "I;16B" else 255


def _deep_samples(image: ImageFile.ImageFile, data: bytes, largest: int, label: str) -> Samples:
    """Pillow makes 8 bits of 16-bit colour without a word, so OpenCV decodes; Pillow has checked the file whole."""
    if image.format == "PNG" and not _ends_where_it_says(data):
        raise ImageError(f"{label}: damaged or truncated (a chunk is longer than the file)")
    image.close()
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        raise ImageError(f"{label}: this kind of 16-bit {image.format} cannot be decoded; store it as 8 bits or as PNG")
    if image.format == "TIFF":
        return _deep_tiff_samples(image, stored, label)
    if image.format == "PPM" and largest != 65535:
        stored = (stored.astype(np.uint32) * 65535 // largest).clip(0, 65535).astype(np.uint16)
    if stored.ndim == 2:
        return _keyed(stored, image.info.get("transparency"))
    return _split(_collapsed(image, data, _rgb(stored)))


def _ends_where_it_says(data: bytes) -> bool:
    """Whether a PNG's chunks lie within the file: OpenCV allocates a chunk's stated length before it looks."""
    position = 8
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False


def _deep_tiff_samples(image: ImageFile.ImageFile, stored: Pixels, label: str) -> Samples:
    tags = getattr(image, "tag_v2", {})
    if _PREMULTIPLIED in tags.get(_EXTRA_SAMPLES, ()):
        raise ImageError(f"{label}: 16-bit TIFF with premultiplied alpha is not read; store the alpha unassociated")
    if stored.ndim == 2:
        return Samples(65535 - stored if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else stored, None)
    pixels = _rgb(stored)
    return _split(pixels if image.mode == "RGBA" else np.ascontiguousarray(pixels[..., :3]))


def _keyed(gray: Pixels, key: object) -> Samples:
    """A 16-bit gray PNG may name one value as transparent."""
    return Samples(gray, np.where(gray == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None)


def _collapsed(image: ImageFile.ImageFile, data: bytes, pixels: Pixels) -> Pixels:
    """Undo OpenCV's expansion of gray + alpha PNG (colour type 4) to four channels."""
    gray_with_alpha = image.format == "PNG" and data[_PNG_BIT_DEPTH + 1] == 4
    return np.ascontiguousarray(pixels[..., 2:]) if gray_with_alpha else pixels


def _rgb(stored: Pixels) -> Pixels:
    """Bring OpenCV's order of channels into ours, in place."""
    code = cv2.COLOR_BGRA2RGBA if stored.shape[2] == 4 else cv2.COLOR_BGR2RGB
    for top in range(0, len(stored), _BAND_ROWS):
        band = stored[top : top + _BAND_ROWS]
        band[:] = cv2.cvtColor(band, code)
    return stored


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
        raise ImageError(f"{label}: CIELAB pictures are not read; store it as RGB")
    wanted = _wanted_mode(image)
    return image if image.mode == wanted else image.convert(wanted)


def _wanted_mode(image: Image.Image) -> str:
    base = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    translucent = image.has_transparency_data or image.mode in ("La", "RGBa")
    return base + "A" * translucent


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
    warnings.warn(f"{label}: the CMYK picture {reason}; its colours are approximate", stacklevel=2)
    return image.convert("RGB")
