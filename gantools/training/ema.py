"""Exponential moving average of the exported networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Follows the weights and running statistics of ``networks``; other buffers are copied.

    Statistics are averaged like the weights: those of the present weights alone do not fit averaged ones while the
    learning rate is high.

    The decay is warmed up as (1 + n) / (10 + n), so that the average of a short run is not its first weights.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.networks, self.decay, self.updates = dict(networks), decay, 0
        # Buffers of which an average makes no sense: counters, the vectors of a spectral norm.
        self._copied = {
            name: [
                key
                for key, _ in network.named_buffers()
                if key in network.state_dict() and not key.endswith(("running_mean", "running_var"))
            ]
            for name, network in networks.items()
        }
        self.average = {name: _copy(network) for name, network in networks.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, network in self.networks.items():
            average, present = self.average[name], network.state_dict()
            followed = [key for key in present if key not in self._copied[name]]
            torch._foreach_lerp_([average[key] for key in followed], [present[key] for key in followed], 1 - decay)
            for key in self._copied[name]:
                average[key].copy_(present[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the networks carry the average; afterwards their own weights again."""
        own = {name: _copy(network) for name, network in self.networks.items()}
        self._put(self.average)
        try:
            yield
        finally:
            self._put(own)

    def state(self) -> dict[str, object]:
        return {"updates": self.updates, "average": self.average}

    def load_state(self, state: Mapping[str, object]) -> None:
        self.updates = int(str(state["updates"]))
        stored = state["average"]
        assert isinstance(stored, dict)
        for name, tensors in self.average.items():
            for key, value in tensors.items():
                value.copy_(stored[name][key])

    def _put(self, states: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(states[name])


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}
