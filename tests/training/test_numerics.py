"""Steps of the loop equal a loop written out by hand, to the last bit."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gantools import api
from gantools.errors import NonFiniteError
from gantools.training.device.runtime import Runtime
from gantools.training.recipe import LossTerms, Player, Stage
from gantools.training.step import StageTrainer
from gantools.training.turns import Alternate
from tests.training.by_hand import assert_same_weights, batches, first, trained

STEPS = 4


def test_pix2pix_steps_equal_a_hand_written_loop(tiny, tmp_path):
    settings = tiny("pix2pix/shoes-64", f"stages.adversarial.steps={STEPS}", "train.ema_decay=null")
    ours = trained(settings, tmp_path / "run")

    hand = first(settings)
    g, d = hand.generator, hand.discriminator
    g_adam = torch.optim.Adam(g.parameters(), 4e-4, (0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(d.parameters(), 1e-4, (0.5, 0.999), fused=True)
    for _, batch in zip(range(STEPS), batches(settings), strict=False):
        fake = g(batch.source)
        real_logits = d(torch.cat((batch.source, batch.target), 1))
        fake_logits = d(torch.cat((batch.source, fake.detach()), 1))
        d_loss = 0.5 * (((real_logits - 1) ** 2).mean() + (fake_logits**2).mean())
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        d.requires_grad_(False)
        g_loss = ((d(torch.cat((batch.source, fake), 1)) - 1) ** 2).mean() + 100 * (fake - batch.target).abs().mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        d.requires_grad_(True)

    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminator, d)


def test_srgan_stages_equal_a_hand_written_loop(tiny, tmp_path):
    flat = "{name: constant}"
    settings = tiny(
        "srgan/compact",
        f"stages.pretraining.schedule={flat}",
        f"stages.adversarial.schedule={flat}",
        "model.adversarial={name: vanilla}",
        "train.ema_decay=null",
    )
    ours = trained(settings, tmp_path / "run")

    hand = first(settings)
    g, d, stream = hand.generator, hand.discriminator, batches(settings)
    adam = torch.optim.Adam(g.parameters(), 5e-4, (0.9, 0.999), fused=True)
    for _ in range(2):
        batch = next(stream)
        adam.zero_grad()
        (g(batch.low) - batch.high).abs().mean().backward()
        adam.step()
    g_adam = torch.optim.Adam(g.parameters(), 2e-4, (0.9, 0.999), fused=True)
    d_adam = torch.optim.Adam(d.parameters(), 1e-4, (0.9, 0.999), fused=True)
    for _ in range(2):
        batch = next(stream)
        fake = g(batch.low)
        real_logits, fake_logits = d(batch.high), d(fake.detach())
        real_side = functional.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        fake_side = functional.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        d_adam.zero_grad()
        (real_side + fake_side).backward()
        d_adam.step()
        d.requires_grad_(False)
        logits = d(fake)
        adversarial = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        g_adam.zero_grad()
        shared = functional.avg_pool2d(functional.pixel_unshuffle(fake - batch.high, 4), 4, stride=1)
        by_place = shared.view(len(fake), 3, 16, *shared.shape[2:])
        lattice = (by_place - by_place.mean(dim=2, keepdim=True)).square().mean()
        (0.02 * adversarial + 0.3 * (fake - batch.high).abs().mean() + 2000 * lattice).backward()
        g_adam.step()
        d.requires_grad_(True)

    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminator, d)


def play(network: torch.nn.Module, player: Player, settings: api.Settings) -> StageTrainer:
    class Plain:
        def forward(self, batch):
            return network(batch)

    stage = Stage("only", Alternate("generator"), {"generator": player})
    options = settings.config.stages.adversarial.optimizers
    return StageTrainer(Plain(), stage, options, Runtime(torch.device("cpu"), "fp32"))


class Named:
    """A batch of numbers with file names."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.names = values, ("a.png", "b.png")


