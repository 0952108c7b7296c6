"""How far one set of images is from another: the Fréchet distance of features (Heusel et al., 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.imagenet import normalised
from gantools.images.ranges import to_tensor
from gantools.metrics import features

Vectors: TypeAlias = npt.NDArray[np.float64]

SMALLEST_PX = 32


class Embedder(Protocol):
    """Turns images into vectors, of which :func:`frechet` compares two sets."""

    def embed(self, image: Pixels) -> Vectors: ...


class FrechetDistance:
    """Embeds images; :func:`frechet` then compares two sets of them, of any sizes and numbers.

    An image's vector is the mean over positions of the last layer of ``network``'s ``features``. Differs from FID,
    which is this distance in one particular Inception network: metrics of different networks do not compare.
    ``weights`` is a file of torchvision's ``network``. Raises ModelFileError when it is not.
    """

    def __init__(self, weights: Path, network: str, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        module = features.load(weights, network)
        (self._layers,) = features.stages(module, (len(module.features) - 1,), self._device)  # type: ignore[arg-type]

    @torch.inference_mode()
    def embed(self, image: Pixels) -> Vectors:
        """One image's vector. Shapes: uint8 [H, W, 3] → float64 [C]."""
        if min(image.shape[:2]) < SMALLEST_PX:
            raise ImageError(f"an image of less than {SMALLEST_PX} px a side is too small for a feature network")
        activations = self._layers(normalised(to_tensor(image, self._device)))
        return np.asarray(activations.mean((0, 2, 3)).double().cpu().numpy())


def frechet(a: Vectors, b: Vectors) -> float:
    """Distance of the two normal distributions with the sets' means and covariances; 0 for equal ones.

    Shapes: (N, C) and (M, C); N and M at least 2. Small sets are further apart than large ones: compare equal numbers.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("a set of fewer than two images has no spread to compare")
    offset = np.square(a.mean(0) - b.mean(0)).sum()
    root_a, root_b = _root(a), _root(b)
    # The trace of (A B)^½ for A = RᵀR, B = SᵀS is the sum of the singular values of R Sᵀ, exact for few images too.
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return float(max(0.0, offset + np.square(root_a).sum() + np.square(root_b).sum() - 2 * shared))


def _root(vectors: Vectors) -> Vectors:
    """A matrix R with RᵀR = the covariance, of no more rows than are needed."""
    centred = (vectors - vectors.mean(0)) / np.sqrt(len(vectors) - 1)
    return centred if len(centred) <= centred.shape[1] else np.asarray(np.linalg.qr(centred, mode="r"))
