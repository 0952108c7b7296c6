"""FFHQ's alignment against computations of its own, from eyes and mouth to the pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gantools.data.prepare import align
from gantools.errors import ImageError

UPRIGHT = np.array([[100, 100], [140, 100], [105, 150], [135, 150]], float)
"""Eyes 40 px apart and the mouth 50 px below, in a photo of 256×256 px."""


def faces(count: int, seed: int = 0) -> np.ndarray:
    """Random faces of dlib's 68 points: those of UPRIGHT turned, resized and disturbed. Shapes: [count, 68, 2]."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(0, 1000, (count, 68, 2))
    for face in found:
        angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 20)
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        eye_left, eye_right, mouth_left, mouth_right = UPRIGHT @ turn + rng.normal(0, 3 * scale, (4, 2))
        face[36:42] = eye_left + rng.normal(0, scale, (6, 2))
        face[42:48] = eye_right + rng.normal(0, scale, (6, 2))
        face[48], face[54] = mouth_left, mouth_right
    return found


def square_in_complex_numbers(eyes: complex, eye_to_eye: complex, eyes_to_mouth: complex) -> np.ndarray:
    """FFHQ's square: a quarter turn of an image is a multiplication by i."""
    across = eye_to_eye - 1j * eyes_to_mouth
    across *= max(2.0 * abs(eye_to_eye), 1.8 * abs(eyes_to_mouth)) / abs(across)
    centre = eyes + 0.1 * eyes_to_mouth
    square = [centre - across - 1j * across, centre - across + 1j * across,
              centre + across + 1j * across, centre + across - 1j * across]  # fmt: skip
    return np.array([[corner.real, corner.imag] for corner in square])


@pytest.mark.parametrize("face", faces(40), ids=str)
def test_the_square_is_that_of_ffhq(face: np.ndarray) -> None:
    points = face[:, 0] + 1j * face[:, 1]
    left, right, mouth = points[36:42].mean(), points[42:48].mean(), (points[48] + points[54]) / 2
    wanted = square_in_complex_numbers((left + right) / 2, right - left, mouth - (left + right) / 2)
    assert np.abs(align.corners(align.four_points(face)) - wanted).max() < 1e-6
    five = np.array([face[36:42].mean(0), face[42:48].mean(0), [1e9, -1e9], face[48], face[54]])
    assert np.abs(align.corners(align.four_points(five)) - wanted).max() < 1e-6, "the nose is not used"


def test_the_square_of_a_face_computed_by_hand() -> None:
    assert align.corners(UPRIGHT).tolist() == [[30, 15], [30, 195], [210, 195], [210, 15]]  # 1.8 × 50 around (120, 105)
    wide = np.array([[90, 100], [150, 100], [105, 140], [135, 140]], float)
    assert align.corners(wide).tolist() == [[0, -16], [0, 224], [240, 224], [240, -16]]  # 2 × 60 around (120, 104)


@pytest.mark.parametrize(
    "points",
    [UPRIGHT[[1, 0, 2, 3]], np.zeros((4, 2)), UPRIGHT[[2, 3, 2, 3]], UPRIGHT[[0, 0, 2, 3]]],
    ids=["eyes exchanged", "one point", "mouth on the eyes", "one eye"],
)
def test_points_of_no_face_are_refused(points: np.ndarray) -> None:
    if (points == UPRIGHT[[2, 3, 2, 3]]).all():
        points = points[[1, 0, 2, 3]]
    with pytest.raises(ImageError, match="no points of a face"):
        align.corners(points)


def place(square: np.ndarray, size: int) -> np.ndarray:
    """Where in the photo each pixel of the result lies, as x and y. Shapes: [size, size, 2]."""
    step = (np.arange(size) + 0.5) / size
    across, down = square[3] - square[0], square[1] - square[0]
    return square[0] + step[None, :, None] * across + step[:, None, None] * down


