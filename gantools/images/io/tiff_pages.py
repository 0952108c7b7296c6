"""What a TIFF's directory says of its samples, and samples that lie plane by plane, which Pillow and OpenCV mix up."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from gantools.images.image import Pixels
from gantools.images.io import exif, ifd
from gantools.images.io.ifd import Directory, Header, Order

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, ROWS_PER_STRIP, PLANAR, SAMPLE_FORMAT = 277, 278, 284, 339
_SUBFILE, _OLD_SUBFILE, _FILL_ORDER, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 254, 255, 266, 317, 322, 323
_PLACES = ((273, 279), (324, 325))
"""Tags of the offsets and lengths of strips, and of tiles."""

_LONG, _SHORT = (WIDTH, HEIGHT, ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH), (COMPRESSION, _FILL_ORDER, _PREDICTOR)
"""Tags that a plane shares with the whole: numbers, and choices of which 1 is the usual one."""

_REDUCED, _OLD_REDUCED = 1, 2
_EXTRA_SAMPLES, _PREMULTIPLIED = 338, 1
_SEPARATE = 2
_UNSIGNED, _UNDEFINED = 1, 4
_FORMATS = {1: "", 2: " signed", 3: " float", 5: " complex", 6: " complex"}
_BLACK_IS_ZERO = 1
_CMYK = 5
_PLANAR_COLOURS = frozenset({0, _BLACK_IS_ZERO, 2, _CMYK})
_COMMON_COMPRESSION = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})


@dataclass(frozen=True)
class Page:
    """The page of a TIFF that is read, and whether there are other whole ones."""

    header: Header
    directory: Directory
    offset: int
    several: bool

    def numbers(self, tag: int, *default: int) -> tuple[int, ...]:
        """The whole numbers that a tag holds, else ``default``."""
        return ifd.numbers(self.directory, tag, self.header.order, default)

    def number(self, tag: int, default: int) -> int:
        """The first number that a tag holds, else ``default``."""
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
        return self.number(PHOTOMETRIC, _BLACK_IS_ZERO)

    @property
    def planar(self) -> bool:
        """Whether it is decoded plane by plane: samples lie so, of 16 bits, gray and alpha, or premultiplied.

        Of these Pillow and OpenCV make other pictures in silence, or refuse them.
        """
        separate = self.number(PLANAR, 1) == _SEPARATE and self.channels > 1
        return separate and (self.bits == 16 or (self.bits == 8 and (self.channels == 2 or self.premultiplied)))

    @property
    def premultiplied(self) -> bool:
        """Whether its colours are already multiplied by its alpha."""
        return _PREMULTIPLIED in self.numbers(_EXTRA_SAMPLES)

    @property
    def refusal(self) -> str | None:
        """What is not read of it, for samples that decoders refuse or take for others; None where nothing is known."""
        if self.header.big and self.header.order == ">":
            return "a big-endian BigTIFF is not read; store it little-endian, or as a classic TIFF"
        formats, bits = set(self.numbers(SAMPLE_FORMAT, _UNSIGNED)), self.bits
        if formats - {_UNSIGNED, _UNDEFINED} or bits >= 32:
            return f"32-bit, signed and float samples are not read ({self.samples}); store it with 8 or 16 bits"
        mixed = self.planar and (self.channels > 4 or self.photometric not in _PLANAR_COLOURS)
        if bits not in (1, 2, 4, 8, 16) or mixed:
            return self.unread
        return None

    @property
    def rare(self) -> bool:
        """Whether it is of a kind that not every decoder reads, so that a failure need not be damage."""
        usual = self.bits in (8, 16) and self.channels in (1, 3, 4) and self.photometric in (_BLACK_IS_ZERO, 2)
        sized = self.number(WIDTH, 0) > 0 and self.number(HEIGHT, 0) > 0
        return sized and not (usual and self.number(COMPRESSION, 1) in _COMMON_COMPRESSION)

    @property
    def unread(self) -> str:
        """The refusal of a file that is whole but of a kind that is not read."""
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
    """The first page in full resolution; thumbnails and other reduced ones do not count. None for a damaged file."""
    try:
        header = ifd.header_of(data)
        pages = ifd.pages_of(data, header)
        whole = [place for place, directory in pages if not _reduced(directory, header.order)]
        places = whole or [place for place, _ in pages]
        return Page(header, ifd.directory_at(data, header, places[0])[0], places[0], len(places) > 1)
    except (ValueError, IndexError, struct.error):
        return None


def _reduced(directory: Directory, order: Order) -> bool:
    """Whether a page states that it is a smaller version of another, or its mask."""
    kind = ifd.numbers(directory, _SUBFILE, order, (0,))[0]
    old = ifd.numbers(directory, _OLD_SUBFILE, order, (0,))[0]
    return bool(kind & (_REDUCED | 4)) or old == _OLD_REDUCED


def starting_with(data: bytes, page: Page) -> bytes:
    """The file with this page as its first, for decoders that know no other; itself where it is."""
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
    stacked: Pixels | None = None
    for number, content in enumerate(_files(data, page)):
        plane = _decoded(content, page.bits)
        shape, dtype = (page.number(HEIGHT, 0), page.number(WIDTH, 0)), np.dtype(f"uint{page.bits}")
        if plane is None or plane.shape != shape or plane.dtype != dtype:
            raise ValueError("a plane cannot be decoded")
        stacked = np.empty((*shape, page.channels), dtype) if stacked is None else stacked
        stacked[..., number] = plane
    if stacked is None:
        raise ValueError("it has no planes")
    return stacked


def _decoded(content: bytes, bits: int) -> Pixels | None:
    """The one plane of a file. OpenCV fails at some tiles of 8 bits and some compressions, Pillow does not."""
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if bits == 16 else None
    if decoded is not None:
        return decoded
    with TiffImageFile(io.BytesIO(content)) as image:
        return np.array(image).astype(f"uint{bits}", copy=False)


def _files(data: bytes, page: Page) -> Iterator[bytes]:
    """Each plane as a gray TIFF of its own."""
    order = page.header.order
    places, lengths = next(pair for pair in _PLACES if pair[0] in page.directory)
    starts, sizes = page.numbers(places), page.numbers(lengths)
    if len(starts) != len(sizes) or any(start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        raise ValueError("samples lie beyond its end")
    shared = {tag: ifd.entry(ifd.LONG, order, page.number(tag, 0)) for tag in _LONG if tag in page.directory}
    shared |= {tag: ifd.entry(ifd.SHORT, order, page.number(tag, 1)) for tag in _SHORT if page.number(tag, 1) > 1}
    gray = {BITS: page.bits, PHOTOMETRIC: _BLACK_IS_ZERO, SAMPLES: 1, PLANAR: 1}
    shared |= {tag: ifd.entry(ifd.SHORT, order, value) for tag, value in gray.items()}
    count = len(starts) // page.channels
    for first in range(0, len(starts), count):
        mine = slice(first, first + count)
        own = np.cumsum([0, *sizes[mine]])[:-1].tolist()
        tags = shared | {lengths: ifd.entry(ifd.LONG, order, *sizes[mine]), places: ifd.entry(ifd.LONG, order, *own)}
        start = 8 + len(ifd.written(tags, order, 8))
        tags[places] = ifd.entry(ifd.LONG, order, *(start + each for each in own))
        samples = (data[at : at + size] for at, size in zip(starts[mine], sizes[mine], strict=True))
        yield exif.tiff_header(order) + ifd.written(tags, order, 8) + b"".join(samples)
