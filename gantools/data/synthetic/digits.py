"""Drawn digits in the manner of MNIST: white strokes on black, slanted, shifted, of varying width."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gantools.data.synthetic.canvas import Canvas, Points, smooth

_STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.50, 0.12), (0.28, 0.30), (0.28, 0.70), (0.50, 0.88), (0.72, 0.70), (0.72, 0.30), (0.50, 0.12)]],
    1: [[(0.38, 0.26), (0.52, 0.12), (0.52, 0.50), (0.52, 0.88)]],
    2: [
        [(0.28, 0.30), (0.42, 0.13), (0.66, 0.20), (0.66, 0.42), (0.46, 0.64), (0.27, 0.86)],
        [(0.27, 0.86), (0.74, 0.86)],
    ],
    3: [[(0.30, 0.18), (0.58, 0.14), (0.68, 0.32), (0.48, 0.48), (0.70, 0.64), (0.60, 0.86), (0.28, 0.82)]],
    4: [[(0.56, 0.12), (0.26, 0.58), (0.76, 0.58)], [(0.62, 0.36), (0.60, 0.88)]],
    5: [
        [(0.70, 0.14), (0.36, 0.14)],
        [(0.36, 0.14), (0.32, 0.46), (0.58, 0.44), (0.71, 0.64), (0.56, 0.86), (0.28, 0.82)],
    ],
    6: [[(0.64, 0.14), (0.40, 0.34), (0.30, 0.66), (0.48, 0.88), (0.70, 0.72), (0.58, 0.54), (0.34, 0.62)]],
    7: [[(0.26, 0.15), (0.74, 0.15)], [(0.74, 0.15), (0.54, 0.50), (0.44, 0.88)]],
    8: [
        [(0.50, 0.48), (0.30, 0.32), (0.48, 0.12), (0.68, 0.28), (0.50, 0.48)],
        [(0.50, 0.48), (0.28, 0.70), (0.50, 0.88), (0.72, 0.70), (0.50, 0.48)],
    ],
    9: [[(0.68, 0.32), (0.48, 0.46), (0.32, 0.30), (0.48, 0.12), (0.68, 0.28), (0.66, 0.60), (0.54, 0.88)]],
}
STRAIGHT = {4: (0,), 5: (0,), 7: (0, 1), 2: (1,)}
"""Strokes that are not rounded."""


def draw(rng: np.random.Generator, side_px: int, digit: int) -> npt.NDArray[np.uint8]:
    """One digit. Shapes: (side_px, side_px, 3) uint8, gray."""
    canvas = Canvas(side_px, (0.0, 0.0, 0.0))
    width = float(rng.uniform(0.05, 0.12))
    slant, stretch = float(rng.uniform(-0.25, 0.35)), rng.uniform(0.8, 1.05, 2)
    turn, shift = float(rng.normal(0, 0.08)), rng.uniform(-0.05, 0.05, 2)
    lines = [_line(digit, number, stroke, rng) for number, stroke in enumerate(_STROKES[digit])]
    cosine, sine = np.cos(turn), np.sin(turn)
    change = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[1, -slant], [0, 1]]) @ np.diag(stretch)
    placed = [(line - 0.5) @ change.T + 0.5 + shift for line in lines]
    mask = canvas.stroke(*placed, width=width)
    ink = cv2.GaussianBlur(mask, (0, 0), 0.006 * canvas.fine_px)
    canvas.paint(np.asarray(ink, np.float32), (1.0, 1.0, 1.0), float(rng.uniform(0.85, 1.0)))
    return canvas.finish()


def _line(digit: int, number: int, stroke: list[tuple[float, float]], rng: np.random.Generator) -> Points:
    points = np.asarray(stroke) + rng.normal(0, 0.018, (len(stroke), 2))
    return points if number in STRAIGHT.get(digit, ()) else smooth(points, closed=False)
