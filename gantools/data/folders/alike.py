"""Whether the same-named images of two folders show the same, as the two sides of pairs do and classes do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader

LOOKED_AT = 8
MOST = 0.6
SIDE_PX = 16
EDGES_PX = 64


def alike(a: Sequence[Path], b: Sequence[Path]) -> bool:
    """Whether most images of ``a`` resemble the one at the same place in ``b`` more than any other one of ``b``.

    Of many, eight are looked at; what cannot be read is left out. Fewer than three say nothing: False.
    """
    step = max(1, len(a) // LOOKED_AT)
    read = [(_small(one), _small(other)) for one, other in list(zip(a, b, strict=True))[::step][:LOOKED_AT]]
    both = [(one, other) for one, other in read if one is not None and other is not None]
    if len(both) < 3:
        return False
    features = ([(one[which], other[which]) for one, other in both] for which in (0, 1))
    return any(_nearest(*zip(*feature, strict=True)) > MOST for feature in features)


def _nearest(rows: Sequence[Pixels], columns: Sequence[Pixels]) -> float:
    """The share of rows that resemble the column at their own place more than any other one."""
    resemblance = np.stack(rows) @ np.stack(columns).T
    others = np.where(np.eye(len(resemblance), dtype=bool), -np.inf, resemblance)
    return float(np.mean(np.diag(resemblance) > others.max(axis=1) + 1e-6))


def _small(path: Path) -> tuple[Pixels, Pixels] | None:
    """Thumbnails of the image's brightness and of its edges, which label maps share; None where it cannot be read."""
    try:
        photo = reader.read_rgb8(path)
    except ImageError:
        return None
    gray = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (EDGES_PX, EDGES_PX), interpolation=cv2.INTER_AREA)
    edges = cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return _row(gray.astype(np.float32)), _row(np.sqrt(edges))


def _row(image: Pixels) -> Pixels:
    """An image at ``SIDE_PX`` as a row of mean 0 and norm 1."""
    row = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).ravel()
    row = row - row.mean()
    return np.asarray(row / max(float(np.linalg.norm(row)), 1e-6))
