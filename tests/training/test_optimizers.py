"""Optimizers carry their options; schedules follow their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gantools.config.schedules import (
    ConstantSchedule,
    CosineSchedule,
    LinearDecaySchedule,
    OneCycleSchedule,
    StageProgress,
    StepSchedule,
)
from gantools.config.schema import AdamOptions, AdamWOptions
from gantools.training import optimizers


def at_epoch(epoch: int) -> StageProgress:
    return StageProgress(step=epoch * 10, steps=2000, epoch=epoch)


def test_linear_decay_is_the_papers_lambda():
    """100 epochs at the base rate, then 100 that each have a lower one: epochs 100 to 199, counted from 0."""
    schedule = LinearDecaySchedule(constant_epochs=100, decay_epochs=100)
    factors = [schedule.rate_factor(at_epoch(epoch)) for epoch in range(202)]
    assert factors[:100] == [1] * 100
    assert factors[100:200] == pytest.approx([1 - k / 101 for k in range(1, 101)])
    assert factors[200:] == [0, 0]
    assert LinearDecaySchedule(constant_epochs=0, decay_epochs=3).rate_factor(at_epoch(0)) == 0.75


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (ConstantSchedule(), {0.9: 1}),
        (StepSchedule(at=(0.5, 0.75), factor=0.1), {0: 1, 0.499: 1, 0.5: 0.1, 0.75: 0.01}),
        (
            OneCycleSchedule(rise_share=0.25, start_factor=0.04, end_factor=1e-5),
            {0: 0.04, 0.125: 0.52, 0.25: 1, 1: 1e-5},
        ),
        (
            CosineSchedule(warmup_steps=100, end_factor=0.01),
            {0: 0.01, 0.1: 1, 0.55: 0.01 + 0.99 * (1 + math.cos(math.pi / 2)) / 2, 1: 0.01},
        ),
    ],
)
def test_schedules_follow_their_formulas(schedule, factors):
    """By the share of the stage that is done."""
    for share, factor in factors.items():
        assert schedule.rate_factor(StageProgress(round(share * 1000), 1000, 0)) == pytest.approx(factor)


@pytest.mark.parametrize("options", [AdamOptions(lr=3e-4, betas=(0.5, 0.9)), AdamWOptions(weight_decay=0.1)])
def test_optimizers_carry_their_options(options):
    optimizer = optimizers.build(options, {"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (options.lr, options.betas, options.eps)
        assert group["weight_decay"] == (options.weight_decay if options.name == "adamw" else 0)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]


def test_a_network_may_have_a_rate_of_its_own():
    networks = {"encoder": nn.Linear(2, 2), "decoder": nn.Linear(2, 2)}
    optimizer = optimizers.build(AdamOptions(lr=1e-3), networks, {"encoder": 0.01})
    optimizers.set_rate(optimizer, 1e-3, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([5e-6, 5e-4])


def test_restored_moments_take_the_layout_of_their_weights():
    network = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    optimizer = optimizers.build(AdamOptions(), {"only": network})
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    for moments in state["state"].values():
        moments.update({key: value.contiguous() for key, value in moments.items()})
    optimizers.load(optimizer, state)
    assert optimizer.state[network.weight]["exp_avg"].stride() == network.weight.stride()