def test_accumulated_batches_equal_one_large_batch(tiny):
    settings, values = tiny("pix2pix/shoes-64"), torch.randn(4, 3)
    results = []
    for parts in ([values], [values[:2], values[2:]]):
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 1)

        def loss(batch, made, network=network):
            return LossTerms(square=network(batch.values).square().mean())

        player = Player({"generator": network}, loss)
        stage = play(torch.nn.Identity(), player, settings)
        stage.recipe.forward = lambda batch: None
        stage.step(0, [Named(part) for part in parts], 1.0)
        results.append(network.weight.detach().clone())
    assert torch.allclose(results[0], results[1], atol=1e-7)


def test_gradients_are_clipped_to_the_given_norm(tiny):
    settings = tiny("pix2pix/shoes-64", "stages.adversarial.optimizers.generator={name: adam, clip_norm: 0.01}")
    network = torch.nn.Linear(3, 1)
    player = Player({"generator": network}, lambda batch, made: LossTerms(big=1000 * network(batch.values).mean()))
    stage = play(torch.nn.Identity(), player, settings)
    stage.recipe.forward = lambda batch: None
    stage.step(0, [Named(torch.randn(4, 3))], 1.0)
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_others_are_frozen_during_a_turn_and_rest_in_their_mode(tiny):
    settings = tiny("pix2pix/shoes-64")
    seen = {}
    g, d = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)

    def g_loss(batch, made):
        seen["generator"] = (d.weight.requires_grad, d.training, g.weight.requires_grad)
        return LossTerms(fool=d(made).mean())

    def d_loss(batch, made):
        seen["discriminator"] = (g.weight.requires_grad, g.training, made.requires_grad)
        return LossTerms(judge=d(made.detach()).mean())

    class Plain:
        def forward(self, batch):
            return g(batch.values)

    players = {
        "generator": Player({"g": g}, g_loss),
        "discriminator": Player({"d": d}, d_loss, frozen_mode="eval"),
    }
    stage = Stage("game", Alternate("discriminator", "generator"), players)
    options = settings.config.stages.adversarial.optimizers
    StageTrainer(Plain(), stage, options, Runtime(torch.device("cpu"), "fp32")).step(0, [Named(torch.randn(3, 2))], 1.0)
    assert seen["discriminator"] == (False, True, True)  # the generator's graph waits for its own turn
    assert seen["generator"] == (False, False, True)  # the critic is frozen and, as it asked, in eval mode
    assert d.weight.grad is not None


def overflowing(settings: api.Settings, most: int) -> StageTrainer:
    """A game in fp16 whose generator's gradients are infinite in every step, its discriminator's never."""
    g, d = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
    players = {
        "generator": Player({"g": g}, lambda batch, _made: LossTerms(steep=(1e38 * g(batch.values).float()).sum())),
        "discriminator": Player({"d": d}, lambda batch, _made: LossTerms(flat=d(batch.values).float().mean())),
    }
    recipe = type("Plain", (), {"forward": staticmethod(lambda _batch: None)})()
    stage = Stage("game", Alternate("generator", "discriminator"), players)
    options = settings.config.stages.adversarial.optimizers
    return StageTrainer(recipe, stage, options, Runtime(torch.device("cpu"), "fp16"), max_skipped_steps=most)


def test_a_player_that_overflows_again_and_again_is_noticed_beside_one_that_does_not(tiny):
    game, batch = overflowing(tiny("pix2pix/shoes-64"), most=3), Named(torch.ones(2, 3))
    before = game.stage.players["generator"].networks["g"].weight.clone()
    for step in range(3):
        game.step(step, [batch], 1.0)
    assert torch.equal(game.stage.players["generator"].networks["g"].weight, before)
    assert game.state()["skipped"] == {"generator": 3, "discriminator": 0}
    resumed = overflowing(tiny("pix2pix/shoes-64"), most=3)
    resumed.load_state(game.state())
    for playing in (game, resumed):
        with pytest.raises(NonFiniteError, match="fp16 gradients of generator overflowed 4 steps in a row"):
            playing.step(3, [batch], 1.0)


def test_a_checkpoint_with_one_count_for_all_players_is_taken(tiny):
    game = overflowing(tiny("pix2pix/shoes-64"), most=3)
    game.load_state({**game.state(), "skipped": 2})
    assert game.state()["skipped"] == {"generator": 0, "discriminator": 0}
