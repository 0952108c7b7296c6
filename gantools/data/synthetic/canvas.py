"""A small painter: shapes in unit coordinates, drawn twice as large and averaged down for smooth edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.float32]
Points: TypeAlias = npt.NDArray[np.float64]
Colour: TypeAlias = npt.NDArray[np.float64] | Sequence[float]

OVERSAMPLING = 2
_SUBPIXEL_BITS = 4


class Canvas:
    """A square image in the making. x goes right, y down. Range: places, colours and masks are in [0, 1]."""

    def __init__(self, side_px: int, background: Colour | Field) -> None:
        self.side_px = side_px
        self.fine_px = side_px * OVERSAMPLING
        self.pixels: Field = np.empty((self.fine_px, self.fine_px, 3), np.float32)
        self.pixels[...] = background
        steps = (np.arange(self.fine_px, dtype=np.float32) + 0.5) / self.fine_px
        self.x: Field = np.broadcast_to(steps[None], (self.fine_px, self.fine_px))
        self.y: Field = np.broadcast_to(steps[:, None], (self.fine_px, self.fine_px))

    def shape(self, *polygons: Points) -> Field:
        """Mask of filled polygons."""
        mask = np.zeros((self.fine_px, self.fine_px), np.uint8)
        for points in polygons:
            cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return _share(mask)

    def stroke(self, *lines: Points, width: float, closed: bool = False) -> Field:
        """Mask of lines of the given width."""
        mask = np.zeros((self.fine_px, self.fine_px), np.uint8)
        thickness = max(1, round(width * self.fine_px))
        cv2.polylines(
            mask, [self._fixed(points) for points in lines], closed, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS
        )
        return _share(mask)

    def disc(self, centre: Points, radius: float) -> Field:
        """Mask of a disc with a soft edge of one fine pixel."""
        distance = np.hypot(self.x - np.float32(centre[0]), self.y - np.float32(centre[1]))
        return np.asarray(np.clip((np.float32(radius) - distance) * self.fine_px + 0.5, 0, 1), np.float32)

    def paint(self, mask: Field, colour: Colour | Field, shade: Field | float = 1.0) -> None:
        """Cover what ``mask`` shows with ``colour`` times ``shade``."""
        seen = _bounds(mask)
        paint = np.asarray(colour, np.float32)
        if paint.ndim == 3:
            paint = paint[seen]
        lit = paint * (shade[seen][..., None] if isinstance(shade, np.ndarray) else np.float32(shade))
        part = self.pixels[seen]
        part += mask[seen][..., None] * (lit - part)

    def light(self, mask: Field, amount: float) -> None:
        """Brighten (or, below 0, darken) what ``mask`` shows."""
        seen = _bounds(mask)
        part = self.pixels[seen]
        target = np.float32(1.0 if amount > 0 else 0.0)
        part += mask[seen][..., None] * np.float32(abs(amount)) * (target - part)

    def finish(self) -> npt.NDArray[np.uint8]:
        """The image. Shapes: (side_px, side_px, 3) uint8."""
        small = cv2.resize(self.pixels, (self.side_px, self.side_px), interpolation=cv2.INTER_AREA)
        return np.asarray(np.rint(np.clip(small, 0, 1) * 255), np.uint8)

    def _fixed(self, points: Points) -> npt.NDArray[np.int32]:
        return np.rint((np.asarray(points) * self.fine_px - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _bounds(mask: Field) -> tuple[slice, slice]:
    """The rows and columns where ``mask`` shows anything: most shapes cover a small part of the image."""
    x, y, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _share(mask: npt.NDArray[np.uint8]) -> Field:
    return np.asarray(mask, np.float32) / np.float32(255)


def smooth(points: Points | Sequence[tuple[float, float]], *, closed: bool = True, steps: int = 10) -> Points:
    """A Catmull-Rom curve through ``points``. Shapes: (n, 2) → (about n * steps, 2)."""
    p = np.asarray(points, np.float64)
    padded = np.vstack([p[-1], p, p[:2]]) if closed else np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    cubic = -before + 3 * start - 3 * end + after
    square = 2 * before - 5 * start + 4 * end - after
    curve = 0.5 * (2 * start + (end - before) * t + square * t**2 + cubic * t**3)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.vstack([flat, p[-1]])


def rounded(mask: Field, depth: float) -> Field:
    """Shading that makes a flat shape look round: 0 at its edge, 1 from ``depth`` (unit length) inwards."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    inner = np.clip(distance / max(depth * mask.shape[0], 1.0), 0, 1)
    return np.asarray(np.sqrt(inner * (2 - inner)), np.float32)


def soft(mask: Field, radius: float) -> Field:
    """A blurred copy of a mask."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(radius * mask.shape[0], 0.3)), np.float32)


def noise(rng: np.random.Generator, side_px: int, cells: int) -> Field:
    """Smooth noise around 0 with about ``cells`` bumps along a side."""
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC), np.float32)


def hsv(hue: float, saturation: float, value: float) -> Points:
    """An RGB colour in [0, 1] from hue, saturation and value in [0, 1]."""
    offsets = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return np.asarray(value - value * saturation * np.clip(np.minimum(offsets, 4 - offsets), 0, 1))
