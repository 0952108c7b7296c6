"""Adaptive augmentation (ADA): images are changed at random before a discriminator sees them, as often as needed.

Paper: Karras 2020, arXiv 2006.06676. The authors' set ``bgc``: flips, turns and shifts by whole pixels; scaling,
turning and stretching; changes of colour. Differs from theirs: samples between pixels are bilinear, without their
wavelet filter, and outside of the image is its mirror.
"""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.training.distributed import communicator

ADJUSTED_EVERY = 4
"""Batches between adjustments of the probability."""


class AdaptiveAugmentation(nn.Module):
    """Every kind of change happens to an image with a ``probability`` that follows the discriminator's overfitting.

    ``target`` is the wanted mean sign of the scores of real images; within ``kimg`` thousand images the probability may
    rise from 0 to 1. Both and the interval are the authors'.
    Shapes: (N, C, H, W) → (N, C, H, W). Range: [-1, 1], colours may leave it.
    """

    probability: Tensor
    signs: Tensor

    def __init__(self, target: float = 0.6, kimg: float = 500.0) -> None:
        super().__init__()
        self.target, self.images = target, kimg * 1000
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(3))  # sum of signs, scores, batches; of a rank in the mean

    @torch.no_grad()
    def adjust(self, real_scores: Tensor) -> None:
        """Note the signs of a batch's scores on all ranks; after each fourth batch the probability takes a step."""
        ranks = communicator.current()
        noted = real_scores.sign().sum(), real_scores.new_full((), real_scores.numel()), real_scores.new_ones(())
        self.signs += ranks.mean(torch.stack(noted).float())
        due = self.signs[2] >= ADJUSTED_EVERY
        images = self.signs[1] * ranks.world_size
        step = (self.signs[0] / self.signs[1] - self.target).sign() * images / self.images
        self.probability.copy_(torch.where(due, (self.probability + step).clamp(0, 1), self.probability))
        self.signs *= ~due

    def forward(self, image: Tensor) -> Tensor:
        return self._colored(self._moved(image.float()))

    def _happens(self, values: Tensor, unchanged: float, probability: Tensor | None = None) -> Tensor:
        """``values`` (N, …) for the images to which a change happens, ``unchanged`` for the others."""
        probability = self.probability if probability is None else probability
        chance = torch.rand(len(values), *[1] * (values.ndim - 1), device=values.device)
        return torch.where(chance < probability, values, unchanged)

    def _moved(self, image: Tensor) -> Tensor:
        """All changes of place in one: the matrices are multiplied, then the image is sampled once."""
        count, _, height, width = image.shape
        uniform = torch.rand(6, count, device=image.device)
        normal = torch.randn(4, count, device=image.device)
        flip = 1 - 2 * self._happens((uniform[0] < 0.5).float(), 0)
        quarter = self._happens((uniform[1] * 4).floor(), 0) * (pi / 2)
        sides = torch.stack((image.new_full((), width), image.new_full((), height)))
        whole = self._happens(((2 * uniform[2:4].t() - 1) * sides / 8).round() * 2 / sides, 0)
        scale = self._happens((0.2 * log(2) * normal[0]).exp(), 1)
        each_turn = 1 - (1 - self.probability).sqrt()  # so that one of the two happens with the probability
        before, after = (self._happens((2 * uniform[at] - 1) * pi, 0, each_turn) for at in (4, 5))
        stretch = self._happens((0.2 * log(2) * normal[1]).exp(), 1)
        shift = self._happens(normal[2:4].t() / 4, 0)
        one, zero = torch.ones_like(flip), torch.zeros_like(flip)
        matrix = _linear(flip, zero, zero, one) @ _turn(quarter) @ _linear(scale, zero, zero, scale)
        matrix = matrix @ _turn(before) @ _linear(stretch, zero, zero, 1 / stretch) @ _turn(after)
        moved = torch.cat((matrix, (whole + shift)[:, :, None]), dim=2)
        grid = functional.affine_grid(moved, list(image.shape), align_corners=False)
        return functional.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def _colored(self, image: Tensor) -> Tensor:
        """Brightness, contrast, inverted luminance, hue, saturation; gray images have the first three."""
        count, channels = image.shape[:2]
        normal, uniform = torch.randn(3, count, device=image.device), torch.rand(2, count, device=image.device)
        brightness = self._happens(0.2 * normal[0], 0)
        contrast = self._happens((0.5 * log(2) * normal[1]).exp(), 1)
        invert = self._happens((uniform[0] < 0.5).float(), 0)
        image = (image + _per_image(brightness)) * _per_image(contrast)
        gray = image.mean(dim=1, keepdim=True)
        image = image - 2 * _per_image(invert) * gray
        if channels == 1:
            return image
        angle = self._happens((2 * uniform[1] - 1) * pi, 0)
        saturation = self._happens((log(2) * normal[2]).exp(), 1)
        axis = torch.ones(3, device=image.device) / 3**0.5
        along = torch.outer(axis, axis)
        across = torch.linalg.cross(torch.eye(3, device=image.device), axis.expand(3, 3))
        turned = torch.eye(3, device=image.device) - along
        cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
        matrix = along + saturation[:, None, None] * (cosine * turned + sine * across)
        return torch.einsum("nij,njhw->nihw", matrix, image)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _linear(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Matrices [[a, b], [c, d]]. Shapes: (N) each → (N, 2, 2)."""
    return torch.stack((torch.stack((a, b), dim=1), torch.stack((c, d), dim=1)), dim=1)


def _turn(angle: Tensor) -> Tensor:
    return _linear(angle.cos(), -angle.sin(), angle.sin(), angle.cos())
