"""Optimizers, built from their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gantools.config.schema import AdamOptions, AdamWOptions, SgdOptions

OptimizerOptions = AdamOptions | AdamWOptions | SgdOptions


def build(
    options: OptimizerOptions, networks: Mapping[str, nn.Module], rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of one player: a group per network, with its factor on the rate. Fused on every device."""
    factors = rates or {}
    groups = [
        {"params": list(network.parameters()), "factor": factors.get(name, 1.0)} for name, network in networks.items()
    ]
    if isinstance(options, AdamWOptions):
        return torch.optim.AdamW(groups, options.lr, options.betas, options.eps, options.weight_decay, fused=True)
    if isinstance(options, SgdOptions):
        return torch.optim.SGD(groups, options.lr, options.momentum, fused=True)
    return torch.optim.Adam(groups, options.lr, options.betas, options.eps, fused=True)


def load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore an optimizer; moments take their parameter's memory layout, which fused kernels rely on.

    Raises ValueError for moments of other parameters.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter).copy_(value)
            elif isinstance(value, torch.Tensor) and value.dim():
                raise ValueError(f"{key} of shape {tuple(value.shape)} for a parameter of {tuple(parameter.shape)}")


def set_rate(optimizer: torch.optim.Optimizer, base: float, factor: float) -> None:
    """Give every group of ``optimizer`` the rate ``base × factor``, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = base * factor * group["factor"]
