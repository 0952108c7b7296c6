"""Photo → photo with a part missing: a square in the middle, blocks, strokes, silhouettes, scratches, borders, text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.data.options.masks import (
    BorderMask,
    CenterMask,
    MaskOptions,
    MixedMask,
    RandomBlockMask,
    RandomRegionMask,
    RectanglesMask,
    ScratchesMask,
    TextMask,
)
from gantools.images.image import Pixels
from gantools.images.ops.masks import Mask, central_square, mean_filled

Canvas: TypeAlias = npt.NDArray[np.uint8]
Draw: TypeAlias = Callable[[Canvas, np.random.Generator], object]

STROKE_SIDE_PX = 256  # the side of the images that the widths and lengths of strokes are given for
SMALLEST_LENGTH_PX, SMALLEST_WIDTH_PX = 10, 5
HARMONICS = np.arange(2, 6)
OUTLINE_POINTS = 64
MOST_TRIED = 100
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-/"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
LETTER_PX = 22  # height of capitals at a scale of 1


def masked(pixels: Pixels, rng: np.random.Generator, options: MaskOptions) -> Pixels:
    """A copy of ``pixels`` whose missing part has the mean colour. Shapes: (H, W, 3) → (H, W, 3)."""
    return mean_filled(pixels, draw(pixels.shape[0], pixels.shape[1], rng, options))


def draw(height: int, width: int, rng: np.random.Generator, options: MaskOptions) -> Mask:
    """What is missing from an image of this size: something, and less than everything.

    Shapes: bool (height, width). Paper: Pathak et al., 2016, arXiv:1604.07379, section 3.3.
    """
    if isinstance(options, MixedMask):
        options = options.masks[int(rng.integers(len(options.masks)))]
    if isinstance(options, CenterMask):
        return center(height, width, options)
    if isinstance(options, RandomBlockMask):
        return random_block(height, width, rng, options)
    if isinstance(options, RandomRegionMask):
        return random_region(height, width, rng, options)
    piece: Draw
    if isinstance(options, ScratchesMask):
        piece, most_pieces = partial(_scratch, options=options), options.most_scratches
    elif isinstance(options, RectanglesMask):
        piece, most_pieces = partial(_rectangle, options=options), options.most_rectangles
    elif isinstance(options, BorderMask):
        piece, most_pieces = partial(_strip, max_share=options.max_share), options.most_sides
    elif isinstance(options, TextMask):
        piece, most_pieces = partial(_text, options=options), options.most_lines
    else:
        raise ValueError("masks from files are read by the data set")
    return _within(options.max_share, height, width, piece, most_pieces, rng)


def center(height: int, width: int, options: CenterMask) -> Mask:
    """The predicted square in the middle without its border of known pixels."""
    side_px = max(1, round(options.region_share * min(height, width)) - 2 * options.overlap_px)
    mask = np.zeros((height, width), np.bool_)
    mask[central_square(height, width, side_px)] = True
    return mask


def random_block(height: int, width: int, rng: np.random.Generator, options: RandomBlockMask) -> Mask:
    """Squares of random sides at random places, as long as they leave enough of the image."""
    shortest, longest = (
        max(1, round(share * min(height, width))) for share in (options.min_side_share, options.max_side_share)
    )

    def square(canvas: Canvas, rng: np.random.Generator) -> None:
        side_px = int(rng.integers(shortest, longest + 1))
        top, left = int(rng.integers(height - side_px + 1)), int(rng.integers(width - side_px + 1))
        canvas[top : top + side_px, left : left + side_px] = 1

    return _within(options.max_share, height, width, square, options.most_squares, rng)


def random_region(height: int, width: int, rng: np.random.Generator, options: RandomRegionMask) -> Mask:
    """Strokes or silhouettes at random places, as long as they leave enough of the image.

    Differs from the paper: silhouettes are drawn, not taken from PASCAL VOC; strokes are LaMa's (Suvorov et al., 2022,
    arXiv:2109.07161).
    """
    piece: Draw = partial(_stroke, options=options)
    most_pieces = options.most_strokes
    if rng.random() < options.silhouette_share:
        piece, most_pieces = partial(_silhouette, max_share=options.max_share), options.most_silhouettes
    return _within(options.max_share, height, width, piece, most_pieces, rng)


def _within(max_share: float, height: int, width: int, piece: Draw, most_pieces: int, rng: np.random.Generator) -> Mask:
    """One to ``most_pieces`` pieces on top of each other; one that makes the mask too large is left out.

    Where none fits, as on images of a few pixels, a single pixel is missing.
    """
    canvas = np.zeros((height, width), np.uint8)
    wanted = int(rng.integers(1, most_pieces + 1))
    most_px = max(1, int(max_share * height * width))
    tried = 0
    while tried < wanted or not canvas.any():
        trial = canvas.copy()
        piece(trial, rng)
        canvas = trial if cv2.countNonZero(trial) <= most_px else canvas
        tried += 1
        if tried == MOST_TRIED and not canvas.any():
            canvas[int(rng.integers(height)), int(rng.integers(width))] = 1
    return np.asarray(canvas, np.bool_)


def _stroke(canvas: Canvas, rng: np.random.Generator, options: RandomRegionMask) -> None:
    """A brush stroke of a few straight parts, turning to one side."""
    height, width = canvas.shape
    scale = min(height, width) / STROKE_SIDE_PX
    parts = int(rng.integers(1, options.most_turns + 1))
    turns = rng.uniform(0.01, options.max_angle, parts) * (1 if rng.random() < 0.5 else -1)
    lengths = scale * (SMALLEST_LENGTH_PX + rng.uniform(0, options.max_length_px, parts))
    steps = lengths[:, None] * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    start = rng.uniform(0, (width, height))
    corners = np.clip(np.vstack([start, start + steps.cumsum(axis=0)]), 0, (width - 1, height - 1))
    width_px = max(1, round(scale * (SMALLEST_WIDTH_PX + rng.uniform(0, options.max_width_px))))
    cv2.polylines(canvas, [np.rint(corners).astype(np.int32)], False, 1, width_px)


def _silhouette(canvas: Canvas, rng: np.random.Generator, max_share: float) -> None:
    """A smooth blob or a polygon around a random point, of any size up to ``max_share``; the border may cut it."""
    height, width = canvas.shape
    smooth = rng.random() < 0.5
    angles = np.linspace(0, 2 * np.pi, OUTLINE_POINTS, endpoint=False)
    if smooth:
        waves = rng.normal(0, 0.35, len(HARMONICS)) / np.sqrt(HARMONICS)
        phases = rng.uniform(0, 2 * np.pi, len(HARMONICS))
        radii = np.maximum(0.2, 1 + np.cos(angles[:, None] * HARMONICS + phases) @ waves)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 10))))
        radii = rng.uniform(0.5, 1.5, len(angles))
    around = radii[:, None] * np.stack([np.cos(angles) * rng.uniform(0.5, 1.5), np.sin(angles)], axis=1)
    area = abs(cv2.contourArea(around.astype(np.float32))) or 1.0
    scale = np.sqrt(rng.uniform(0.1, 1) * max_share * height * width / area)
    points = rng.uniform((0, 0), (width, height)) + scale * around
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 1)


def _scratch(canvas: Canvas, rng: np.random.Generator, options: ScratchesMask) -> None:
    """A thin line of straight parts that turns a little at each; long ones may cross the whole image."""
    height, width = canvas.shape
    parts = int(rng.integers(1, options.most_turns + 1))
    turns = rng.uniform(-options.max_turn, options.max_turn, parts)
    angles = rng.uniform(0, 2 * np.pi) + turns.cumsum()
    length = rng.uniform(0.05, 1) * options.max_length_share * max(height, width)
    steps = length / parts * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start = rng.uniform(0, (width, height))
    corners = np.vstack([start, start + steps.cumsum(axis=0)])
    cv2.polylines(canvas, [np.rint(corners).astype(np.int32)], False, 1, int(rng.integers(1, options.max_width_px + 1)))


def _rectangle(canvas: Canvas, rng: np.random.Generator, options: RectanglesMask) -> None:
    height, width = canvas.shape
    shares = rng.uniform(options.min_side_share, options.max_side_share, 2)
    tall, wide = max(1, round(shares[0] * height)), max(1, round(shares[1] * width))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    canvas[top : top + tall, left : left + wide] = 1


def _strip(canvas: Canvas, rng: np.random.Generator, max_share: float) -> None:
    """A strip along one of the four sides, up to ``max_share`` of the image deep."""
    turned = np.rot90(canvas, int(rng.integers(4)))
    turned[: max(1, round(rng.uniform(0, max_share) * turned.shape[0]))] = 1


def _text(canvas: Canvas, rng: np.random.Generator, options: TextMask) -> None:
    """A line of random letters that begins anywhere; the border may cut it."""
    height, width = canvas.shape
    letter_px = max(5.0, rng.uniform(0.05, options.max_height_share) * height)
    stroke_px = int(rng.integers(1, max(1, min(options.max_stroke_px, round(letter_px / 6))) + 1))
    text = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 13))))
    start = (
        int(rng.integers(-width // 4, max(1, 3 * width // 4))),
        round(letter_px / 2 + rng.random() * (height - letter_px / 2)),
    )
    font = FONTS[int(rng.integers(len(FONTS)))]
    cv2.putText(canvas, text, start, font, letter_px / LETTER_PX, 1, stroke_px)
