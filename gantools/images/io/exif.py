"""EXIF blocks, kept byte by byte: only orientation, size and thumbnail are touched, and those where they lie.

Nothing is decoded and encoded anew: texts of any encoding, tags that nobody knows and what a maker's note points to by
offset stay as they are. A block is ``Exif\\0\\0`` and a TIFF without samples.
"""

from __future__ import annotations

import struct

from gantools.images.io import ifd
from gantools.images.io.ifd import Directory, Order, Tree

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_INCH, _CENTIMETRE = 2, 3
_SIDES = (0xA002, 0xA003)
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
_LAYOUT = frozenset({0x0100, 0x0101, 0x0111, 0x0117, _THUMBNAIL, _THUMBNAIL_BYTES})
_DESCRIPTIVE = frozenset({
    0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298,
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, _EXIF, _GPS,
})  # fmt: skip
"""Tags of a TIFF's directory that describe the picture and not how its samples lie in the file."""


def is_block(content: bytes) -> bool:
    """Whether content begins as a block does."""
    return content.removeprefix(PREFIX)[:4] in (b"II*\0", b"MM\0*")


def orientation_of(block: bytes) -> int | None:
    """The orientation that a block states; None where it states none or cannot be parsed."""
    content = block.removeprefix(PREFIX)
    try:
        header = ifd.header_of(content)
        found = ifd.numbers(ifd.directory_at(content, header, header.first)[0], ORIENTATION, header.order)
    except (ValueError, struct.error):
        return None
    return found[0] if found else None


def dpi_of(block: bytes) -> tuple[float, float] | None:
    """The pixels per inch that a block states; None where it states none or cannot be parsed."""
    content = block.removeprefix(PREFIX)
    try:
        header = ifd.header_of(content)
        directory, _ = ifd.directory_at(content, header, header.first)
        unit = ifd.numbers(directory, 0x0128, header.order, (_INCH,))[0]
        across, down = (struct.unpack(header.order + "2I", directory[tag].content) for tag in (0x011A, 0x011B))
        factor = 2.54 if unit == _CENTIMETRE else 1.0
        return across[0] / across[1] * factor, down[0] / down[1] * factor
    except (ValueError, KeyError, IndexError, ZeroDivisionError, struct.error):
        return None


def cleaned(block: bytes) -> bytes | None:
    """The block upright, without thumbnail and without what describes a file's layout; None where nothing is left.

    Raises ValueError and struct.error for what cannot be parsed.
    """
    content = bytearray(block.removeprefix(PREFIX))
    header = ifd.header_of(content)
    directory, following = ifd.directory_at(content, header, header.first)
    if not set(directory) - _LAYOUT - {ORIENTATION}:
        return None
    if following:
        _drop_thumbnail(content, header, following)
    _set(content, directory, ORIENTATION, 1, header.order)
    _keep_entries(content, header)
    return PREFIX + bytes(content)


def _drop_thumbnail(content: bytearray, header: ifd.Header, offset: int) -> None:
    """Overwrite the second directory and the thumbnail that it points to, or cut them off where they are the end."""
    try:
        directory, _ = ifd.directory_at(content, header, offset)
    except (ValueError, struct.error):
        return
    spans = [(offset, offset + 2 + 12 * struct.unpack_from(header.order + "H", content, offset)[0] + 4)]
    for tag, size in ((_THUMBNAIL, _THUMBNAIL_BYTES), (0x0111, 0x0117)):
        starts, sizes = (ifd.numbers(directory, each, header.order) for each in (tag, size))
        spans += [(start, start + length) for start, length in zip(starts, sizes, strict=False)]
    first_end = header.first + 2 + 12 * struct.unpack_from(header.order + "H", content, header.first)[0] + 4
    for start, end in sorted(spans, reverse=True):
        if start < first_end:
            continue  # a directory that points to itself
        if end >= len(content):
            del content[start:]
        else:
            content[start:end] = bytes(end - start)


def _keep_entries(content: bytearray, header: ifd.Header) -> None:
    """Take the tags of a file's layout out of the first directory, and its way to a second one."""
    (count,) = struct.unpack_from(header.order + "H", content, header.first)
    start, end = header.first + 2, header.first + 2 + 12 * count
    entries = [bytes(content[at : at + 12]) for at in range(start, end, 12)]
    kept = [each for each in entries if struct.unpack(header.order + "H", each[:2])[0] not in _LAYOUT]
    struct.pack_into(header.order + "H", content, header.first, len(kept))
    content[start : end + 4] = b"".join(kept).ljust(end + 4 - start, b"\0")


def _set(content: bytearray, directory: Directory, tag: int, value: int, order: Order) -> None:
    """Write a single number over the one that the block states, if it states one."""
    found = directory.get(tag)
    if found is not None:
        kind = ifd.LONG if value > 65535 or found.kind == ifd.LONG else ifd.SHORT
        struct.pack_into(order + "HI4s", content, found.at + 2, kind, 1, ifd.entry(kind, order, value).content)


def fitted(block: bytes, width: int, height: int) -> bytes:
    """Write a picture's size into its block, where the block states one."""
    content = bytearray(block.removeprefix(PREFIX))
    try:
        header = ifd.header_of(content)
        directory, _ = ifd.directory_at(content, header, header.first)
        (place,) = ifd.numbers(directory, _EXIF, header.order)
        inner, _ = ifd.directory_at(content, header, place)
    except (ValueError, struct.error):
        return block
    for tag, side in zip(_SIDES, (width, height), strict=True):
        _set(content, inner, tag, side, header.order)
    return PREFIX + bytes(content)


def of_tiff(data: bytes, header: ifd.Header, directory: Directory) -> bytes | None:
    """The block of what a TIFF's directory says about the picture; None where it says nothing."""
    tree = _described(data, header, directory)
    return block_of({ORIENTATION: ifd.entry(ifd.SHORT, header.order, 1), **tree}, header.order) if tree else None


def block_of(tree: Tree, order: Order) -> bytes:
    """The block that holds these tags."""
    return PREFIX + tiff_header(order) + ifd.written(tree, order, 8)


def tiff_header(order: Order) -> bytes:
    """The first 8 bytes of a TIFF whose directory follows."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)


def as_tree(block: bytes) -> tuple[Tree, Order]:
    """What a block says about the picture, for the directory of a TIFF, and its byte order.

    Raises ValueError and struct.error.
    """
    content = block.removeprefix(PREFIX)
    header = ifd.header_of(content)
    directory, _ = ifd.directory_at(content, header, header.first)
    return _described(content, header, directory), header.order


def _described(data: bytes, header: ifd.Header, directory: Directory) -> Tree:
    tree: Tree = {tag: each for tag, each in directory.items() if tag in _DESCRIPTIVE}
    for tag in (_EXIF, _GPS):
        if tag in tree:
            tree[tag] = _below(data, header, directory, tag)
    return {tag: each for tag, each in tree.items() if each}


def _below(data: bytes, header: ifd.Header, directory: Directory, tag: int) -> Tree:
    """The directory that a tag points to; empty where there is none."""
    try:
        (place,) = ifd.numbers(directory, tag, header.order)
        found, _ = ifd.directory_at(data, header, place)
    except (ValueError, struct.error):
        return {}
    tree: Tree = dict(found)
    if tag == _EXIF and _INTEROPERABILITY in found:
        tree[_INTEROPERABILITY] = _below(data, header, found, _INTEROPERABILITY)
    return {key: each for key, each in tree.items() if each}
