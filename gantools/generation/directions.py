"""Directions in the space of styles: their files, where they lie, and how styles move along them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gantools.errors import UsageError
from gantools.generation import numpy_files
from gantools.generation.latents import Vectors
from gantools.pretrained import catalogue
from gantools.registry import did_you_mean

SUFFIXES = (".npz", ".npy")
SUFFIX = SUFFIXES[0]
LEAST_LEFT = 0.05
"""Below this share of its length left beside what it shall keep, a direction means nothing."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector in W that images change along, and the boundary that distances are measured from.

    ``boundary`` is where that crosses ``normal``: at styles w with normal · w = boundary an image is neither of both.
    ``vector`` is the normal, unless other directions are kept. ``name`` is its file's. Shapes: [style_size].
    """

    name: str
    vector: Vectors
    normal: Vectors
    boundary: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)

    def keeping(self, others: Sequence[Direction]) -> Direction:
        """The direction without its parts along others, which moving along it then leaves as they are.

        Raises UsageError where nothing is left. Paper: Shen 2020, arXiv 1907.10786 (conditional manipulation).
        """
        if not others:
            return self
        kept = np.stack([other.normal for other in others]).astype(np.float64)
        gram = kept @ kept.T
        left = self.normal - kept.T @ np.linalg.lstsq(gram, kept @ self.normal, rcond=None)[0]
        length = float(np.linalg.norm(left))
        if length < LEAST_LEFT:
            raise UsageError(f"--keep: nothing of {self.name} is left beside {', '.join(each.name for each in others)}")
        return replace(self, vector=(left / length).astype(np.float32))

    def moved(self, styles: Vectors, distance: float, rows: Sequence[int]) -> Vectors:
        """Styles with some rows moved. Shapes: [rows, style_size], the same.

        Where all rows are one style, to ``distance`` from the boundary; styles of several rows by ``distance``.
        """
        step = distance
        if is_single(styles):
            cosine = float(self.vector @ self.normal)
            step += (self.boundary - float(styles[0] @ self.normal)) / cosine
        changed = styles.copy()
        changed[list(rows)] += np.float32(step) * self.vector
        return changed


def is_single(styles: Vectors) -> bool:
    """Whether all rows are the same style (W), not one of their own each (W+)."""
    return bool((styles == styles[0]).all())


def read(path: Path) -> Direction:
    """A direction from .npz, or from InterFaceGAN's .npy [1, style_size]. Raises UsageError."""
    kind = "a direction, a NumPy file"
    arrays = numpy_files.read(path, kind)
    held = arrays.get("direction", arrays.get(""))
    if held is None:
        raise UsageError(f"'{path}': has no array direction, only {', '.join(arrays) or 'nothing'}")
    try:
        about = json.loads(str(arrays[numpy_files.ABOUT])) if numpy_files.ABOUT in arrays else {}
        normal = _unit(path, arrays["normal"]) if "normal" in arrays else None
        vector = _unit(path, held)
        boundary = float(about.get("boundary", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"'{path}': cannot be read as {kind} ({numpy_files.reason(error)})") from error
    return Direction(path.stem, vector, vector if normal is None else normal, boundary, about)


def _unit(path: Path, held: Any) -> Vectors:
    """The vector of an array [1, style_size] or [style_size], of length 1. Raises UsageError."""
    vector = np.asarray(held, np.float64)
    if vector.ndim == 2 and len(vector) == 1:
        vector = vector[0]
    length = float(np.linalg.norm(vector))
    if vector.ndim != 1 or not 0 < length < np.inf:
        raise UsageError(f"'{path}': has the shape {vector.shape}; a direction is (1, style size), finite and not zero")
    return np.asarray(vector / length, np.float32)


def write(path: Path, direction: Direction) -> None:
    """Write a direction as .npz, atomically: ``direction`` and ``normal`` [1, style_size], and JSON about it."""
    arrays = {"direction": direction.vector[None], "normal": direction.normal[None]}
    numpy_files.write(path, arrays, {"boundary": direction.boundary, **direction.about})


def folders(weights: Path) -> list[Path]:
    """Where directions of weights lie: beside them, in NAME.directions, and the user's own of shipped weights."""
    own = weights.with_suffix(".directions")
    shipped = catalogue.shipped_folder()
    if not own.is_relative_to(shipped):
        return [own]
    return [catalogue.weights_folder() / own.relative_to(shipped), own]


def beside(weights: Path) -> dict[str, Path]:
    """The directions that lie beside weights, by name; the user's own before shipped ones."""
    found: dict[str, Path] = {}
    for folder in folders(weights):
        for path in sorted(folder.glob("*.np[yz]")):
            if not path.name.startswith("."):
                found.setdefault(path.stem, path)
    return found


def find(weights: Path, given: str | None, option: str = "--direction") -> Path:
    """The file of a direction that is named or is a path; the only one where none is given. Raises UsageError."""
    known = beside(weights)
    if given is None and len(known) == 1:
        return next(iter(known.values()))
    if given is None:
        names = f": {', '.join(known)}" if known else "; `gantools directions learn` makes some"
        raise UsageError(f"--direction: name a file, or one that lies beside '{weights}'{names}")
    if given in known:
        return known[given]
    path = Path(given)
    if path.suffix.lower() in SUFFIXES or path.exists():
        return path
    raise UsageError(f"{option} {given}: no such file, nor a direction of '{weights}'{did_you_mean(given, known)}")


def require_fitting(direction: Direction, style_size: int) -> None:
    """Raise UsageError for a direction of another model."""
    if len(direction.vector) != style_size:
        raise UsageError(f"{direction.name}: has {len(direction.vector)} values, the model's styles have {style_size}")
