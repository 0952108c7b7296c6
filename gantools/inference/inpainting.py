"""Holes are filled by what a network makes of their surroundings; pixels that are known stay as they are.

``Predict`` is the network on samples: [H, W, 3] → [H, W, 3] of the same dtype, any size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.errors import UsageError
from gantools.images.image import Image, Pixels
from gantools.images.io import reader
from gantools.images.ops.masks import Mask, central_square, mask_of, mean_filled, warn_if_mostly_missing
from gantools.inference.options import CENTER
from gantools.jobs.pictures import known, stem

if TYPE_CHECKING:
    from gantools.inference.plan import Job

Predict: TypeAlias = Callable[[Pixels], Pixels]
Indices: TypeAlias = npt.NDArray[np.intp]

SEAM_PX = 4
"""How deep inside the hole the network's colours are drawn towards those of the known pixels beside it."""


def fill_by_center(pixels: Pixels, hole: Mask, predict: Predict, side_px: int, hole_px: int) -> Pixels:
    """Fill each part of the hole in the middle of a window of ``side_px``, the size that the network was trained on.

    What of the window lies outside of the picture is its reflection. Later parts see the earlier ones filled.
    Raises UsageError when a part is larger than ``hole_px``, the square that the network has learnt to fill.
    """
    filled, missing = pixels.copy(), hole.copy()
    boxes = list(_boxes(hole))
    for box in boxes:
        _require_small(box, hole_px)
    for box in boxes:
        _fill_box(filled, missing, box, predict, side_px, hole_px)
    return filled


def fill_by_picture(pixels: Pixels, hole: Mask, predict: Predict, trained_px: int) -> Pixels:
    """Fill the hole from a network that predicts every pixel of what is given to it.

    Only the surroundings of the hole go through the network. Where the hole is thick, so that the network would see
    little beside it, they are shrunk first: until it is a quarter of ``trained_px`` thick, or half of it where the
    picture would become smaller than the training images. Only what it makes of the hole is used: its
    loss never looked at known pixels, so what it makes of those says nothing about a seam.
    """
    rows, columns = _surroundings(hole, trained_px)
    shown, missing = mean_filled(pixels[rows, columns], hole[rows, columns]), hole[rows, columns]
    thickness_px = 2 * float(cv2.distanceTransform(_bordered(missing), cv2.DIST_L2, 5).max())
    as_large = trained_px / min(pixels.shape[:2])
    factor = min(1.0, trained_px / 2 / thickness_px, max(as_large, trained_px / 4 / thickness_px))
    predicted = predict(shown) if factor == 1 else _predict_small(shown, missing, predict, factor)
    filled = pixels.copy()
    filled[rows, columns][missing] = predicted[missing]
    return filled


