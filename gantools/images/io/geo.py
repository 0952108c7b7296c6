"""GeoTIFF: where an image lies on a map, in tags that only a TIFF has, fitted to another size."""

from __future__ import annotations

import struct
from collections.abc import Callable

from gantools.images.io import exif, ifd
from gantools.images.io.ifd import Directory, Entry, Order
from gantools.images.io.tiff_pages import HEIGHT, WIDTH, Page

_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _KEYS = 33550, 33922, 34264, 34735
_TAGS = (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _KEYS, 34736, 34737, 42112, 42113)
_RASTER_TYPE, _RASTER_IS_POINT = 1025, 2


def block_of(page: Page) -> bytes | None:
    """The tags that place a page on a map, with its size, as a block like EXIF's; None without them or when turned."""
    found = {tag: page.directory[tag] for tag in _TAGS if tag in page.directory}
    if not found or page.number(exif.ORIENTATION, 1) != 1:
        return None
    size = {tag: page.directory[tag] for tag in (WIDTH, HEIGHT)}
    return exif.block_of({**found, **size}, page.header.order)


def fitted(block: bytes, width: int, height: int) -> tuple[Directory, Order]:
    """The tags for an image of another size, and their byte order."""
    content = block.removeprefix(exif.PREFIX)
    header = ifd.header_of(content)
    tags, _ = ifd.directory_at(content, header, header.first)
    order = header.order
    was = tuple(ifd.numbers(tags, tag, order, (1,))[0] for tag in (WIDTH, HEIGHT))
    across, down = width / was[0], height / was[1]
    half = 0.5 if _is_point(tags, order) else 0.0
    change: dict[int, Callable[[list[float]], list[float]]] = {
        _PIXEL_SCALE: lambda values: _scaled(values, (1 / across, 1 / down, 1.0)),
        _TIE_POINTS: lambda values: _moved(values, across, down, half),
        _TRANSFORMATION: lambda values: _transformed(values, across, down, half),
    }
    for tag, how in change.items():
        if tag in tags and (across, down) != (1.0, 1.0):
            values = list(struct.unpack(f"{order}{tags[tag].count}d", tags[tag].content))
            tags[tag] = ifd.entry(ifd.DOUBLE, order, *how(values))
    return {tag: each for tag, each in tags.items() if tag not in (WIDTH, HEIGHT)}, order


def _scaled(values: list[float], factors: tuple[float, ...]) -> list[float]:
    return [value * factor for value, factor in zip(values, factors, strict=False)]


def _moved(values: list[float], across: float, down: float, half: float) -> list[float]:
    """Tie points (column, row, level, x, y, z) with their place in the larger raster."""
    moved = list(values)
    for at in range(0, len(values) - 5, 6):
        moved[at] = (values[at] + half) * across - half
        moved[at + 1] = (values[at + 1] + half) * down - half
    return moved


def _transformed(values: list[float], across: float, down: float, half: float) -> list[float]:
    """The matrix [4, 4] from (column, row, level, 1) to the map, for places in the larger raster."""
    moved = list(values)
    for at in range(0, len(values) - 3, 4):
        column, row = values[at] / across, values[at + 1] / down
        moved[at], moved[at + 1] = column, row
        moved[at + 3] += (values[at] * (1 / across - 1) + values[at + 1] * (1 / down - 1)) * half
    return moved


def _is_point(tags: dict[int, Entry], order: Order) -> bool:
    """Whether whole numbers are the middles of pixels, not their corners."""
    keys = ifd.numbers(tags, _KEYS, order)
    return any(keys[at] == _RASTER_TYPE and keys[at + 3] == _RASTER_IS_POINT for at in range(4, len(keys) - 3, 4))
