"""Missing parts of an image, filled by what a network makes of their surroundings; known pixels stay as they are.

``Predict`` is the network on samples and what is missing of them, which it does not see: [H, W, 3], bool [H, W] →
[H, W, 3] of the same dtype, any size.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from gantools.errors import UsageError
from gantools.images.image import Image, Pixels
from gantools.images.io import reader
from gantools.images.ops import color
from gantools.images.ops.masks import (
    Mask,
    central_square,
    mask_of,
    navier_stokes,
    telea,
    warn_if_mostly_missing,
)
from gantools.images.ops.resize import reflected_indices
from gantools.images.ops.transparency import restore, spread
from gantools.inference.options import CENTER, InferOptions, Method
from gantools.jobs.image_files import known, stem

Predict: TypeAlias = Callable[[Pixels, Mask], Pixels]
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, width, height of a connected missing part."""

Fill: TypeAlias = Callable[[Pixels, Mask], Pixels]
"""What fills in the missing part of an image: [H, W, 3], bool [H, W] → [H, W, 3]; known pixels stay as they are."""

THIN_PX = 4
"""Parts with no larger disc in them are filled as well without a network."""

_NOTICEABLE = 0.02

SEAM_PX = 4
"""How deep inside the mask the network's colours are drawn towards those of the known pixels beside it."""


def fill_by_center(pixels: Pixels, mask: Mask, predict: Predict, side_px: int, mask_px: int) -> Pixels:
    """Fill each missing part in the middle of a window of ``side_px``, the size that the network was trained on.

    What of the window lies outside of the image is its reflection. Later parts see the earlier ones filled.
    Raises UsageError when a part is larger than ``mask_px``, the square that the network was trained to fill.
    """
    filled, missing = pixels.copy(), mask.copy()
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes: list[Box] = [(int(part[0]), int(part[1]), int(part[2]), int(part[3])) for part in stats[1:]]
    for left, top, width, height in boxes:
        if max(width, height) > mask_px:
            raise UsageError(
                f"a missing part of {width}×{height} px at ({left}, {top}) is larger than the {mask_px}×{mask_px} px "
                "that this network fills; take one that predicts the full image (context_encoder/random_region), "
                "or make image and mask smaller"
            )
    for box in boxes:
        _fill_box(filled, missing, box, predict, side_px, mask_px)
    return filled


def fill_by_image(pixels: Pixels, mask: Mask, predict: Predict, trained_px: int) -> Pixels:
    """Fill in missing pixels from a network that predicts every pixel of what is given to it.

    Only the surroundings of the mask go through the network. Where the mask is thick, so that the network would see
    little beside it, they are shrunk first: until it is a quarter of ``trained_px`` thick, or half of it where the
    image would become smaller than the training images. Only what it makes of missing pixels is used: its
    loss never looked at known ones, so what it makes of those says nothing about a seam.
    """
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    rows = slice(max(0, top - trained_px), top + height + trained_px)
    columns = slice(max(0, left - trained_px), left + width + trained_px)
    shown, missing = pixels[rows, columns], mask[rows, columns]
    bordered = np.pad(missing.astype(np.uint8), 1)  # by known pixels, so that its thickness is finite
    thickness_px = 2 * float(cv2.distanceTransform(bordered, cv2.DIST_L2, 5).max())
    as_large = trained_px / min(pixels.shape[:2])
    factor = min(1.0, trained_px / 2 / thickness_px, max(as_large, trained_px / 4 / thickness_px))
    predicted = predict(shown, missing) if factor == 1 else _predict_small(shown, missing, predict, factor)
    filled = pixels.copy()
    filled[rows, columns][missing] = predicted[missing]
    return filled


def fill_by_mask(pixels: Pixels, mask: Mask, predict: Predict) -> Pixels:
    """Fill in missing pixels from a network that sees the whole image, and the mask beside it."""
    filled = pixels.copy()
    filled[mask] = predict(pixels, mask)[mask]
    return filled


def fill_by_thickness(pixels: Pixels, mask: Mask, fill: Fill) -> Pixels:
    """Fill thin parts by Navier-Stokes inpainting and the others by ``fill``, which sees the thin ones filled.

    A part is thin where no disc of more than ``THIN_PX`` radius lies within it.
    """
    thin = thin_parts(mask)
    thick, filled = mask & ~thin, pixels.copy()
    filled[thin] = navier_stokes(pixels, mask)[thin]
    return fill(filled, thick) if thick.any() else filled


def thin_parts(mask: Mask) -> Mask:
    """The connected parts of a mask that are thin; beyond the image's border everything counts as known."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    is_thin = np.ones(count, np.bool_)
    is_thin[labels[depth > THIN_PX]] = False
    return np.asarray(is_thin[labels] & mask)


def filled_image(image: Image, mask: Mask, fill: Fill, options: InferOptions, *, stays_gray: bool) -> Image:
    """Fill in what is missing from an image; every other sample stays as it is, and so do alpha and metadata."""
    drops = options.alpha == "drop"
    filled = fill(image.pixels if drops else spread(image), mask)
    if not drops:
        restore(filled, image)
    gray = image.gray and stays_gray
    pixels = without_colours(filled) if gray else filled
    return replace(image, pixels=pixels, alpha=None if drops else image.alpha, gray=gray)


def without_network(image: Image, name: str, options: InferOptions) -> Image:
    """Fill in what is missing from an image by OpenCV's ``options.method``. Raises UsageError as ``find_mask``."""
    mask = find_mask(image, name, options.mask, max(image.height, image.width))
    given = image if options.mask is not None else replace(image, alpha=None)
    return filled_image(given, mask, opencv_fill(options.method), options, stays_gray=options.gray != "color")


