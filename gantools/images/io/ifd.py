"""TIFF directories, of which TIFF files and EXIF blocks are made: read and written without touching what they hold."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE = 1, 2, 3, 4, 5, 7, 12
_LONG8, _IFD8 = 16, 18
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Type of an entry → bytes of one value; 129 is EXIF 3.0's UTF-8."""

_CODE = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "2I", DOUBLE: "d", 13: "I", _LONG8: "Q", _IFD8: "Q"}
_MOST_PAGES = 10_000
_SHORT_BYTES = 256


Order: TypeAlias = Literal["<", ">"]


@dataclass(frozen=True)
class Entry:
    """One entry of a directory: ``content`` is in the byte order of its file, ``at`` is where the entry lies there."""

    kind: int
    count: int
    content: bytes
    at: int = 0


Directory: TypeAlias = dict[int, Entry]
Tree: TypeAlias = "dict[int, Entry | Tree]"
"""A directory in which a tag may hold another directory."""


@dataclass(frozen=True)
class Header:
    """``order`` is ``<`` or ``>``, ``first`` the offset of the first directory, ``big`` says BigTIFF."""

    order: Order
    big: bool
    first: int


def header_of(data: bytes | bytearray) -> Header:
    """Parse the header of a TIFF or of an EXIF block. Raises ValueError and struct.error."""
    if data[:2] not in (b"II", b"MM"):
        raise ValueError("it does not begin as a TIFF")
    order: Order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    return Header(order, big, struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])


def directory_at(
    data: bytes | bytearray, header: Header, offset: int, most_bytes: int | None = None
) -> tuple[Directory, int]:
    """The entries at ``offset`` whose values lie within ``data``, and where the next directory is (0: nowhere).

    Values that together take more than ``most_bytes`` (None: as many as there are) are passed over: entries of a forged
    file may all name the same bytes.
    Raises ValueError and struct.error when the table itself does not lie within ``data``.
    """
    count_code, place_code, size, inline = ("Q", "Q", 20, 8) if header.big else ("H", "I", 12, 4)
    (count,) = struct.unpack_from(header.order + count_code, data, offset)
    start = offset + struct.calcsize("<" + count_code)
    if start + size * count > len(data):
        raise ValueError("a directory is longer than the file")
    found: Directory = {}
    left = len(data) if most_bytes is None else most_bytes
    for at in range(start, start + size * count, size):
        tag, kind, number = struct.unpack_from(header.order + "HH" + place_code, data, at)
        length = _SIZE.get(kind, 0) * number
        value = at + size - inline
        if length > inline:
            (value,) = struct.unpack_from(header.order + place_code, data, value)
        if 0 < length <= left and value + length <= len(data):
            left -= length
            found[tag] = Entry(kind, number, bytes(data[value : value + length]), at)
    end = start + size * count
    following = struct.unpack_from(header.order + place_code, data, end)[0] if end + inline <= len(data) else 0
    return found, following


def pages_of(data: bytes, header: Header) -> list[tuple[int, Directory]]:
    """Every directory of a TIFF in order, with its offset and of its entries the first short ones.

    Raises ValueError and struct.error for the first one.
    """
    found: list[tuple[int, Directory]] = []
    seen, offset = set[int](), header.first
    while offset and offset not in seen and len(found) < _MOST_PAGES:
        seen.add(offset)
        try:
            directory, following = directory_at(data, header, offset, _SHORT_BYTES)
        except (ValueError, struct.error):
            if found:
                break
            raise
        found.append((offset, directory))
        offset = following
    return found


def numbers(directory: Mapping[int, Entry], tag: int, order: Order, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The whole numbers that a tag holds; ``default`` where there is none, or no numbers."""
    entry = directory.get(tag)
    if entry is None or entry.kind not in (BYTE, SHORT, LONG, 13, _LONG8, _IFD8):
        return default
    return struct.unpack(f"{order}{entry.count}{_CODE[entry.kind]}", entry.content)


def entry(kind: int, order: Order, *values: float) -> Entry:
    """An entry that holds ``values``; of RATIONAL each two of them are one."""
    per_value = 2 if kind == RATIONAL else 1
    content = struct.pack(order + _CODE[kind][-1] * len(values), *values)
    return Entry(kind, len(values) // per_value, content)


def written(tree: Mapping[int, Entry | Tree], order: Order, start: int) -> bytes:
    """A directory of classic TIFF that begins at ``start``, then its values, then the directories below it."""
    flat: Directory = {tag: entry(LONG, order, 0) if isinstance(each, dict) else each for tag, each in tree.items()}
    end = start + len(_table(flat, order, start))
    below = b""
    for tag, each in tree.items():
        if isinstance(each, dict):
            flat[tag] = entry(LONG, order, end + len(below))
            below += written(each, order, end + len(below))
    return _table(flat, order, start) + below


def _table(directory: Directory, order: Order, start: int) -> bytes:
    table, values, heap = [], bytearray(), start + 2 + 12 * len(directory) + 4
    for tag, each in sorted(directory.items()):
        content = each.content.ljust(4, b"\0")
        if len(content) > 4:
            values, content = values + content + bytes(len(content) % 2), struct.pack(order + "I", heap + len(values))
        table.append(struct.pack(order + "HHI", tag, each.kind, each.count) + content)
    return struct.pack(order + "H", len(table)) + b"".join(table) + bytes(4) + bytes(values)
