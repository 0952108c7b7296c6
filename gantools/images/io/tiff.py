"""TIFF directories, of which TIFF files and EXIF blocks are made, and samples that are stored plane by plane.

Directories are read and written without touching the values they hold. Pillow and OpenCV misread some planar files.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from gantools.images.image import Pixels

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE = 1, 2, 3, 4, 5, 7, 12
_LONG8, _IFD8 = 16, 18
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Type of an entry → bytes of one value; 129 is EXIF 3.0's UTF-8."""

_CODE = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "2I", DOUBLE: "d", 13: "I", _LONG8: "Q", _IFD8: "Q"}
_MOST_PAGES = 10_000
_SHORT_BYTES = 256

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
SAMPLES, ROWS_PER_STRIP, PLANAR, SAMPLE_FORMAT, EXTRA_SAMPLES = 277, 278, 284, 339, 338
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
PREMULTIPLIED = 1

Order: TypeAlias = Literal["<", ">"]


@dataclass(frozen=True)
class Entry:
    """One entry of a directory: ``content`` is in the byte order of its file, ``at`` is the entry's offset there."""

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
    """The entries at ``offset`` whose values lie within ``data``, and the offset of the next directory (0: none).

    Values beyond ``most_bytes`` in total (None: no limit) are skipped: the entries of a forged file may all point to
    the same bytes. Raises ValueError and struct.error when the table itself does not lie within ``data``.
    """
    count_code, place_code, size, inline = ("Q", "Q", 20, 8) if header.big else ("H", "I", 12, 4)
    (count,) = struct.unpack_from(header.order + count_code, data, offset)
    start = offset + struct.calcsize("<" + count_code)
    end = start + size * count
    if end > len(data):
        raise ValueError("a directory is longer than the file")
    found: Directory = {}
    left = len(data) if most_bytes is None else most_bytes
    for at in range(start, end, size):
        tag, kind, number = struct.unpack_from(header.order + "HH" + place_code, data, at)
        length = _SIZE.get(kind, 0) * number
        value = at + size - inline
        if length > inline:
            (value,) = struct.unpack_from(header.order + place_code, data, value)
        if 0 < length <= left and value + length <= len(data):
            left -= length
            found[tag] = Entry(kind, number, bytes(data[value : value + length]), at)
    following = struct.unpack_from(header.order + place_code, data, end)[0] if end + inline <= len(data) else 0
    return found, following


def numbers(directory: Mapping[int, Entry], tag: int, order: Order, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The integers that a tag holds; ``default`` where there is none, or no integers."""
    entry = directory.get(tag)
    if entry is None or entry.kind not in (BYTE, SHORT, LONG, 13, _LONG8, _IFD8):
        return default
    return struct.unpack(f"{order}{entry.count}{_CODE[entry.kind]}", entry.content)


def entry(kind: int, order: Order, *values: float) -> Entry:
    """An entry that holds ``values``; for RATIONAL each two of them are one."""
    per_value = 2 if kind == RATIONAL else 1
    content = struct.pack(order + _CODE[kind][-1] * len(values), *values)
    return Entry(kind, len(values) // per_value, content)


def file_header(order: Order) -> bytes:
    """The first 8 bytes of a TIFF whose directory follows."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)


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


_FILL_ORDER, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 266, 317, 322, 323
_PLACES = ((273, 279), (324, 325))
"""Tags of the offsets and lengths of strips, and of tiles."""

_SHARED_LONG = (WIDTH, HEIGHT, ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH)
_SHARED_SHORT = (COMPRESSION, _FILL_ORDER, _PREDICTOR)
"""Tags that a plane shares with the whole: numbers, and choices of which 1 is the usual one."""

_SEPARATE, _UNSIGNED, _UNDEFINED = 2, 1, 4
_FORMATS = {1: "", 2: " signed", 3: " float", 5: " complex", 6: " complex"}
_COMMON_COMPRESSION = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})


