"""Whether the same-named images of two folders show the same, as the two sides of pairs do and classes do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gantools.errors import ImageError
from gantools.images import reader
from gantools.images.picture import Pixels

LOOKED_AT = 8
SIDE_PX = 16


def alike(a: Sequence[Path], b: Sequence[Path]) -> bool:
    """Whether most images of ``a`` resemble the one at the same place in ``b`` more than any other one of ``b``.

    Of many, eight are looked at; what cannot be read is left out. Fewer than three say nothing: False.
    """
    step = max(1, len(a) // LOOKED_AT)
    read = [(_small(one), _small(other)) for one, other in list(zip(a, b, strict=True))[::step][:LOOKED_AT]]
    both = [(one, other) for one, other in read if one is not None and other is not None]
    if len(both) < 3:
        return False
    rows, columns = (np.stack(side) for side in zip(*both, strict=True))
    resemblance = rows @ columns.T
    others = np.where(np.eye(len(both), dtype=bool), -np.inf, resemblance)
    return float(np.mean(np.diag(resemblance) > others.max(axis=1) + 1e-6)) > 0.6


def _small(path: Path) -> Pixels | None:
    """A gray thumbnail of mean 0 and norm 1 as a row, or None where the file cannot be read."""
    try:
        photo = reader.read_rgb8(path)
    except ImageError:
        return None
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    row = cv2.resize(gray, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).ravel()
    row = row - row.mean()
    return np.asarray(row / max(float(np.linalg.norm(row)), 1e-6))
