"""EXIF and GeoTIFF blocks: ``Exif\\0\\0`` and a TIFF without samples.

An EXIF block is kept byte by byte; only orientation, size and thumbnail are changed, in place. Texts of any encoding,
unknown tags and what a maker's note points to by offset stay as they are. GeoTIFF places an image on a map.
"""

from __future__ import annotations

import struct

from gantools.images.io import tiff
from gantools.images.io.tiff import HEIGHT, ORIENTATION, WIDTH, Directory, Order, Page, Tree

PREFIX = b"Exif\0\0"
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_INCH, _CENTIMETRE = 2, 3
_SIDES = (0xA002, 0xA003)
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
_LAYOUT = frozenset({0x0100, 0x0101, 0x0111, 0x0117, _THUMBNAIL, _THUMBNAIL_BYTES})
_DESCRIPTIVE = frozenset({
    0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298,
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, _EXIF, _GPS,
})  # fmt: skip
"""Tags of a TIFF's directory that describe the image and not how its samples lie in the file."""


def is_block(content: bytes) -> bool:
    """Whether content begins as a block does."""
    return content.removeprefix(PREFIX)[:4] in (b"II*\0", b"MM\0*")


def opened(block: bytes) -> tuple[bytes, tiff.Header, Directory, int]:
    """Content, header and first directory of a block, and where the next is. Raises ValueError and struct.error."""
    content = block.removeprefix(PREFIX)
    header = tiff.header_of(content)
    return content, header, *tiff.directory_at(content, header, header.first)


def orientation_of(block: bytes) -> int | None:
    """The orientation that a block states; None where it states none or cannot be parsed."""
    try:
        _, header, directory, _ = opened(block)
    except (ValueError, struct.error):
        return None
    return next(iter(tiff.numbers(directory, ORIENTATION, header.order)), None)


def dpi_of(block: bytes) -> tuple[float, float] | None:
    """The pixels per inch that a block states; None where it states none or cannot be parsed."""
    try:
        _, header, directory, _ = opened(block)
        unit = tiff.numbers(directory, 0x0128, header.order, (_INCH,))[0]
        across, down = (struct.unpack(header.order + "2I", directory[tag].content) for tag in (0x011A, 0x011B))
        factor = 2.54 if unit == _CENTIMETRE else 1.0
        return across[0] / across[1] * factor, down[0] / down[1] * factor
    except (ValueError, KeyError, IndexError, ZeroDivisionError, struct.error):
        return None


def cleaned(block: bytes) -> bytes | None:
    """The block upright, without thumbnail and without what describes a file's layout; None where nothing is left.

    Raises ValueError and struct.error for what cannot be parsed.
    """
    given, header, directory, following = opened(block)
    if not set(directory) - _LAYOUT - {ORIENTATION}:
        return None
    content = bytearray(given)
    if following:
        _drop_thumbnail(content, header, following)
    _set(content, directory, ORIENTATION, 1, header.order)
    (count,) = struct.unpack_from(header.order + "H", content, header.first)
    start, end = header.first + 2, header.first + 2 + 12 * count
    entries = [bytes(content[at : at + 12]) for at in range(start, end, 12)]
    kept = [each for each in entries if struct.unpack(header.order + "H", each[:2])[0] not in _LAYOUT]
    struct.pack_into(header.order + "H", content, header.first, len(kept))
    content[start : end + 4] = b"".join(kept).ljust(end + 4 - start, b"\0")  # nor a way to a second directory
    return PREFIX + bytes(content)


def _drop_thumbnail(content: bytearray, header: tiff.Header, offset: int) -> None:
    """Overwrite the second directory and the thumbnail that it points to, or cut them off at the end of the block."""
    try:
        directory, _ = tiff.directory_at(content, header, offset)
    except (ValueError, struct.error):
        return

    def end_of(place: int) -> int:
        return int(place + 2 + 12 * struct.unpack_from(header.order + "H", content, place)[0] + 4)

    spans = [(offset, end_of(offset))]
    for tag, size in ((_THUMBNAIL, _THUMBNAIL_BYTES), (0x0111, 0x0117)):
        starts, sizes = (tiff.numbers(directory, each, header.order) for each in (tag, size))
        spans += [(start, start + length) for start, length in zip(starts, sizes, strict=False)]
    first_end = end_of(header.first)
    for start, end in sorted(spans, reverse=True):
        if start < first_end:
            continue  # a directory that points to itself
        if end >= len(content):
            del content[start:]
        else:
            content[start:end] = bytes(end - start)


def _set(content: bytearray, directory: Directory, tag: int, value: int, order: Order) -> None:
    """Write a single number over the one that the block states, if it states one."""
    found = directory.get(tag)
    if found is not None:
        kind = tiff.LONG if value > 65535 or found.kind == tiff.LONG else tiff.SHORT
        struct.pack_into(order + "HI4s", content, found.at + 2, kind, 1, tiff.entry(kind, order, value).content)


