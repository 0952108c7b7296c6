"""DiffAugment: random changes of what a discriminator sees, real and fake alike, that gradients pass through.

Paper: Zhao et al. 2020, arXiv 2006.10738. With few images a discriminator learns them by heart without it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

BRIGHTNESS = 0.5
TRANSLATION, CUTOUT = 1 / 8, 1 / 2
"""Largest shift and side of the square that is cut out, as shares of the image's sides."""


def augment(image: Tensor, policies: Iterable[str]) -> Tensor:
    """Each image by its own random numbers. Shapes: (N, C, H, W). Range: [-1, 1], colours may leave it.

    ``policies``: ``color`` (brightness ± 0.5, saturation × 0 to 2, contrast × 0.5 to 1.5), ``translation`` (up to an
    eighth of the sides, zeros outside), ``cutout`` (a square of half the sides becomes zero).
    """
    for policy in policies:
        image = {"color": _color, "translation": _translation, "cutout": _cutout}[policy](image)
    return image


def _random(image: Tensor, low: float, high: float) -> Tensor:
    """A number for each image. Shapes: (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(len(image), 1, 1, 1, device=image.device, dtype=image.dtype)


def _color(image: Tensor) -> Tensor:
    image = image + _random(image, -BRIGHTNESS, BRIGHTNESS)
    gray = image.mean(1, keepdim=True)
    image = gray + (image - gray) * _random(image, 0, 2)
    mean = image.mean((1, 2, 3), keepdim=True)
    return mean + (image - mean) * _random(image, 0.5, 1.5)


def _translation(image: Tensor) -> Tensor:
    sides = image.shape[2:]
    padded = functional.pad(image, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    places = []
    for side in sides:
        most = round(side * TRANSLATION)
        shift = torch.randint(-most, most + 1, (len(image), 1), device=image.device)
        places.append((torch.arange(1, side + 1, device=image.device) + shift).clamp(0, side + 1))
    rows, columns = places
    chosen = torch.arange(len(image), device=image.device)[:, None, None]
    return padded[chosen, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cutout(image: Tensor) -> Tensor:
    inside = []
    for side in image.shape[2:]:
        size = round(side * CUTOUT)
        first = torch.randint(side + 1 - size % 2, (len(image), 1), device=image.device) - size // 2
        at = torch.arange(side, device=image.device)
        inside.append((at >= first) & (at < first + size))
    rows, columns = inside
    return image * ~(rows[:, None, :, None] & columns[:, None, None, :])
