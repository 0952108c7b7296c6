"""Optimizers and learning-rate schedules, built from their options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gantools.config.schema import (
    AdamOptions,
    AdamWOptions,
    ConstantSchedule,
    CosineSchedule,
    LinearDecaySchedule,
    OneCycleSchedule,
    StepSchedule,
)

Optimizer = AdamOptions | AdamWOptions
Schedule = ConstantSchedule | LinearDecaySchedule | StepSchedule | OneCycleSchedule | CosineSchedule


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: steps done of all steps, and passes over the data done."""

    step: int
    steps: int
    epoch: int

    @property
    def share(self) -> float:
        return self.step / self.steps


def build(
    options: Optimizer, networks: Mapping[str, nn.Module], rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of one player: a group per network, with its factor on the rate. Fused on every device."""
    factors = rates or {}
    groups = [
        {"params": list(network.parameters()), "factor": factors.get(name, 1.0)} for name, network in networks.items()
    ]
    if isinstance(options, AdamWOptions):
        return torch.optim.AdamW(groups, options.lr, options.betas, options.eps, options.weight_decay, fused=True)
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


def rate_factor(schedule: Schedule, progress: Progress) -> float:
    """What the base learning rate is multiplied by at ``progress`` (1 at the base rate)."""
    return _FACTORS[type(schedule)](schedule, progress)


def _linear_decay(schedule: LinearDecaySchedule, progress: Progress) -> float:
    decayed = max(0, progress.epoch + 1 - schedule.constant_epochs)
    return max(0.0, 1.0 - decayed / (schedule.decay_epochs + 1))


def _step(schedule: StepSchedule, progress: Progress) -> float:
    return schedule.factor ** sum(progress.share >= at for at in schedule.at)


def _one_cycle(schedule: OneCycleSchedule, progress: Progress) -> float:
    if progress.share < schedule.rise_share:
        return _half_cosine(schedule.start_factor, 1.0, progress.share / schedule.rise_share)
    return _half_cosine(1.0, schedule.end_factor, (progress.share - schedule.rise_share) / (1 - schedule.rise_share))


def _cosine(schedule: CosineSchedule, progress: Progress) -> float:
    if progress.step < schedule.warmup_steps:
        return (progress.step + 1) / schedule.warmup_steps
    done = (progress.step - schedule.warmup_steps) / max(1, progress.steps - schedule.warmup_steps)
    return _half_cosine(1.0, schedule.end_factor, done)


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, done))) / 2


_FACTORS: Mapping[type, Callable[[Any, Progress], float]] = {
    ConstantSchedule: lambda _schedule, _progress: 1.0,
    LinearDecaySchedule: _linear_decay,
    StepSchedule: _step,
    OneCycleSchedule: _one_cycle,
    CosineSchedule: _cosine,
}
