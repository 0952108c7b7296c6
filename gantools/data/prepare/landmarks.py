"""A file that says where faces are: names of photos, and the points of the faces in each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gantools.data.prepare.align import Points, corners, four_points
from gantools.errors import DataError, ImageError

Squares: TypeAlias = tuple[Points, ...]

FORM = "[[x, y], …] of 5 points (eye, eye, nose, corner, corner of the mouth) or dlib's 68, or a list of such faces"


def read(path: Path) -> dict[str, Squares]:
    """The squares of the faces in each photo, by its name. Raises DataError, in one line, for every broken file."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"--landmarks {path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, numbers of thousands of digits
        raise DataError(f"--landmarks {path}: is no JSON ({error})") from error
    if not isinstance(stored, dict) or not stored:
        raise DataError(f"--landmarks {path}: give an object of names of photos: {{'photo.jpg': {FORM}}}")
    return {name: _squares(points, f"--landmarks {path}: {name!r}") for name, points in stored.items()}


def of_photo(path: Path, known: Mapping[str, Squares]) -> Squares:
    """The squares of a photo: by as much of its path as the file has, or by its name alone; none where it is not."""
    parts = path.parts
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((known[name] for name in names if name in known), ())


def _squares(points: Any, label: str) -> Squares:
    try:
        array = np.array(points, np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.zeros(0)
    faces = array[None] if array.ndim == 2 else array
    if faces.ndim != 3 or not len(faces) or faces.shape[1:] not in ((5, 2), (68, 2)) or _holds_text(points):
        raise DataError(f"{label}: give {FORM}")
    if not np.isfinite(faces).all():
        raise DataError(f"{label}: has points that are no finite numbers")
    try:
        return tuple(corners(four_points(face)) for face in faces)
    except ImageError as error:
        raise DataError(f"{label}: {error}") from error


def _holds_text(points: Any) -> bool:
    """Whether NumPy has read numbers that are written as text, or true and false."""
    return any(map(_holds_text, points)) if isinstance(points, list) else isinstance(points, str | bool)
