"""Sample sheets as data URIs, few and small enough for one page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer

MOST_SHEETS = 12
STRIP_BYTES, FINAL_BYTES = 2_000_000, 1_800_000
"""What all sheets of the strip, and the last one at its full size, may take of a page."""

_QUALITIES = (90, 80, 65, 45)
_STRIP_WIDTH_PX = 900

T = TypeVar("T")


@dataclass(frozen=True)
class Sheet:
    """One sample sheet: the step it was made at, its picture as a data URI, and its size there."""

    step: int
    uri: str
    width: int
    height: int


def strip(samples: Sequence[Path]) -> list[Sheet]:
    """A few sheets from the first to the last, at most ``_STRIP_WIDTH_PX`` wide."""
    chosen = spread(list(samples), MOST_SHEETS)
    budget = STRIP_BYTES // max(1, len(chosen))
    return [_sheet(path, _narrowed(reader.read_rgb8(path)), budget) for path in chosen]


def final(samples: Sequence[Path]) -> Sheet | None:
    """The last sheet at its full size."""
    return _sheet(samples[-1], reader.read_rgb8(samples[-1]), FINAL_BYTES) if samples else None


def spread(items: list[T], most: int) -> list[T]:
    """At most ``most`` of the items, evenly, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def _narrowed(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if width <= _STRIP_WIDTH_PX:
        return pixels
    size = (_STRIP_WIDTH_PX, max(1, round(height * _STRIP_WIDTH_PX / width)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _sheet(path: Path, pixels: Pixels, budget_bytes: int) -> Sheet:
    """The picture in the best quality that fits; halved until one does."""
    for quality in _QUALITIES:
        content = writer.encode(Image(pixels), "webp", quality=quality)
        if len(content) <= budget_bytes:
            uri = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
            return Sheet(int(path.stem), uri, pixels.shape[1], pixels.shape[0])
    half = (max(1, pixels.shape[1] // 2), max(1, pixels.shape[0] // 2))
    return _sheet(path, np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8), budget_bytes)
