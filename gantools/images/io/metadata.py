"""EXIF, colour, XMP, resolution, texts: taken from a file, cleaned, fitted to another size and format."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from dataclasses import replace

from PIL import ExifTags, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from gantools.images.image import Metadata, Other
from gantools.images.io import exif, png_chunks, xmp
from gantools.images.io.png_chunks import Chunk
from gantools.images.io.tiff import Page

COMMENT, IPTC, GEO = "comment", "iptc", "geo"
"""Names of others beside the PNG chunks: a JPEG's comment, press data (IIM), the tags that place a map."""

_SPACES = {"gray": b"GRAY", "rgb": b"RGB "}
_IPTC_TAG, _PHOTOSHOP_TAG = 33723, 34377
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_COMMENT_KEYWORD = "Comment"

_HELD: dict[str, frozenset[str]] = {
    "png": frozenset({*png_chunks.COLOUR, *png_chunks.TEXT, COMMENT, IPTC}),
    "jpeg": frozenset({COMMENT, IPTC}),
    "tiff": frozenset({IPTC, GEO}),
}
_WITH_BLOCKS = frozenset({"png", "jpeg", "webp", "tiff"})
"""Formats that hold EXIF, a profile and XMP."""

_IN_WORDS = {COMMENT: "comment", IPTC: "IPTC", GEO: "GeoTIFF tags"}
_GAMMA_OF_SRGB = range(45_000, 46_001)
_PRIMARIES_OF_SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_PRIMARIES_TOLERANCE = 500
_CICP_OF_SRGB = (1, 13)


def metadata_of(
    image: ImageFile.ImageFile, data: bytes, page: Page | None, chunks: list[Chunk], label: str
) -> Metadata:
    """Collect what an opened and loaded file says besides its samples; ``chunks`` are what was taken out of a PNG."""
    profile = next((png_chunks.profile(content) for name, content in chunks if name == "iCCP"), None)
    block = exif_of(image, data, page, chunks)
    packet, changed = xmp.cleaned(xmp_of(image, chunks))
    if changed:
        warnings.warn(f"{label}: {changed}", stacklevel=2)
    try:
        kept = exif.cleaned(block) if block else None
    except (ValueError, struct.error) as error:  # the image itself is fine
        warnings.warn(f"{label}: its EXIF block is damaged and was left out ({error})", stacklevel=2)
        kept = None
    return Metadata(
        kept,
        profile or image.info.get("icc_profile") or None,
        packet,
        _dpi(image, block),
        tuple(_others(image, page, chunks)),
    )


def orientation_of(image: ImageFile.ImageFile, chunks: list[Chunk]) -> int | None:
    """How an opened file, which is no TIFF, says that it must be turned."""
    block = exif_of(image, b"", None, chunks)
    stated = exif.orientation_of(block) if block else None
    return xmp.orientation_of(xmp_of(image, chunks)) if stated is None else stated


def exif_of(image: ImageFile.ImageFile, data: bytes, page: Page | None, chunks: list[Chunk]) -> bytes | None:
    """The EXIF block of an opened file, as it is."""
    if page is not None:
        return exif.of_tiff(data, page.header, page.directory)
    own = (content for name, content in chunks if name == "eXIf")
    raw = (content for name, content in _raw_profiles(chunks) if exif.is_block(content))
    return next(own, None) or next(raw, None) or image.info.get("exif") or None


def xmp_of(image: ImageFile.ImageFile, chunks: list[Chunk]) -> bytes | None:
    """The XMP packet of an opened file, as it is."""
    own = (png_chunks.xmp(each) for each in _texts(chunks))
    raw = (content for name, content in _raw_profiles(chunks) if name == "xmp")
    return next((each for each in own if each), None) or next(raw, None) or image.info.get("xmp") or None


def fitted(kept: Metadata, kind: str, width: int, height: int, *, gray: bool) -> tuple[Metadata, list[str]]:
    """What a file of ``kind`` keeps of a metadata for an image of this size, and in words what it has no place for."""
    held = _HELD.get(kind, frozenset())
    block = exif.fitted(kept.exif, width, height) if kept.exif else None
    found = replace(kept, exif=block, icc=fit_icc(kept.icc, gray=gray))
    lost = [] if kind in _WITH_BLOCKS else [each for each in ("EXIF", "ICC", "XMP") if getattr(kept, each.lower())]
    others = tuple(_converted(each, kind) for each in kept.others)
    lost += [
        f"text {png_chunks.keyword(each)!r}" if each[0] in png_chunks.TEXT else _IN_WORDS[each[0]]
        for each in others
        if each[0] not in held and each[0] not in png_chunks.COLOUR
    ]
    if "gAMA" not in held and (colour := _unlike_srgb(kept)):
        lost.append(f"colour ({colour})")
    stays = tuple(each for each in others if each[0] in held and not (each[0] == "sRGB" and found.icc))
    return replace(found, others=stays), list(dict.fromkeys(lost))


