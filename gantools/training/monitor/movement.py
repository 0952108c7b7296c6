"""How far weights go: a learning rate that is far too high shows there first, whatever recipe, losses and pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import torch
from torch import Tensor, nn

KEPT_WAYS = 8
"""Rows of every 100 steps still see a way three times."""
_SAMPLED = 4096
_LEAST_ROWS = 4

_Sample = dict[str, Tensor]


class Movement:
    """Follows a sample of every network's weights. Nothing as large as a network is kept, nothing drawn at random.

    The longest of the last ways is what counts: behind a norm, weights that were thrown far away hardly move any more.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._weights = {
            name: [weight for weight in network.parameters() if weight.dim() > 1] for name, network in networks.items()
        }
        self.begin()

    def begin(self) -> None:
        """A stage begins, or goes on: what the weights did before does not count."""
        self._before = self._sample()
        self._ways: deque[Tensor] = deque(maxlen=KEPT_WAYS)

    def mark(self) -> None:
        """Measure the way since the last mark; nothing waits for the device."""
        now = self._sample()
        ways = [_share(now[name] - before, before) for name, before in self._before.items()]
        self._ways += [torch.stack(ways).max()] if ways else []
        self._before = now

    def longest(self) -> float:
        """The longest of the last eight ways of a network from mark to mark, as a share of what its weights were.

        ‖now - before‖ / ‖before‖; 0 before the first mark.
        """
        return float(torch.stack(list(self._ways)).max()) if self._ways else 0.0

    @torch.no_grad()
    def _sample(self) -> _Sample:
        """Some thousand values of every matrix and kernel of each network, always the same ones, as one vector."""
        return {
            name: torch.cat([_some(weight.detach()) for weight in weights])
            for name, weights in self._weights.items()
            if weights
        }


def _share(way: Tensor, before: Tensor) -> Tensor:
    """The length of one vector as a share of another's; 0 for one that was nothing, as layers that start at zero."""
    length = before.norm()
    return torch.where(length > 0, way.norm() / length, 0.0)


def _some(weight: Tensor) -> Tensor:
    """Every n-th row of a matrix or kernel: about 4096 values, four rows at least."""
    apart = max(1, min(weight.numel() // _SAMPLED, len(weight) // _LEAST_ROWS))
    return weight[::apart].float().reshape(-1)
