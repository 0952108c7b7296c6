"""Files that are whole but of a kind that is not read: what they are, so that nobody looks for damage."""

from __future__ import annotations

from gantools.images.io.tiff_pages import Page

_FRAMES = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical", 0xCB: "lossless",
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical",
}  # fmt: skip
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_LS = 0xF7
_BMP_PLAIN = frozenset({0, 1, 2, 3, 6})
_INSTEAD = "is not read; store it with 8 bits a sample, or as PNG"


def kind_of(data: bytes, kind: str, page: Page | None) -> str | None:
    """What is wrong with a file that a decoder refuses at its header; None where it may as well be damaged."""
    match kind:
        case "jpeg":
            return _jpeg(data)
        case "bmp":
            return _bmp(data)
        case "tiff":
            return page.unread if page is not None and page.rare else None
        case _:
            return None


def _jpeg(data: bytes) -> str | None:
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _JPEG_LS:
            return f"a JPEG-LS file {_INSTEAD}"
        if marker in _START_OF_FRAME:
            bits = data[at + 4]
            if marker in _FRAMES:
                return f"a {_FRAMES[marker]} JPEG {_INSTEAD}"
            return None if bits == 8 else f"a JPEG of {bits}-bit samples {_INSTEAD}"
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _bmp(data: bytes) -> str | None:
    compression = int.from_bytes(data[30:34], "little") if int.from_bytes(data[14:18], "little") >= 40 else 0
    return None if compression in _BMP_PLAIN else f"a BMP of compression {compression} {_INSTEAD}"