@pytest.mark.parametrize("turn", [0, 17, 90, 200])
@pytest.mark.parametrize(("photo_px", "size"), [(256, 64), (256, 300), (2048, 128)])
def test_pixels_come_from_where_the_square_says(turn: float, photo_px: int, size: int) -> None:
    """A photo of ramps along x and y, and back along x: enlarged, shrunk, and shrunk by a whole number first.

    Pillow cuts off fractions of a value; the two ramps along x tell that from a shift.
    """
    scale = photo_px / 256
    ramp = np.repeat(np.arange(256, dtype=np.uint8), int(scale))
    x, y = np.meshgrid(ramp, ramp)
    photo = np.stack([x, 255 - x, y], -1)
    matrix = cv2.getRotationMatrix2D((128, 128), turn, 0.8)
    points = (UPRIGHT @ matrix[:, :2].T + matrix[:, 2] + 0.5) * scale - 0.5
    square = align.corners(points)
    along, back, down = np.moveaxis(align.aligned(photo, square, size).astype(float), -1, 0)
    wanted = (place(square, size) + 0.5) / scale - 0.5
    assert abs(((along + 255 - back) / 2 - wanted[..., 0]).mean()) < 0.1
    assert np.abs(down - wanted[..., 1]).max() < 1.5


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_makes_the_same_portrait(turns: int) -> None:
    photo, points = smooth(240, 320), UPRIGHT
    wanted = align.aligned(photo, align.corners(points), 64)
    turned = photo
    for _ in range(turns):
        points = np.stack([points[:, 1], turned.shape[1] - 1 - points[:, 0]], -1)
        turned = np.rot90(turned)
    made = align.aligned(np.ascontiguousarray(turned), align.corners(points), 64)
    assert np.abs(made.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("factor", [2, 5])
def test_a_larger_photo_makes_the_same_portrait(factor: int) -> None:
    photo = smooth(240, 320)
    wanted = align.aligned(photo, align.corners(UPRIGHT), 48)
    larger = photo.repeat(factor, 0).repeat(factor, 1)
    made = align.aligned(larger, align.corners((UPRIGHT + 0.5) * factor - 0.5), 48)
    assert np.abs(made.astype(int) - wanted).mean() < 1.5


def padded_as_ffhq_does(photo: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photo around a square, with what lies beyond made up; and the square in it. With SciPy's filter."""
    filters = pytest.importorskip("scipy.ndimage")
    side = np.linalg.norm(square[3] - square[0])
    border = max(int(np.rint(0.1 * side)), 3)
    first = np.maximum(np.floor(square.min(0)).astype(int) - border, 0)
    last = np.minimum(np.ceil(square.max(0)).astype(int) + border, photo.shape[1::-1])
    part, square = photo[first[1] : last[1], first[0] : last[0]].astype(np.float32), square - first
    before = np.maximum(border - np.floor(square.min(0)).astype(int), int(np.rint(0.3 * side)))
    after = np.maximum(np.ceil(square.max(0)).astype(int) - part.shape[1::-1] + border, int(np.rint(0.3 * side)))
    wide = np.pad(part, ((before[1], after[1]), (before[0], after[0]), (0, 0)), "reflect")
    y, x = np.mgrid[: wide.shape[0], : wide.shape[1]].astype(np.float32)
    reach = [x / before[0], (wide.shape[1] - 1 - x) / after[0], y / before[1], (wide.shape[0] - 1 - y) / after[1]]
    beyond = (1 - np.min(reach, 0))[..., None]
    soft = filters.gaussian_filter(wide, [0.02 * side, 0.02 * side, 0])
    wide += (soft - wide) * np.clip(3 * beyond + 1, 0, 1)
    wide += (np.median(wide, (0, 1)) - wide) * np.clip(beyond, 0, 1)
    return np.rint(wide).clip(0, 255).astype(np.uint8), square + before


@pytest.mark.parametrize("shift", [(-60, 0), (90, 70), (0, -100)])
def test_what_lies_beyond_the_photo_is_made_up_as_ffhq_does(shift: tuple[int, int]) -> None:
    photo = (255 * np.random.default_rng(1).random((256, 256, 3)) ** 3).astype(np.uint8)  # its median is not its mean
    square = align.corners(UPRIGHT + shift)
    wide, inside = padded_as_ffhq_does(photo, square)
    wanted = align.aligned(wide, inside, 256, "none")
    made = align.aligned(photo, square, 256).astype(int)
    assert np.abs(made - wanted).mean() < 0.2
    assert np.abs(made - wanted).max() <= 8
    assert np.abs(made - align.aligned(photo, square, 256, "none")).max() > 50, "nothing to be made up"


@pytest.mark.parametrize(("gap", "soft"), [(4, False), (3, True)])
def test_a_square_three_px_from_the_edge_is_near_it(gap: int, soft: bool) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    square = align.corners(UPRIGHT) + np.array([gap - 30, 0])
    plain = align.aligned(photo, square, 180, "none")
    assert bool(np.abs(align.aligned(photo, square, 180)[:, :4].astype(int) - plain[:, :4]).max() > 30) is soft


def test_without_padding_the_rest_is_black() -> None:
    photo = np.full((100, 100, 3), 200, np.uint8)
    square = np.array([[-49.5, 0], [-49.5, 99], [49.5, 99], [49.5, 0]], float)
    made = align.aligned(photo, square, 100, "none")
    assert (int(made[:, :46].max()), int(made[2:-2, 53:-2].min())) == (0, 200)
    assert (align.aligned(photo, square, 100) == 200).all(), "of one colour, the padding has it too"


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 5)])
def test_the_smallest_photos_can_be_cut(shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), 90, np.uint8)
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2
    for side in (0.5, 3, 2 * max(shape)):
        square = middle + np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * side / 2
        assert (align.aligned(photo, square, 32) == 90).all()


@pytest.mark.parametrize(("shift", "scale"), [((500, 0), 1), ((0, -200), 1), ((0, 0), 10)])
def test_points_of_another_photo_are_refused(shift: tuple[int, int], scale: float) -> None:
    square = align.corners((UPRIGHT - 120) * scale + 120 + shift)
    with pytest.raises(ImageError, match="do not belong to this image of 256×256: it would be a crop of"):
        align.aligned(np.zeros((256, 256, 3), np.uint8), square, 64)


@pytest.mark.parametrize(("shape", "columns"), [((60, 100), slice(20, 80)), ((100, 60), slice(0, 60))])
def test_the_middle_is_the_largest_square(shape: tuple[int, int], columns: slice) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    wanted: Any = photo[:, columns] if shape[1] > shape[0] else photo[20:80]
    assert np.array_equal(align.centred(photo, 60), wanted)
    assert align.centred(photo, 25).shape == (25, 25, 3)
