"""What is missing from a picture that a network shall complete: from a mask file, its transparency, or the middle."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gantools.errors import UsageError
from gantools.images import reader
from gantools.images.holes import Hole, central_square, hole_of, warn_of_most
from gantools.images.picture import Picture
from gantools.inference.settings import CENTER
from gantools.jobs.pictures import known, stem

if TYPE_CHECKING:
    from gantools.inference.plan import Job


def hole_in(picture: Picture, job: Job, mask: str | None, center_px: int) -> Hole:
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
        warn_of_most(hole, repr(job.input), transparency=mask is None)
    return hole


def without_alpha_hole(picture: Picture, mask: str | None) -> Picture:
    """The picture, opaque where its transparency was the hole."""
    return replace(picture, alpha=None) if mask is None else picture


def _transparent(picture: Picture) -> Hole:
    if picture.alpha is None or not picture.transparent:
        raise UsageError("what is missing? give --mask FILE (white is missing), --mask center, or erase it to alpha")
    return np.asarray(picture.alpha < np.iinfo(picture.alpha.dtype).max)


def _middle(picture: Picture, center_px: int) -> Hole:
    hole = np.zeros((picture.height, picture.width), np.bool_)
    side_px = min(center_px, min(picture.height, picture.width) // 2)
    hole[central_square(picture.height, picture.width, side_px)] = True
    return hole


def _drawn(picture: Picture, file: Path) -> Hole:
    hole = hole_of(reader.read(file))
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
