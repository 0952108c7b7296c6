"""Exponential moving average of the exported networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """Follows the weights and running statistics of ``networks``; other buffers are copied.

    Statistics are averaged like the weights: those of the present weights alone do not fit averaged ones while the
    learning rate is high.

    The decay is warmed up as (1 + n) / (10 + n), so that the average of a short run is not its first weights. n counts
    a tensor's own updates: layers that a later stage begins to train are warmed up then. The average of layers that
    have had no gradient in the present stage stays.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.networks, self.decay = dict(networks), decay
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
        self.updates = {name: dict.fromkeys(average, 0) for name, average in self.average.items()}
        self.begin_stage()

    def begin_stage(self) -> None:
        """Layers are followed from their first gradient on."""
        for network in self.networks.values():
            network.zero_grad(set_to_none=True)
        self._resting = {name: _layers(network) for name, network in self.networks.items()}
        # Listed once: to walk a network takes a part of every step.
        self._present = {name: network.state_dict(keep_vars=True) for name, network in self.networks.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the present weights."""
        for name, network in self.networks.items():
            average, present, updates = self.average[name], self._present[name], self.updates[name]
            if copied := self._copied[name]:
                torch._foreach_copy_([average[key] for key in copied], [present[key] for key in copied])
            resting = self._resting[name] = _without_gradient(network, self._resting[name])
            groups: dict[int, list[str]] = {}
            for key in present:
                if key not in self._copied[name] and key.rpartition(".")[0] not in resting:
                    groups.setdefault(updates[key], []).append(key)
            for count, keys in groups.items():
                decay = min(self.decay, (1 + count) / (10 + count))
                torch._foreach_lerp_([average[key] for key in keys], [present[key] for key in keys], 1 - decay)
                updates.update(dict.fromkeys(keys, count + 1))

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
        resting = {name: sorted(layers) for name, layers in self._resting.items()}
        return {"updates": self.updates, "resting": resting, "average": self.average}

    def load_state(self, state: Mapping[str, Any]) -> None:
        stored, updates = state["average"], state["updates"]
        for name, tensors in self.average.items():
            # Older checkpoints have one number for all tensors, which were all followed.
            counts = updates[name] if isinstance(updates, dict) else dict.fromkeys(tensors, updates)
            self.updates[name] = {key: int(counts[key]) for key in tensors}
            self._resting[name] = set(state["resting"][name]) if "resting" in state else set()
            for key, value in tensors.items():
                value.copy_(stored[name][key])

    def _put(self, states: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(states[name])


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


def _layers(network: nn.Module) -> set[str]:
    """Names of the modules that have parameters of their own."""
    return {name.rpartition(".")[0] for name, _ in network.named_parameters()}


def _without_gradient(network: nn.Module, layers: set[str]) -> set[str]:
    """Those of the layers of which no parameter has a gradient."""
    return {
        name
        for name in layers
        if all(parameter.grad is None for parameter in network.get_submodule(name).parameters(recurse=False))
    }