def fitted(block: bytes, width: int, height: int) -> bytes:
    """Write an image's size into its block, where the block states one."""
    try:
        given, header, directory, _ = opened(block)
        (place,) = tiff.numbers(directory, _EXIF, header.order)
        inner, _ = tiff.directory_at(given, header, place)
    except (ValueError, struct.error):
        return block
    content = bytearray(given)
    for tag, side in zip(_SIDES, (width, height), strict=True):
        _set(content, inner, tag, side, header.order)
    return PREFIX + bytes(content)


def of_tiff(data: bytes, header: tiff.Header, directory: Directory) -> bytes | None:
    """The block of what a TIFF's directory says about the image; None where it says nothing."""
    tree = _described(data, header, directory)
    return block_of({ORIENTATION: tiff.entry(tiff.SHORT, header.order, 1), **tree}, header.order) if tree else None


def block_of(tree: Tree, order: Order) -> bytes:
    """The block that holds these tags."""
    return PREFIX + tiff.file_header(order) + tiff.written(tree, order, 8)


def as_tree(block: bytes) -> tuple[Tree, Order]:
    """What a block says about the image, for the directory of a TIFF, and its byte order.

    Raises ValueError and struct.error.
    """
    content, header, directory, _ = opened(block)
    return _described(content, header, directory), header.order


def _described(data: bytes, header: tiff.Header, directory: Directory) -> Tree:
    tree: Tree = {tag: each for tag, each in directory.items() if tag in _DESCRIPTIVE}
    for tag in (_EXIF, _GPS):
        if tag in tree:
            tree[tag] = _below(data, header, directory, tag)
    return {tag: each for tag, each in tree.items() if each}


def _below(data: bytes, header: tiff.Header, directory: Directory, tag: int) -> Tree:
    """The directory that a tag points to; empty where there is none."""
    try:
        (place,) = tiff.numbers(directory, tag, header.order)
        found, _ = tiff.directory_at(data, header, place)
    except (ValueError, struct.error):
        return {}
    tree: Tree = dict(found)
    if tag == _EXIF and _INTEROPERABILITY in found:
        tree[_INTEROPERABILITY] = _below(data, header, found, _INTEROPERABILITY)
    return {key: each for key, each in tree.items() if each}


_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _KEYS = 33550, 33922, 34264, 34735
_GEO_TAGS = (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _KEYS, 34736, 34737, 42112, 42113)
_RASTER_TYPE, _RASTER_IS_POINT = 1025, 2


def geo_block_of(page: Page) -> bytes | None:
    """The GeoTIFF tags of a page with its size, as a block; None without them or where the page is to be turned."""
    found = {tag: page.directory[tag] for tag in _GEO_TAGS if tag in page.directory}
    if not found or page.number(ORIENTATION, 1) != 1:
        return None
    size = {tag: page.directory[tag] for tag in (WIDTH, HEIGHT)}
    return block_of({**found, **size}, page.header.order)


def geo_fitted(block: bytes, width: int, height: int) -> tuple[Directory, Order]:
    """The GeoTIFF tags for an image of another size, and their byte order."""
    _, header, tags, _ = opened(block)
    order = header.order
    across, down = (side / tiff.numbers(tags, tag, order, (1,))[0] for side, tag in ((width, WIDTH), (height, HEIGHT)))
    keys = tiff.numbers(tags, _KEYS, order)
    is_point = any(keys[at] == _RASTER_TYPE and keys[at + 3] == _RASTER_IS_POINT for at in range(4, len(keys) - 3, 4))
    for tag in (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION):
        if tag in tags and (across, down) != (1.0, 1.0):
            values = list(struct.unpack(f"{order}{tags[tag].count}d", tags[tag].content))
            _enlarge(tag, values, across, down, 0.5 if is_point else 0.0)
            tags[tag] = tiff.entry(tiff.DOUBLE, order, *values)
    return {tag: each for tag, each in tags.items() if tag not in (WIDTH, HEIGHT)}, order


def _enlarge(tag: int, values: list[float], across: float, down: float, half: float) -> None:
    """Fit a tag's values to a raster ``across`` and ``down`` times as large, in place.

    ``half`` is 0.5 where whole numbers are the middles of pixels, 0 where they are corners.
    """
    if tag == _PIXEL_SCALE:
        values[:2] = [value * factor for value, factor in zip(values[:2], (1 / across, 1 / down), strict=False)]
    elif tag == _TIE_POINTS:  # column, row, level, x, y, z
        for at in range(0, len(values) - 5, 6):
            values[at] = (values[at] + half) * across - half
            values[at + 1] = (values[at + 1] + half) * down - half
    else:  # the matrix [4, 4] from (column, row, level, 1) to the map
        for at in range(0, len(values) - 3, 4):
            column, row = values[at : at + 2]
            values[at], values[at + 1] = column / across, row / down
            values[at + 3] += (column * (1 / across - 1) + row * (1 / down - 1)) * half
