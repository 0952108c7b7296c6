"""Sets of images beside each other: precision and recall, kernel distance, spread, nearest neighbours, fine detail.

A set is a matrix of feature vectors, a row per image, but for :func:`detail`, which reads the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels

Vectors: TypeAlias = npt.NDArray[np.floating]

NEIGHBOURS = 3
"""A set's region reaches from each of its vectors to the third nearest of its own (Kynkäänniemi 2019)."""
SMALL_PX = 16


def small(images: Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """Images as vectors at a common small size. Shapes: N images uint8 [H, W, C] → [N, 16 · 16 · C]."""
    size = (SMALL_PX, SMALL_PX)
    shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(-1) for image in images]
    return np.stack(shrunk).astype(np.float32)


def spread(vectors: Vectors) -> float:
    """The mean RMS distance of one vector from the next. Shapes: [N, C]."""
    return float(np.sqrt(np.square(vectors - np.roll(vectors, 1, axis=0)).mean(axis=1)).mean())


def nearest(vectors: Vectors, known: Vectors) -> npt.NDArray[np.float64]:
    """Each vector's RMS distance to the nearest known one. Shapes: [N, C], [M, C] → [N]."""
    parts = np.array_split(vectors, max(1, len(vectors) // 256))
    squares = np.concatenate([_squared_distances(part, known).min(axis=1) for part in parts])
    return np.asarray(np.sqrt(squares / vectors.shape[1]), np.float64)


def precision_recall(made: Vectors, real: Vectors) -> tuple[float, float]:
    """The share of made vectors within the real ones' region, and of real ones within the made ones' region.

    Shapes: [N, C], [M, C], both with more than 3 rows. Range: 0 to 1. Paper: Kynkäänniemi 2019, arXiv 1904.06991.
    """
    return _inside(made, real), _inside(real, made)


def _inside(vectors: Vectors, region: Vectors) -> float:
    reach = np.sort(_squared_distances(region, region), axis=1)[:, NEIGHBOURS]
    return float((_squared_distances(vectors, region) <= reach).any(axis=1).mean())


def _squared_distances(a: Vectors, b: Vectors) -> npt.NDArray[np.float64]:
    """Shapes: [N, C], [M, C] → [N, M]."""
    squares = np.square(a).sum(axis=1, keepdims=True) - 2 * a @ b.T + np.square(b).sum(axis=1)
    return np.asarray(np.maximum(squares, 0), np.float64)


def kernel_distance(made: Vectors, real: Vectors) -> float:
    """Squared maximum mean discrepancy with the kernel (x·y / C + 1)³, unbiased: about 0 for sets of one kind.

    Features are divided by the RMS of the real ones first: those of other networks than Inception can be large.
    Shapes: [N, C], [M, C]; N and M at least 2. Paper: Bińkowski 2018, arXiv 1801.01401 (KID, there on Inception).
    """

    scale = np.sqrt(np.square(real).mean())

    def kernel(a: Vectors, b: Vectors) -> npt.NDArray[np.float64]:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3, np.float64)

    def within(a: Vectors) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    made, real = made / scale, real / scale
    return within(made) + within(real) - 2 * float(kernel(made, real).mean())


def detail(images: Sequence[Pixels]) -> float:
    """Mean squared difference of images from their half-size copies enlarged again. Range: 0 to 255².

    Shapes: N images uint8 [H, W, C], sides even. The finest band of a Laplacian pyramid (Denton 2015).
    """
    energies = []
    for image in images:
        fine = image.astype(np.float32)
        height, width = fine.shape[:2]
        coarse = cv2.resize(fine, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        back = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        energies.append(float(np.square(fine - back.reshape(fine.shape)).mean()))
    return float(np.mean(energies))


def moments(images: Sequence[Pixels]) -> dict[str, npt.NDArray[np.float64]]:
    """What is drawn, in four numbers an image: slant, width, height, and mean brightness.

    The image's difference from its border's median is its weight; slant is the covariance of x and y over the variance
    of y. Shapes: N images uint8 [H, W, C] → [N] each.
    """
    gray = np.stack([image.astype(np.float64).mean(axis=2) for image in images])
    border = np.concatenate([gray[:, 0], gray[:, -1], gray[:, :, 0], gray[:, :, -1]], axis=1)
    weight = np.abs(gray - np.median(border, axis=1)[:, None, None]) + 1e-9
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    y, x = np.mgrid[: gray.shape[1], : gray.shape[2]].astype(np.float64)
    down = y - (weight * y).sum(axis=(1, 2))[:, None, None]
    right = x - (weight * x).sum(axis=(1, 2))[:, None, None]
    across, along, both = ((weight * part).sum(axis=(1, 2)) for part in (right**2, down**2, right * down))
    return {
        "slant": both / np.maximum(along, 1e-9),
        "width": np.sqrt(across),
        "height": np.sqrt(along),
        "brightness": gray.mean(axis=(1, 2)),
    }


def correlation(a: Vectors, b: Vectors) -> float:
    """The absolute value of Pearson's correlation; 0 where one of the two does not vary. Shapes: [N], [N]."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return abs(float((a * b).sum())) / scale if scale > 1e-9 else 0.0
