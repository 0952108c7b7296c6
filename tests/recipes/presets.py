"""Presets as configurations and as recipes without memory, and what their networks consist of."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gantools import api
from gantools.config.schedules import StageProgress


def config(spec: str, *overrides: str) -> Any:
    return api.configure(spec, data=["photos"], overrides=overrides).config


def built(spec: str, *overrides: str, device: str = "meta") -> Any:
    settings = api.configure(spec, data=["photos"], overrides=overrides)
    torch.manual_seed(0)
    with torch.device(device):
        return settings.recipe(settings.config)


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def of_type(network: nn.Module, *kinds: type[nn.Module]) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, kinds)]


def widths(network: nn.Module) -> list[int]:
    return [layer.out_channels for layer in of_type(network, nn.Conv2d)]


def adam(stage: Any) -> set[tuple[Any, ...]]:
    """The optimizers of a stage's players."""
    return {(options.name, options.lr, options.betas) for options in dict(stage.optimizers).values()}


def rates(stage: Any, epochs: int, at: tuple[int, ...]) -> list[float]:
    """Factors of the learning rate in these epochs."""
    return [stage.schedule.rate_factor(StageProgress(epoch, epochs, epoch)) for epoch in at]
