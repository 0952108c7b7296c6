"""Drawn scenes full of edges, lines, gratings, lettering and leaves: something to learn super-resolution from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gantools.data.synthetic.canvas import Canvas, Colour, Field, Points, hsv, noise, rounded, smooth


def draw(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.uint8]:
    """One scene: a sky or ground, six to ten layers of different kinds. Shapes: (side_px, side_px, 3) uint8."""
    canvas = Canvas(side_px, (1.0, 1.0, 1.0))
    _gradient(canvas, rng)
    layers = (_polygon, _polygon, _blob, _grating, _lettering, _foliage, _facade, _wires, _bricks)
    for choice in rng.integers(len(layers), size=int(rng.integers(6, 11))):
        layers[int(choice)](canvas, rng)
    canvas.pixels += np.float32(rng.uniform(0, 0.02)) * noise(rng, canvas.fine_px, canvas.side_px // 2)[..., None]
    return canvas.finish()


def _colour(rng: np.random.Generator) -> Colour:
    return hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.1, 1.0))


def _gradient(canvas: Canvas, rng: np.random.Generator) -> None:
    """Two colours blended along a direction, with clouds."""
    start, end = (np.asarray(_colour(rng), np.float32) for _ in range(2))
    angle = float(rng.uniform(0, 2 * np.pi))
    t = 0.5 + 0.5 * ((canvas.x - 0.5) * np.cos(angle) + (canvas.y - 0.5) * np.sin(angle))
    t = np.clip(t + 0.1 * noise(rng, canvas.fine_px, int(rng.integers(3, 12))), 0, 1).astype(np.float32)
    canvas.pixels[...] = start + t[..., None] * (end - start)


def _texture(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Brightness of a surface: plain, fine-grained, or brushed."""
    kind = int(rng.integers(3))
    if kind == 0:
        return np.asarray(1.15 - 0.4 * canvas.y, np.float32)
    grain = noise(rng, canvas.fine_px, int(rng.integers(16, max(17, canvas.side_px // 3))))
    if kind == 1:
        return np.asarray(1 + 0.15 * grain, np.float32)
    return np.asarray(1 + 0.12 * np.sin(canvas.x * float(rng.uniform(40, 200)) + 2 * grain), np.float32)


def _polygon(canvas: Canvas, rng: np.random.Generator) -> None:
    corners = int(rng.integers(3, 7))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    points = rng.random(2) + rng.uniform(0.08, 0.4) * np.stack([np.cos(angle), np.sin(angle)], 1)
    mask = canvas.shape(points)
    canvas.paint(mask, _colour(rng), _texture(canvas, rng))
    if rng.random() < 0.5:
        canvas.paint(canvas.stroke(points, width=rng.uniform(0.004, 0.015), closed=True), _colour(rng))


def _blob(canvas: Canvas, rng: np.random.Generator) -> None:
    """A smooth, shaded body with a highlight."""
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    reach = rng.uniform(0.06, 0.25) * rng.uniform(0.6, 1.3, 8)
    centre = rng.random(2)
    mask = canvas.shape(smooth(centre + np.stack([np.cos(angle) * reach, np.sin(angle) * reach], 1)))
    canvas.paint(mask, _colour(rng), (0.35 + 0.65 * rounded(mask, 0.12)) * _texture(canvas, rng))
    canvas.light(canvas.disc(centre - 0.03, 0.02) * mask, 0.6)


def _region(canvas: Canvas, rng: np.random.Generator) -> tuple[Field, Points, Points]:
    """Mask, upper left corner and size of a slightly turned rectangle."""
    corner, size = rng.uniform(-0.1, 0.7, 2), rng.uniform(0.2, 0.6, 2)
    skew = rng.normal(0, 0.04, (4, 2))
    points = corner + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size + skew
    return canvas.shape(points), corner, size


def _grating(canvas: Canvas, rng: np.random.Generator) -> None:
    """Bars whose spacing narrows: straight, or rings."""
    mask, corner, size = _region(canvas, rng)
    angle = float(rng.uniform(0, np.pi))
    u, v = canvas.x - np.float32(corner[0]), canvas.y - np.float32(corner[1])
    way = np.hypot(u - size[0] / 2, v - size[1] / 2) if rng.random() < 0.3 else u * np.cos(angle) + v * np.sin(angle)
    phase = way * float(rng.uniform(60, 220)) * (1 + float(rng.uniform(0, 1)) * way)
    bars = np.clip(np.sin(phase) * 4 + 0.5, 0, 1)[..., None]
    one, other = (np.asarray(_colour(rng), np.float32) for _ in range(2))
    canvas.paint(mask, np.asarray(one + bars * (other - one), np.float32))


def _lettering(canvas: Canvas, rng: np.random.Generator) -> None:
    """Lines of made-up letters, each two or three strokes in a box."""
    ink, height = _colour(rng), float(rng.uniform(0.03, 0.10))
    if rng.random() < 0.5:
        canvas.paint(_region(canvas, rng)[0], _colour(rng))
    origin = rng.uniform(0.02, 0.5, 2)
    letters = []
    for row in range(int(rng.integers(1, 4))):
        for column in range(int(rng.integers(4, 10))):
            corner = origin + np.array([column * 0.75, row * 1.5]) * height
            letters.append(corner + rng.integers(0, 3, (int(rng.integers(3, 6)), 2)) / 2 * [0.5, 1.0] * height)
    canvas.paint(canvas.stroke(*letters, width=0.14 * height), ink)


def _foliage(canvas: Canvas, rng: np.random.Generator) -> None:
    """A cluster of small leaves in shades of one colour."""
    hue, centre = float(rng.uniform(0.1, 0.45)), rng.random(2)
    spread = float(rng.uniform(0.08, 0.22))
    leaf = np.array([[0, -1], [0.45, -0.2], [0.3, 0.6], [0, 1], [-0.3, 0.6], [-0.45, -0.2]])
    for _ in range(9):
        leaves = []
        for angle, length in zip(rng.uniform(0, 2 * np.pi, 6), rng.uniform(0.015, 0.04, 6), strict=True):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            leaves.append(centre + rng.normal(0, spread, 2) + leaf @ turn * length)
        green = hsv(hue + rng.normal(0, 0.02), rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.85))
        canvas.pixels[canvas.shape(*leaves) > 0.5] = green


def _facade(canvas: Canvas, rng: np.random.Generator) -> None:
    """A wall with rows of windows."""
    corner, size = rng.uniform(0, 0.5, 2), rng.uniform(0.25, 0.5, 2)
    box = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    canvas.paint(canvas.shape(corner + box * size), _colour(rng), _texture(canvas, rng))
    rows, columns = (int(n) for n in rng.integers(3, 8, 2))
    cell = size / [columns, rows]
    pane = 0.22 + 0.56 * box
    windows = [corner + cell * (pane + np.array([column, row])) for row in range(rows) for column in range(columns)]
    canvas.paint(canvas.shape(*windows), _colour(rng), 1.2 - 0.5 * canvas.y)


def _wires(canvas: Canvas, rng: np.random.Generator) -> None:
    """Thin lines that hang from side to side."""
    ink, left, right = _colour(rng), rng.random(), rng.random()
    sag = (left + right) / 2 + rng.uniform(0, 0.2)
    line = smooth([(-0.1, left), (0.5, sag), (1.1, right)], closed=False)
    offsets = np.arange(int(rng.integers(2, 6))) * rng.uniform(0.02, 0.07)
    canvas.paint(
        canvas.stroke(*(line + np.array([0, offset]) for offset in offsets), width=rng.uniform(0.003, 0.01)), ink
    )


def _bricks(canvas: Canvas, rng: np.random.Generator) -> None:
    """A wall of bricks with their own shades."""
    mask, _, _ = _region(canvas, rng)
    rows = float(rng.uniform(10, 24))
    row = np.floor(canvas.y * rows)
    across = canvas.x * rows / 2 + 0.5 * (row % 2)
    joint = (canvas.y * rows % 1 < 0.15) | (across % 1 < 0.08)
    shade = 0.85 + 0.15 * np.sin(row * 12.9 + np.floor(across) * 78.2)
    canvas.paint(mask, _colour(rng), np.where(joint, 1.3, shade).astype(np.float32))