def fit_icc(profile: bytes | None, *, gray: bool) -> bytes | None:
    """Keep a colour profile only if it is for the colour model that is written."""
    matches = profile is not None and profile[16:20] == _SPACES["gray" if gray else "rgb"]
    return profile if matches else None


def _dpi(image: ImageFile.ImageFile, block: bytes | None) -> tuple[float, float] | None:
    """Pixels per inch; a JPEG whose own header has none may state them in its EXIF block."""
    try:
        if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2):
            stated = exif.dpi_of(block) if block else None
        elif isinstance(image, TiffImageFile) and ExifTags.Base.XResolution not in image.tag_v2:
            return None  # Pillow says 1 dpi
        else:
            stated = image.info.get("dpi")
        across, down = (float(value) for value in stated or ())
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _texts(chunks: list[Chunk]) -> list[Chunk]:
    return [each for each in chunks if each[0] in png_chunks.TEXT]


def _raw_profiles(chunks: list[Chunk]) -> Iterator[tuple[str, bytes]]:
    return (found for each in _texts(chunks) if (found := png_chunks.raw_profile(each)))


def _others(image: ImageFile.ImageFile, page: Page | None, chunks: list[Chunk]) -> Iterator[Other]:
    """What only some formats have a place for; texts that were taken for EXIF, XMP or IPTC are none any more."""
    yield from (each for each in chunks if each[0] in png_chunks.COLOUR)
    for each in _texts(chunks):
        raw = png_chunks.raw_profile(each)
        taken = raw is not None and (raw[0] in ("exif", "xmp", "iptc", "8bim") or exif.is_block(raw[1]))
        if not taken and not png_chunks.xmp(each):
            yield each
    segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
    yield from ((COMMENT, content) for name, content in segments if name == "COM")
    press = _iptc(b"".join(content for name, content in segments if name == "APP13"), page, chunks)
    if press:
        yield IPTC, press
    if page is not None and (block := exif.geo_block_of(page)):
        yield GEO, block


def _iptc(segments: bytes, page: Page | None, chunks: list[Chunk]) -> bytes | None:
    """The press data (IIM) of a JPEG's APP13 segments, a TIFF or a PNG."""
    tags = {} if page is None else page.directory
    if _IPTC_TAG in tags:
        return tags[_IPTC_TAG].content
    resources = tags[_PHOTOSHOP_TAG].content if _PHOTOSHOP_TAG in tags else segments.replace(_PHOTOSHOP, b"")
    raw = next((content for name, content in _raw_profiles(chunks) if name in ("iptc", "8bim")), b"")
    return raw if raw.startswith(b"\x1c") else _resource(resources or raw.removeprefix(_PHOTOSHOP))


def _resource(content: bytes) -> bytes | None:
    """The press data among Photoshop's resources: signature, number, name, length, content, each of even length."""
    at = 0
    while content[at : at + 4] == b"8BIM" and at + 12 <= len(content):
        name = at + 6
        start = name + (content[name] + 2) // 2 * 2
        length = int.from_bytes(content[start : start + 4], "big")
        if int.from_bytes(content[at + 4 : at + 6], "big") == _IPTC_RESOURCE:
            return content[start + 4 : start + 4 + length]
        at = start + 4 + (length + 1) // 2 * 2
    return None


def iptc_resource(content: bytes) -> bytes:
    """Press data as an APP13 segment of a JPEG holds it."""
    head = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(content))
    return _PHOTOSHOP + head + content + bytes(len(content) % 2)


def _converted(other: Other, kind: str) -> Other:
    """A comment as the format keeps it: a PNG's is a text of that name."""
    name, content = other
    if kind == "png" and name == COMMENT:
        return png_chunks.in_text(_COMMENT_KEYWORD, content)
    if kind == "png" and name == IPTC:
        return png_chunks.in_raw_profile(IPTC, content)
    if kind == "jpeg" and name in png_chunks.TEXT and png_chunks.keyword(other) == _COMMENT_KEYWORD:
        return COMMENT, png_chunks.text(other) or b""
    return other


def _unlike_srgb(kept: Metadata) -> str | None:
    """The PNG chunks that give the samples other colours than sRGB, where no profile does; the strongest decides."""
    chunks = {name: content for name, content in kept.others if name in png_chunks.COLOUR}
    if "cICP" in chunks:
        return None if tuple(chunks["cICP"][:2]) == _CICP_OF_SRGB else "cICP"
    if kept.icc or "sRGB" in chunks:
        return None
    gamma, primaries = chunks.get("gAMA", b""), chunks.get("cHRM", b"")
    unlike = []
    if len(gamma) == 4 and int.from_bytes(gamma, "big") not in _GAMMA_OF_SRGB:
        unlike.append("gAMA")
    if len(primaries) == 32 and any(
        abs(stated - usual) > _PRIMARIES_TOLERANCE
        for stated, usual in zip(struct.unpack(">8I", primaries), _PRIMARIES_OF_SRGB, strict=True)
    ):
        unlike.append("cHRM")
    return ", ".join(unlike) or None
