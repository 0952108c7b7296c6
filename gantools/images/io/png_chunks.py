"""A PNG's chunks: those that decoders need, and those that say something beside the samples, taken out unread.

Decoders refuse a whole image for a text that they find too long, or for a checksum of a chunk that nobody needs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

COLOUR = ("cICP", "gAMA", "cHRM", "sRGB", "mDCV", "cLLI", "mDCv", "cLLi")
"""Chunks that say what the samples mean on a screen, without a profile."""

TEXT = ("tEXt", "zTXt", "iTXt")
_TAKEN = frozenset({*COLOUR, *TEXT, "iCCP", "eXIf"})
_NEEDED, _SAMPLES = b"tRNS", b"IDAT"
_SIGNATURE_BYTES = 8
_MOST_BYTES = 1 << 24
"""What a chunk may unpack to: no profile and no text that people write comes near."""

_IMAGEMAGICK = "Raw profile type "
_XMP = "XML:com.adobe.xmp"

Chunk = tuple[str, bytes]


def parted(data: bytes) -> tuple[bytes, list[Chunk], list[str]]:
    """A PNG without what is taken out of it, what was taken out, and the names of damaged chunks that nobody needs."""
    taken: list[Chunk] = []
    damaged: list[str] = []
    kept: list[slice] = []
    end = _SIGNATURE_BYTES
    for at, kind, stop in _chunks(data):
        name = kind.decode("latin-1")
        ancillary = bool(kind[0] & 0x20) and kind != _NEEDED
        sound = not ancillary or zlib.crc32(memoryview(data)[at + 4 : stop - 4]) == _number(data, stop - 4)
        found = (name, data[at + 8 : stop - 4]) if name in _TAKEN else None
        if not sound or (found and _unpacked(found) is None):
            damaged.append(name)
        elif found:
            taken.append(found)
        if sound and name not in _TAKEN:
            kept.append(slice(at, stop))
        end = stop
    if not taken and not damaged:
        return data, taken, damaged
    parts = [slice(0, _SIGNATURE_BYTES), *kept, slice(end, len(data))]
    return b"".join(memoryview(data)[part] for part in parts), taken, damaged


def require_sound(data: bytes) -> None:
    """Raise ValueError where the checksum of compressed samples is wrong: not every decoder looks at it."""
    for at, kind, stop in _chunks(data):
        if kind == _SAMPLES and zlib.crc32(memoryview(data)[at + 4 : stop - 4]) != _number(data, stop - 4):
            raise ValueError("bad checksum in b'IDAT'")


def has_end(data: bytes) -> bool:
    """Whether every chunk up to the end chunk lies within the file."""
    return any(kind == b"IEND" for _, kind, _ in _chunks(data))


def _unpacked(found: Chunk) -> bytes | None:
    """What a chunk that was taken out holds; None where it cannot be unpacked."""
    if found[0] == "iCCP":
        return profile(found[1])
    return text(found) if found[0] in TEXT else found[1]


def chunk(kind: str, content: bytes) -> bytes:
    """Frame one chunk: length, kind, content, checksum."""
    framed = kind.encode() + content
    return struct.pack(">I", len(content)) + framed + struct.pack(">I", zlib.crc32(framed))


def _chunks(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Start, kind and end of every chunk that lies within the file, up to its end chunk."""
    at = _SIGNATURE_BYTES
    while at + 12 <= len(data):
        kind, stop = data[at + 4 : at + 8], at + 12 + _number(data, at)
        if stop > len(data):
            return
        yield at, kind, stop
        if kind == b"IEND":
            return
        at = stop


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def profile(content: bytes) -> bytes | None:
    """The colour profile of an iCCP chunk; None where it cannot be unpacked."""
    return _inflated(content.partition(b"\0")[2][1:])


def keyword(chunk: Chunk) -> str:
    """What a text chunk is called."""
    return chunk[1].partition(b"\0")[0].decode("latin-1")


def text(chunk: Chunk) -> bytes | None:
    """What a text chunk holds, unpacked; None where it cannot be."""
    kind, content = chunk
    rest = content.partition(b"\0")[2]
    if kind == "tEXt":
        return rest
    if kind == "zTXt":
        return _inflated(rest[1:])
    packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(rest) if packed else rest


def xmp(chunk: Chunk) -> bytes | None:
    """The XMP packet that a text chunk holds, if it is one."""
    return text(chunk) if keyword(chunk) == _XMP else None


def raw_profile(chunk: Chunk) -> tuple[str, bytes] | None:
    """Name and content of what ImageMagick keeps in hexadecimal digits in a text chunk, if it is that."""
    name = keyword(chunk)
    content = text(chunk) if name.startswith(_IMAGEMAGICK) else None
    if content is None:
        return None
    try:
        digits = b"".join(content.split(b"\n", 3)[3].split())
        return name.removeprefix(_IMAGEMAGICK), bytes.fromhex(digits.decode("ascii"))
    except (IndexError, ValueError):
        return None


def in_text(name: str, content: bytes) -> Chunk:
    """The text chunk that holds ``content``: marked as UTF-8 where it is that and more than ASCII, else Latin-1."""
    try:
        marked = not content.isascii() and bool(content.decode())
    except UnicodeDecodeError:
        marked = False
    content = content.rstrip(b"\0").replace(b"\0", b" ")
    return ("iTXt", name.encode() + bytes(5) + content) if marked else ("tEXt", name.encode() + b"\0" + content)


def in_raw_profile(name: str, content: bytes) -> Chunk:
    """The text chunk in which ImageMagick, and what reads its files, keeps ``content``."""
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    body = f"\n{name}\n{len(content):8d}\n{lines}\n".encode()
    return "zTXt", f"{_IMAGEMAGICK}{name}".encode() + b"\0\0" + zlib.compress(body)


def _inflated(content: bytes) -> bytes | None:
    """Deflated content; None where it is damaged or unreasonably large."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(content, _MOST_BYTES)
    except zlib.error:
        return None
    return found if unpacker.eof else None
