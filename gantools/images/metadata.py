"""EXIF, ICC profile, XMP and resolution: taken from a file, cleaned, and fitted to a new size."""

from __future__ import annotations

import re
import warnings
from typing import Any

from PIL import Image

from gantools.images import orientation
from gantools.images.picture import Metadata

EXIF_IFD = 0x8769
GPS_IFD = 0x8825
_INTEROPERABILITY = 0xA005
_PIXEL_DIMENSIONS = (0xA002, 0xA003)
_LAYOUT = frozenset({0x0100, 0x0101, 0x0111, 0x0117, 0x0201, 0x0202})
_SPACES = {"gray": b"GRAY", "rgb": b"RGB "}

DESCRIPTIVE = frozenset({
    0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298,
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, EXIF_IFD, GPS_IFD,
})  # fmt: skip
"""Tags of a TIFF's first directory that describe the picture and not how its samples lie in the file."""


def metadata_of(image: Image.Image, label: str) -> Metadata:
    """Collect what an opened and loaded file says besides its samples."""
    return Metadata(_exif(image, label), image.info.get("icc_profile") or None, _xmp(image), _dpi(image))


def parse_exif(content: bytes | None) -> Image.Exif:
    """Parse an EXIF block; empty without one."""
    exif = Image.Exif()
    exif.load(content or b"")
    return exif


def fit_exif(content: bytes, width: int, height: int) -> bytes:
    """Write a picture's size into its EXIF block, where the block states one."""
    exif = parse_exif(content)
    directory = exif.get_ifd(EXIF_IFD)
    for tag, length in zip(_PIXEL_DIMENSIONS, (width, height), strict=True):
        if tag in directory:
            directory[tag] = length
    return exif.tobytes()


def fit_icc(profile: bytes | None, *, gray: bool) -> bytes | None:
    """Keep a colour profile only if it is for the colour model that is written."""
    matches = profile is not None and profile[16:20] == _SPACES["gray" if gray else "rgb"]
    return profile if matches else None


def _exif(image: Image.Image, label: str) -> bytes | None:
    try:
        exif = _cleaned(image.getexif(), tiff=image.format == "TIFF")
        return exif.tobytes() if set(exif) - {orientation.TAG} else None
    except Exception as error:  # whatever a foreign EXIF block makes the parser raise, the picture itself is fine
        warnings.warn(f"{label}: its EXIF block is damaged and was left out ({error})", stacklevel=2)
        return None


def _cleaned(found: Image.Exif, *, tiff: bool) -> Image.Exif:
    """Copy without thumbnail (its directory is not copied), without what describes the file's layout, upright."""
    exif = Image.Exif()
    exif.endian = found.endian
    for tag in found:
        if tag in DESCRIPTIVE or not (tiff or tag in _LAYOUT):
            exif[tag] = _directory(found, tag) if tag in (EXIF_IFD, GPS_IFD) else found[tag]
    exif[orientation.TAG] = 1
    return exif


def _directory(found: Image.Exif, tag: int) -> dict[int, Any]:
    directory = dict(found.get_ifd(tag))
    if tag == EXIF_IFD and _INTEROPERABILITY in directory:
        directory[_INTEROPERABILITY] = dict(found.get_ifd(_INTEROPERABILITY))
    return directory


def _xmp(image: Image.Image) -> bytes | None:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet:
        return None
    content = packet.encode() if isinstance(packet, str) else bytes(packet)
    return re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", content)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None