@dataclass(frozen=True)
class Page:
    """The page of a TIFF that is read, and whether there are other whole ones."""

    header: Header
    directory: Directory
    offset: int
    several: bool

    def numbers(self, tag: int, *default: int) -> tuple[int, ...]:
        """The integers that a tag holds, else ``default``."""
        return numbers(self.directory, tag, self.header.order, default)

    def number(self, tag: int, default: int) -> int:
        """The first integer that a tag holds, else ``default``."""
        return (*self.numbers(tag), default)[0]

    @property
    def channels(self) -> int:
        return self.number(SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Bits of each sample; 0 where they differ."""
        found = set(self.numbers(BITS, 1))
        return found.pop() if len(found) == 1 else 0

    @property
    def photometric(self) -> int:
        return self.number(PHOTOMETRIC, BLACK_IS_ZERO)

    @property
    def planar(self) -> bool:
        """Whether it is decoded plane by plane: separate samples of 16 bits, gray and alpha, or premultiplied.

        Pillow and OpenCV silently return wrong pixels for these, or refuse them.
        """
        separate = self.number(PLANAR, 1) == _SEPARATE and self.channels > 1
        return separate and (self.bits == 16 or (self.bits == 8 and (self.channels == 2 or self.premultiplied)))

    @property
    def premultiplied(self) -> bool:
        """Whether its colours are already multiplied by its alpha."""
        return PREMULTIPLIED in self.numbers(EXTRA_SAMPLES)

    @property
    def refusal(self) -> str | None:
        """Why it is not read, for samples that decoders refuse or misread; None where nothing is known."""
        if self.header.big and self.header.order == ">":
            return "a big-endian BigTIFF is not read; store it little-endian, or as a classic TIFF"
        formats, bits = set(self.numbers(SAMPLE_FORMAT, _UNSIGNED)), self.bits
        if formats - {_UNSIGNED, _UNDEFINED} or bits >= 32:
            return f"32-bit, signed and float samples are not read ({self.samples}); store it with 8 or 16 bits"
        known = self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK)
        if bits not in (1, 2, 4, 8, 16) or (self.planar and (self.channels > 4 or not known)):
            return self.unread
        return None

    @property
    def rare(self) -> bool:
        """Whether not every decoder reads its kind, so that a failure need not be damage."""
        usual = self.bits in (8, 16) and self.channels in (1, 3, 4) and self.photometric in (BLACK_IS_ZERO, RGB)
        sized = self.number(WIDTH, 0) > 0 and self.number(HEIGHT, 0) > 0
        return sized and not (usual and self.number(COMPRESSION, 1) in _COMMON_COMPRESSION)

    @property
    def unread(self) -> str:
        """The message for an intact file of a kind that is not read."""
        compression = self.number(COMPRESSION, 1)
        how = "" if compression in _COMMON_COMPRESSION else f", compression {compression}"
        return f"a TIFF of {self.samples}{how} is not read; store it as gray or RGB with 8 or 16 bits"

    @property
    def samples(self) -> str:
        """Its samples in words."""
        name = _FORMATS.get(self.number(SAMPLE_FORMAT, _UNSIGNED), "")
        bits = "/".join(str(each) for each in sorted(set(self.numbers(BITS, 1))))
        return f"{self.channels} {'channel' if self.channels == 1 else 'channels'} of {bits}-bit{name} samples"


def page_of(data: bytes) -> Page | None:
    """The first page in full resolution, no thumbnail, other smaller version or mask. None for a damaged file."""
    try:
        header = header_of(data)
        pages = _pages(data, header)
        whole = [
            place
            for place, directory in pages
            if not numbers(directory, 254, header.order, (0,))[0] & 5
            and numbers(directory, 255, header.order, (0,))[0] != 2
        ]
        places = whole or [place for place, _ in pages]
        return Page(header, directory_at(data, header, places[0])[0], places[0], len(places) > 1)
    except (ValueError, IndexError, struct.error):
        return None


def _pages(data: bytes, header: Header) -> list[tuple[int, Directory]]:
    """Offset and short entries of every directory in order. Raises ValueError and struct.error for the first one."""
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


def starting_with(data: bytes, page: Page) -> bytes:
    """The file with this page as its first, for decoders that read only that."""
    header = page.header
    if page.offset == header.first:
        return data
    at, code = (8, "Q") if header.big else (4, "I")
    place = struct.pack(header.order + code, page.offset)
    return data[:at] + place + data[at + len(place) :]


def planes(data: bytes, page: Page) -> Pixels:
    """Decode each plane by itself. Shapes: [H, W, channels], as stored. Raises ValueError for a damaged file."""
    parts = page.numbers(_PLACES[0][0]) or page.numbers(_PLACES[1][0])
    if not parts or len(parts) % page.channels:
        raise ValueError("its planes are not complete")
    shape, dtype = (page.number(HEIGHT, 0), page.number(WIDTH, 0)), np.dtype(f"uint{page.bits}")
    stacked: Pixels | None = None
    for number, content in enumerate(_plane_files(data, page)):
        # OpenCV fails at some tiles of 8 bits and some compressions, Pillow does not.
        plane = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if page.bits == 16 else None
        if plane is None:
            with TiffImageFile(io.BytesIO(content)) as image:
                plane = np.array(image).astype(dtype, copy=False)
        if plane.shape != shape or plane.dtype != dtype:
            raise ValueError("a plane cannot be decoded")
        stacked = np.empty((*shape, page.channels), dtype) if stacked is None else stacked
        stacked[..., number] = plane
    if stacked is None:
        raise ValueError("it has no planes")
    return stacked


def _plane_files(data: bytes, page: Page) -> Iterator[bytes]:
    """Each plane as a gray TIFF of its own."""
    order = page.header.order
    places, lengths = next(pair for pair in _PLACES if pair[0] in page.directory)
    starts, sizes = page.numbers(places), page.numbers(lengths)
    if len(starts) != len(sizes) or any(start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        raise ValueError("samples lie beyond its end")
    shared = {tag: entry(LONG, order, page.number(tag, 0)) for tag in _SHARED_LONG if tag in page.directory}
    shared |= {tag: entry(SHORT, order, page.number(tag, 1)) for tag in _SHARED_SHORT if page.number(tag, 1) > 1}
    gray = {BITS: page.bits, PHOTOMETRIC: BLACK_IS_ZERO, SAMPLES: 1, PLANAR: 1}
    shared |= {tag: entry(SHORT, order, value) for tag, value in gray.items()}
    count = len(starts) // page.channels
    for first in range(0, len(starts), count):
        mine = slice(first, first + count)
        own = np.cumsum([0, *sizes[mine]])[:-1].tolist()
        tags = shared | {lengths: entry(LONG, order, *sizes[mine]), places: entry(LONG, order, *own)}
        start = 8 + len(written(tags, order, 8))
        tags[places] = entry(LONG, order, *(start + each for each in own))
        samples = (data[at : at + size] for at, size in zip(starts[mine], sizes[mine], strict=True))
        yield file_header(order) + written(tags, order, 8) + b"".join(samples)
