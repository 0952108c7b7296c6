"""CycleGAN's steps equal a loop written out by hand, to the last bit; what is not asked for is not computed."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from gantools import api
from gantools.checkpoint import state, weights
from gantools.training.image_pool import ImagePool
from gantools.training.run import metrics_log
from tests.training.by_hand import assert_same_weights, batches, first, trained

SPEC = "cyclegan/apple2orange-64"
NETWORKS = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
STEPS = 4


def l1(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return (made - real).abs().mean()


def square(logits: torch.Tensor, label: float) -> torch.Tensor:
    return ((logits - label) ** 2).mean()


@pytest.mark.parametrize(("identity", "directions", "share"), [(5.0, "sum", 1.0), (0.0, "mean", 0.5)])
def test_steps_equal_a_hand_written_loop(tiny, tmp_path, identity, directions, share):
    settings = tiny(
        SPEC,
        f"stages.adversarial.steps={STEPS}",
        f"model.identity_weight={identity}",
        f"model.directions={directions}",
        "train.ema_decay=null",
    )
    ours = trained(settings, tmp_path / "run")
    hand = first(settings)
    ab, ba, da, db = (getattr(hand, name) for name in NETWORKS)
    g_adam = torch.optim.Adam(chain(ab.parameters(), ba.parameters()), 2e-4, (0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(chain(da.parameters(), db.parameters()), 2e-4, (0.5, 0.999), fused=True)
    pool_a, pool_b = (ImagePool(3, settings.config.seed, stream) for stream in range(2))
    for _, batch in zip(range(STEPS), batches(settings), strict=False):
        fake_a, fake_b = ba(batch.b), ab(batch.a)
        back_a, back_b = ba(fake_b), ab(fake_a)
        for judge in (da, db):
            judge.requires_grad_(False)
        fooled = square(da(fake_a), 1) + square(db(fake_b), 1)
        g_loss = share * fooled + share * 10.0 * (l1(back_a, batch.a) + l1(back_b, batch.b))
        if identity:
            g_loss = g_loss + share * identity * (l1(ba(batch.a), batch.a) + l1(ab(batch.b), batch.b))
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        for judge in (da, db):
            judge.requires_grad_(True)
        old_a, old_b = pool_a.swap(fake_a.detach()), pool_b.swap(fake_b.detach())
        d_loss = 0.5 * (square(da(batch.a), 1) + square(da(old_a), 0))
        d_loss = d_loss + 0.5 * (square(db(batch.b), 1) + square(db(old_b), 0))
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

    for name in NETWORKS:
        assert_same_weights(getattr(ours, name), getattr(hand, name))


@pytest.mark.parametrize(("weight", "passes"), [(5, 3), (0, 2)])
def test_no_identity_costs_no_forward_pass(tiny, weight, passes):
    settings = tiny(SPEC, f"model.identity_weight={weight}")
    recipe, batch = settings.recipe(settings.config), next(batches(settings))
    counts = dict.fromkeys(NETWORKS, 0)
    for name in NETWORKS:
        getattr(recipe, name).register_forward_hook(lambda *_, name=name: counts.update({name: counts[name] + 1}))
    terms = recipe.generator_loss(batch, recipe.forward(batch)).terms
    assert counts == {"a_to_b": passes, "b_to_a": passes, "discriminator_a": 1, "discriminator_b": 1}
    assert ("identity" in terms) == bool(weight)


def test_a_run_leaves_both_directions_and_a_pool_and_no_best(tiny, tmp_path):
    settings = tiny(SPEC, "train.validate_every_steps=2")
    run = api.train(settings, run_dir=tmp_path / "run")
    exports = weights.describe(run.path / "weights" / "last.safetensors").exports
    assert {name: export.network for name, export in exports.items()} == {"a2b": "a_to_b", "b2a": "b_to_a"}
    assert not (run.path / "weights" / "best.safetensors").exists()
    extra = state.newest(run.path / "checkpoints")[1]["extra"]
    assert [len(extra[name]["images"]) for name in ("history_a", "history_b")] == [3, 3]
    assert extra["history_a"]["images"][0].shape == (3, 16, 16)
    rows = [row for row in metrics_log.read(run.path / "metrics.jsonl") if "validation/cycle_l1" in row]
    assert rows
    for row in rows:
        assert 0 < row["validation/cycle_l1"] < 1
        assert row["validation/cycle_l1_percent"] == pytest.approx(100 * row["validation/cycle_l1"])
        assert 0 < row["validation/identity_l1_percent"] < 100


def test_validation_metrics_are_distances_on_0_to_1(tiny):
    settings = tiny(SPEC)
    recipe, batch = settings.recipe(settings.config), next(batches(settings))
    one = type(batch)(batch.a[:1], batch.b[:1], batch.names)
    recipe.a_to_b = recipe.b_to_a = lambda picture: torch.zeros_like(picture)
    figures = recipe.validate(one).metrics
    expected = float((one.a.abs().mean() + one.b.abs().mean()) / 4)
    assert figures["cycle_l1"] == pytest.approx(expected)
    assert figures["identity_l1_percent"] == pytest.approx(100 * expected)
    assert list(recipe.preview(one)) == ["real A", "fake B", "back A", "real B", "fake A", "back B"]
