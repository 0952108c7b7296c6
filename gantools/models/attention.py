"""Self-attention over the positions of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

MOST_WEIGHTS = 1 << 24
"""Attention weights held at once outside training: 64 MiB in float32. Large images are worked through in parts."""


class SelfAttention(nn.Module):
    """Add to each position what it finds at all others: y = x + γ · value · softmax(keyᵀ · query), γ starting at 0.

    Shapes: (N, C, H, W) → (N, C, H, W).
    Paper: Zhang 2018, arXiv 1805.08318, as in fastai: value keeps all channels, no convolution after it, and the
    weights are not scaled by the width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = _projection(channels, max(1, channels // 8))
        self.key = _projection(channels, max(1, channels // 8))
        self.value = _projection(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        query, key = self.query(features).flatten(2).mT, self.key(features).flatten(2)
        value = self.value(features).flatten(2).mT
        parts = (query,)
        if not torch.is_grad_enabled() and not torch.compiler.is_exporting():  # an exported graph has no sizes yet
            parts = query.split(max(1, MOST_WEIGHTS // (len(features) * key.shape[2])), dim=1)
        found = torch.cat([(part @ key).softmax(dim=2).to(value.dtype) @ value for part in parts], dim=1)
        return features + self.gamma * found.mT.reshape(features.shape)


def _projection(inputs: int, outputs: int) -> nn.Module:
    return parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