def blended(pixels: Pixels, hole: Mask, predicted: Pixels) -> Pixels:
    """Known pixels as they are; in the hole the prediction, corrected near its edge so that no seam is seen.

    The correction is what the prediction is wrong by at the nearest known pixel; it fades over ``SEAM_PX``.
    """
    distance, nearest = cv2.distanceTransformWithLabels(
        hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    wrong_by = np.zeros((int(nearest.max()) + 1, 3), np.float32)
    known = ~hole
    wrong_by[nearest[known]] = pixels[known].astype(np.float32) - predicted[known]
    share = np.clip(1 - distance[hole] / (SEAM_PX + 1), 0, 1)[:, None]
    corrected = predicted[hole] + share * wrong_by[nearest[hole]]
    filled = pixels.copy()
    filled[hole] = np.rint(corrected).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return filled


def _boxes(hole: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width, height of each connected part."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    for part in range(1, count):
        left, top, width, height = (int(value) for value in stats[part][:4])
        yield left, top, width, height


def _require_small(box: tuple[int, int, int, int], hole_px: int) -> None:
    if max(box[2:]) > hole_px:
        raise UsageError(
            f"a hole of {box[2]}×{box[3]} px at ({box[0]}, {box[1]}) is larger than the {hole_px}×{hole_px} px "
            "that this network fills; take one that predicts the full picture (context_encoder/random_region), "
            "or make picture and mask smaller"
        )


def _fill_box(
    filled: Pixels, missing: Mask, box: tuple[int, int, int, int], predict: Predict, side_px: int, hole_px: int
) -> None:
    """Fill what is missing within ``box``, in place."""
    left, top, width, height = box
    y, x = top + height // 2 - side_px // 2, left + width // 2 - side_px // 2
    window = np.ix_(_reflected(y, side_px, missing.shape[0]), _reflected(x, side_px, missing.shape[1]))
    hidden = missing[window]
    hidden[central_square(side_px, side_px, hole_px)] = True  # it has learnt to guess from a square, whole
    predicted = predict(mean_filled(filled[window], hidden))
    inside = np.s_[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
    y0, x0 = max(0, top - 1) - y, max(0, left - 1) - x
    own = missing[inside]
    predicted = predicted[y0 : y0 + own.shape[0], x0 : x0 + own.shape[1]]
    filled[inside] = blended(filled[inside], own, predicted)
    missing[inside] = False


def _reflected(start: int, count: int, length: int) -> Indices:
    """Places ``start`` … of an axis, reflected where they lie outside of it."""
    period = max(1, 2 * (length - 1))
    position = np.arange(start, start + count) % period
    return np.minimum(position, period - position) if length > 1 else np.zeros(count, np.intp)


def _surroundings(hole: Mask, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of the hole's bounding box with a margin."""
    left, top, width, height = cv2.boundingRect(hole.astype(np.uint8))
    return slice(max(0, top - margin_px), top + height + margin_px), slice(
        max(0, left - margin_px), left + width + margin_px
    )


def _bordered(hole: Mask) -> npt.NDArray[np.uint8]:
    """The hole with known pixels around it, so that its thickness is finite."""
    return np.pad(hole.astype(np.uint8), 1)


def _predict_small(shown: Pixels, missing: Mask, predict: Predict, factor: float) -> Pixels:
    """Predict at a smaller size and enlarge; nothing of the hole's own pixels is seen."""
    height, width = missing.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    touched = cv2.resize(missing.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    made = predict(mean_filled(small, np.asarray(touched)))
    return np.asarray(cv2.resize(made, (width, height), interpolation=cv2.INTER_CUBIC))


def hole_in(picture: Image, job: Job, mask: str | None, center_px: int) -> Mask:
    """The hole of one picture. Shapes: bool [H, W].

    A folder of masks holds one of each picture's name, with any suffix. ``center`` is a square of ``center_px``, at
    most half of the picture's short side. Without a mask all that is not opaque is missing.
    Raises UsageError when there is no mask, or it has another size, or leaves out nothing or everything.
    """
    if mask is None:
        hole = _transparent(picture)
    elif mask == CENTER:
        hole = _middle(picture, center_px)
    else:
        hole = _drawn(picture, _file(job, Path(mask)))
    if not hole.any():
        raise UsageError("the mask leaves out nothing: it has no white pixels, so there is nothing to fill")
    if hole.all():
        raise UsageError("the mask leaves out the whole picture, so there is nothing to guess from; black is known")
    if mask != CENTER:
        warn_if_mostly_missing(hole, repr(job.input), transparency=mask is None)
    return hole


def without_alpha_hole(picture: Image, mask: str | None) -> Image:
    """The picture, opaque where its transparency was the hole."""
    return replace(picture, alpha=None) if mask is None else picture


def _transparent(picture: Image) -> Mask:
    if picture.alpha is None or not picture.transparent:
        raise UsageError("what is missing? give --mask FILE (white is missing), --mask center, or erase it to alpha")
    return np.asarray(picture.alpha < np.iinfo(picture.alpha.dtype).max)


def _middle(picture: Image, center_px: int) -> Mask:
    hole = np.zeros((picture.height, picture.width), np.bool_)
    side_px = min(center_px, min(picture.height, picture.width) // 2)
    hole[central_square(picture.height, picture.width, side_px)] = True
    return hole


def _drawn(picture: Image, file: Path) -> Mask:
    hole = mask_of(reader.read(file))
    if hole.shape != (picture.height, picture.width):
        sizes = f"is {hole.shape[1]}×{hole.shape[0]}, the picture {picture.width}×{picture.height}"
        raise UsageError(f"mask {str(file)!r} {sizes}; make both the same size")
    return hole


def _file(job: Job, mask: Path) -> Path:
    if not mask.is_dir():
        return mask
    name = stem(Path(job.input))
    found = _masks(mask, mask.stat().st_mtime_ns).get(name, [])
    if len(found) != 1:
        what = "no mask" if not found else f"{len(found)} masks"
        raise UsageError(f"--mask {str(mask)!r}: {what} called {name!r} in it; one for each picture, with its name")
    return found[0]


@lru_cache(maxsize=1)
def _masks(folder: Path, changed_ns: int) -> dict[str, list[Path]]:  # noqa: ARG001 - a changed folder is read anew
    """A folder's pictures by their names, read once for all the pictures of a run."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if known(path) and path.is_file():
            found[stem(path)].append(path)
    return dict(found)
