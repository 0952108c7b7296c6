"""The smoothest continuation of what surrounds a square: every pixel is the mean of its four neighbours."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def harmonic_square(image: Tensor, side_px: int) -> Tensor:
    """What the pixels around the middle square of ``image`` give inside it. Exact, without iterations.

    Each edge is taken apart into sine waves along it; a wave of frequency k fades inwards as sinh(μ·depth), with
    cosh μ = 2 - cos(πk / (side + 1)), and the four edges add up.
    Shapes: (N, C, H, W) → (N, C, side_px, side_px). Range: that of the surrounding pixels.
    """
    top, left = (image.shape[-2] - side_px) // 2, (image.shape[-1] - side_px) // 2
    rows, columns = slice(top, top + side_px), slice(left, left + side_px)
    waves, fading = _waves(side_px, image), _fading(side_px, image)
    above, below = image[..., top - 1, columns] @ waves, image[..., top + side_px, columns] @ waves
    before, after = image[..., rows, left - 1] @ waves, image[..., rows, left + side_px] @ waves
    vertical = (fading * above.unsqueeze(-2) + fading.flip(0) * below.unsqueeze(-2)) @ waves
    horizontal = (fading * before.unsqueeze(-2) + fading.flip(0) * after.unsqueeze(-2)) @ waves
    return vertical + horizontal.transpose(-1, -2)


def _widest(device: torch.device) -> torch.dtype:
    """The widest float that a device has: Metal has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _waves(side_px: int, like: Tensor) -> Tensor:
    """The orthonormal sine transform, its own inverse. Shapes: (position, frequency)."""
    count = torch.arange(1, side_px + 1, device=like.device)
    # Whole turns are taken off while the phase is a whole number, so that float32 is exact enough.
    phase = (count[:, None] * count % (2 * (count[-1:] + 1))).to(_widest(like.device))
    # The last count plus one is side_px + 1; as a tensor it stays what the image makes it in an exported graph.
    waves = torch.sin(math.pi / (side_px + 1) * phase) * (2 / (count[-1:] + 1).to(phase)).sqrt()
    return waves.to(like.dtype)


def _fading(side_px: int, like: Tensor) -> Tensor:
    """What is left of each wave at each depth from its edge. Shapes: (depth, frequency)."""
    count = torch.arange(1, side_px + 1, device=like.device, dtype=_widest(like.device))
    # acosh(2 - cos x) = 2 asinh(sin(x / 2)), which keeps the digits of a small x; onnxruntime has no asinh in float64
    sine, depth, whole = torch.sin(math.pi / (2 * (side_px + 1)) * count), count[:, None], side_px + 1
    rate = 2 * torch.log1p(sine + sine.square() / (1 + (1 + sine.square()).sqrt()))
    # sinh(μ(whole - depth)) / sinh(μ·whole) without overflow
    fading = torch.exp(-rate * depth) * torch.expm1(-2 * rate * (whole - depth)) / torch.expm1(-2 * rate * whole)
    return fading.to(like.dtype)
