"""A step of any stage: accumulated gradients, clipping, who is frozen, overflows; and whose turn it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools.config.schema import AdamOptions, GanOptimizers
from gantools.errors import NonFiniteError
from gantools.training.device.runtime import Runtime
from gantools.training.recipe import LossTerms, Player, Stage
from gantools.training.step import StageTrainer
from gantools.training.turns import Alternate, CriticRatio, ThresholdSwitch


class Batch:
    """Numbers with file names."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.names = values, ("a.png", "b.png")


def trainer(players, *, forward=lambda batch: None, optimizers=None, precision="fp32", **more) -> StageTrainer:
    """Of a stage whose players take turns in their order."""
    recipe = type("Plain", (), {"forward": staticmethod(forward)})()
    options = optimizers or GanOptimizers()
    stage = Stage("only", Alternate(*players), players)
    return StageTrainer(recipe, stage, options, Runtime(torch.device("cpu"), precision), **more)


def test_accumulated_batches_equal_one_large_batch():
    values, results = torch.randn(4, 3), []
    for parts in ([values], [values[:2], values[2:]]):
        torch.manual_seed(0)
        network = nn.Linear(3, 1)

        def loss(batch, made, network=network):
            return LossTerms(square=network(batch.values).square().mean())

        trainer({"generator": Player({"generator": network}, loss)}).step(0, [Batch(part) for part in parts], 1.0)
        results.append(network.weight.detach().clone())
    assert torch.allclose(results[0], results[1], atol=1e-7)


def test_gradients_are_clipped_to_the_given_norm():
    network = nn.Linear(3, 1)
    player = Player({"generator": network}, lambda batch, made: LossTerms(big=1000 * network(batch.values).mean()))
    clipped = GanOptimizers(generator=AdamOptions(clip_norm=0.01))
    trainer({"generator": player}, optimizers=clipped).step(0, [Batch(torch.randn(4, 3))], 1.0)
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_others_are_frozen_during_a_turn_and_rest_in_their_mode():
    seen, g, d = {}, nn.Linear(2, 2), nn.Linear(2, 1)

    def g_loss(batch, made):
        seen["generator"] = (d.weight.requires_grad, d.training, g.weight.requires_grad)
        return LossTerms(fool=d(made).mean())

    def d_loss(batch, made):
        seen["discriminator"] = (g.weight.requires_grad, g.training, made.requires_grad)
        return LossTerms(judge=d(made.detach()).mean())

    players = {
        "discriminator": Player({"d": d}, d_loss, frozen_mode="eval"),
        "generator": Player({"g": g}, g_loss),
    }
    trainer(players, forward=lambda batch: g(batch.values)).step(0, [Batch(torch.randn(3, 2))], 1.0)
    assert seen["discriminator"] == (False, True, True)  # the generator's graph waits for its own turn
    assert seen["generator"] == (False, False, True)  # the critic is frozen and, as it asked, in eval mode
    assert d.weight.grad is not None


def overflowing() -> StageTrainer:
    """In fp16 the generator's gradients are infinite in every step, the discriminator's never."""
    g, d = nn.Linear(3, 1), nn.Linear(3, 1)
    players = {
        "generator": Player({"g": g}, lambda batch, _: LossTerms(steep=(1e38 * g(batch.values).float()).sum())),
        "discriminator": Player({"d": d}, lambda batch, _: LossTerms(flat=d(batch.values).float().mean())),
    }
    return trainer(players, precision="fp16", max_skipped_steps=3)


def test_a_player_that_overflows_again_and_again_is_noticed_beside_one_that_does_not():
    made, batch = overflowing(), Batch(torch.ones(2, 3))
    before = made.stage.players["generator"].networks["g"].weight.clone()
    for step in range(3):
        made.step(step, [batch], 1.0)
    assert torch.equal(made.stage.players["generator"].networks["g"].weight, before)
    assert made.state()["skipped"] == {"generator": 3, "discriminator": 0}
    resumed = overflowing()
    resumed.load_state(made.state())
    for each in (made, resumed):
        with pytest.raises(NonFiniteError, match="fp16 gradients of generator overflowed 4 steps in a row"):
            each.step(3, [batch], 1.0)
    resumed.load_state({**made.state(), "skipped": 2})  # as checkpoints once counted for all players
    assert resumed.state()["skipped"] == {"generator": 0, "discriminator": 0}


def test_the_generator_follows_every_fifth_critic_step():
    turns = [CriticRatio(5).turns(step, {}) for step in range(10)]
    assert [len(players) for players in turns] == [1, 1, 1, 1, 2] * 2
    assert turns[4] == ("discriminator", "generator")


def test_the_switch_waits_for_the_critic_to_win_and_remembers_whose_turn_it_was():
    switch = ThresholdSwitch(0.65)
    played = [switch.turns(0, {})]
    played += [switch.turns(0, {"discriminator": loss}) for loss in (0.9, 0.65, 0.6)]
    resumed = ThresholdSwitch(0.65)
    resumed.load_state(switch.state())
    played += [resumed.turns(0, {"discriminator": loss}) for loss in (0.1, 0.8)]  # of before the generator's turn
    assert [name[0] for (name,) in played] == ["d", "d", "d", "g", "d", "d"]
    with pytest.raises(ValueError, match="keeps no state"):
        Alternate("g").load_state({"last": "g"})
