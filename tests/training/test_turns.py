"""Whose turn it is."""

from __future__ import annotations

import pytest

from gantools.training.turns import Alternate, CriticRatio, ThresholdSwitch


def test_the_generator_follows_every_fifth_critic_step():
    turns = [CriticRatio(5).turns(step, {}) for step in range(10)]
    assert [len(players) for players in turns] == [1, 1, 1, 1, 2] * 2
    assert turns[4] == ("discriminator", "generator")


def test_the_switch_waits_for_the_critic_to_win():
    switch, losses = ThresholdSwitch(0.65), iter([0.9, 0.7, 0.6, None, 0.8])
    played = [switch.turns(0, {})]
    for loss in losses:
        played.append(switch.turns(0, {"discriminator": loss if loss is not None else 0.1}))
    names = [players[0] for players in played]
    # critic 0.9, critic 0.7, critic 0.6 -> generator, then the critic again whatever its old loss was
    assert names == ["discriminator", "discriminator", "discriminator", "generator", "discriminator", "discriminator"]


def test_the_switch_remembers_whose_turn_it_was():
    first = ThresholdSwitch(0.65)
    first.turns(0, {})
    second = ThresholdSwitch(0.65)
    second.load_state(first.state())
    assert second.turns(1, {"discriminator": 0.1}) == ("generator",)


def test_a_policy_without_memory_refuses_another_ones_state():
    with pytest.raises(ValueError, match="keeps no state"):
        Alternate("g").load_state({"last": "g"})