def opencv_fill(method: Method | None) -> Fill:
    """OpenCV's inpainting by name: ``telea`` or ``ns``."""
    return navier_stokes if method == "ns" else telea


def without_colours(pixels: Pixels) -> Pixels:
    """Take the colours out, and say so where there were some."""
    gray = color.gray_to_rgb(color.gray(pixels))
    if cv2.norm(gray, pixels, cv2.NORM_L1) > _NOTICEABLE * np.iinfo(pixels.dtype).max * pixels.size:
        warnings.warn("a gray image stays gray; --gray color keeps the colours that the network made", stacklevel=2)
    return gray


def blended(pixels: Pixels, mask: Mask, predicted: Pixels) -> Pixels:
    """Known pixels as they are; elsewhere the prediction, corrected near the mask's edge so that no seam is seen.

    The correction is what the prediction is wrong by at the nearest known pixel; it fades over ``SEAM_PX``.
    """
    distance, nearest = cv2.distanceTransformWithLabels(
        mask.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    wrong_by = np.zeros((int(nearest.max()) + 1, 3), np.float32)
    known = ~mask
    wrong_by[nearest[known]] = pixels[known].astype(np.float32) - predicted[known]
    share = np.clip(1 - distance[mask] / (SEAM_PX + 1), 0, 1)[:, None]
    corrected = predicted[mask] + share * wrong_by[nearest[mask]]
    filled = pixels.copy()
    filled[mask] = np.rint(corrected).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return filled


def _fill_box(filled: Pixels, missing: Mask, box: Box, predict: Predict, side_px: int, mask_px: int) -> None:
    """Fill what is missing within ``box``, in place."""
    left, top, width, height = box
    y, x = top + height // 2 - side_px // 2, left + width // 2 - side_px // 2
    rows, columns = missing.shape
    window = np.ix_(reflected_indices(y, y + side_px, rows), reflected_indices(x, x + side_px, columns))
    hidden = missing[window]
    hidden[central_square(side_px, side_px, mask_px)] = True  # it was trained on whole squares
    predicted = predict(filled[window], hidden)
    inside = np.s_[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
    y0, x0 = max(0, top - 1) - y, max(0, left - 1) - x
    own = missing[inside]
    predicted = predicted[y0 : y0 + own.shape[0], x0 : x0 + own.shape[1]]
    filled[inside] = blended(filled[inside], own, predicted)
    missing[inside] = False


def _predict_small(shown: Pixels, missing: Mask, predict: Predict, factor: float) -> Pixels:
    """Predict at a smaller size and enlarge; nothing of the missing pixels themselves is seen."""
    height, width = missing.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    touched = np.asarray(cv2.resize(missing.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0)
    made = predict(small, touched)
    return np.asarray(cv2.resize(made, (width, height), interpolation=cv2.INTER_CUBIC))


def find_mask(image: Image, name: str, mask: str | None, center_px: int) -> Mask:
    """What is missing from one image, True where it is. Shapes: bool [H, W].

    ``mask`` is a file, a folder with a mask of each image's name and any suffix, or ``center``, a square of
    ``center_px`` but at most half of the short side. Without one all that is not opaque is missing.
    Raises UsageError when there is no mask, or it has another size, or leaves out nothing or everything.
    """
    if mask is None:
        if image.alpha is None or not image.transparent:
            raise UsageError(
                "what is missing? make it white in a mask (--mask FILE, or --mask center), or transparent in the image"
            )
        missing = np.asarray(image.alpha < np.iinfo(image.alpha.dtype).max)
    elif mask == CENTER:
        missing = np.zeros((image.height, image.width), np.bool_)
        side_px = min(center_px, min(image.height, image.width) // 2)
        missing[central_square(image.height, image.width, side_px)] = True
    else:
        file = _mask_file(name, Path(mask))
        missing = mask_of(reader.read(file))
        if missing.shape != (image.height, image.width):
            sizes = f"is {missing.shape[1]}×{missing.shape[0]}, the image {image.width}×{image.height}"
            raise UsageError(f"mask {str(file)!r} {sizes}; make both the same size")
    if not missing.any():
        raise UsageError("the mask leaves out nothing: it has no white pixels, so there is nothing to fill")
    if missing.all():
        raise UsageError("the mask leaves out the whole image, so there is nothing to guess from; black is known")
    if mask != CENTER:
        warn_if_mostly_missing(missing, repr(name), transparency=mask is None)
    return missing


def _mask_file(name: str, mask: Path) -> Path:
    if not mask.is_dir():
        return mask
    label = stem(Path(name))
    found = _masks_in(mask, mask.stat().st_mtime_ns).get(label, [])
    if len(found) != 1:
        what = "no mask" if not found else f"{len(found)} masks"
        raise UsageError(f"--mask {str(mask)!r}: {what} called {label!r} in it; one for each image, with its name")
    return found[0]


@lru_cache(maxsize=1)
def _masks_in(folder: Path, changed_ns: int) -> dict[str, list[Path]]:  # noqa: ARG001 - a changed folder is read anew
    """A folder's images by their names, read once for all the images of a run."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if known(path) and path.is_file():
            found[stem(path)].append(path)
    return dict(found)
