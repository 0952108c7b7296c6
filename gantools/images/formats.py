"""The file formats gantools reads and writes, recognised by content."""

from __future__ import annotations

from pathlib import PurePath

from gantools.errors import UsageError

FORMATS: dict[str, str] = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "jpe": "jpeg",
    "jfif": "jpeg",
    "jif": "jpeg",
    "webp": "webp",
    "tif": "tiff",
    "tiff": "tiff",
    "bmp": "bmp",
    "dib": "bmp",
    "ppm": "ppm",
    "pgm": "ppm",
    "pnm": "ppm",
    "pbm": "ppm",
}
"""File name suffix, or value of ``--format`` → format."""

SUFFIXES: dict[str, str] = {
    "png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif", "bmp": ".bmp", "ppm": ".ppm",
}  # fmt: skip
"""Format → the suffix of a new file."""

INPUT_ONLY = frozenset({"pbm"})
"""Suffixes that do not fit what is written: a PBM is black and white."""

CLUTTER = frozenset({"@eadir", "__macosx", "lost+found", "#recycle", "$recycle.bin", "system volume information"})
"""Folders, in lower case, that file systems, archives and network storage keep their own things in (thumbnails too)."""

KNOWN = "PNG, JPEG, WebP, TIFF, BMP or PPM"
ALPHA = frozenset({"png", "webp", "tiff", "bmp"})
DEEP = frozenset({"png", "tiff", "ppm"})
LONGEST_SIDE_PX = {"jpeg": 65500, "webp": 16383}

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
)


def passed_over(name: str) -> bool:
    """Whether a file or folder of this name is looked at only if it is named: hidden ones, and ``CLUTTER``."""
    return name.startswith(".") or name.lower() in CLUTTER


def sniff(head: bytes) -> str | None:
    """Name the format of a file by its first 16 bytes, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b" ", b"\t", b"\r", b"\n"):
        return "ppm"
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height that the first 30 bytes of a WebP state; (0, 0) where they state none."""
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            sides = int.from_bytes(head[21:25], "little")
            return 1 + sides % 2**14, 1 + (sides >> 14) % 2**14
        case b"VP8 ":
            width, height = (int.from_bytes(head[at : at + 2], "little") % 2**14 for at in (26, 28))
            return width, height
        case _:
            return 0, 0


def webp_lossless(data: bytes) -> bool:
    """Whether a WebP's first image is compressed without loss."""
    at = 12
    while at + 8 <= len(data):
        kind = data[at : at + 4]
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        # a frame of an animation holds its chunks behind 16 bytes of its own
        at += 24 if kind == b"ANMF" else 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2
    return False


def format_of(path: PurePath | str) -> str:
    """Name the format that a file name asks for. Raises UsageError for a suffix that no format has."""
    suffix = PurePath(path).suffix.lstrip(".").lower()
    if suffix not in FORMATS:
        raise UsageError(f"{str(path)!r}: no format is known by {suffix!r}; known: {', '.join(FORMATS)}")
    return FORMATS[suffix]


_METRES_PER_INCH = 0.0254


def per_metre(dpi: tuple[float, float]) -> tuple[int, int]:
    """Dots per metre of dots per inch, across and down."""
    return round(dpi[0] / _METRES_PER_INCH), round(dpi[1] / _METRES_PER_INCH)
