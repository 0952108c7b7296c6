"""What runs of single recipes do beside their steps: stages, exports, metrics, what is frozen, what is not computed."""

from __future__ import annotations

import pytest
import torch

from gantools import api
from gantools.checkpoint import state, weights
from gantools.training.device.runtime import Runtime
from gantools.training.run import metrics_log
from gantools.training.step import StageTrainer
from tests.training.runs import assert_equal_states, assert_same_weights, prepared, run, trained
from tests.training.test_by_hand import batches

CYCLEGAN, DEBLUR, RESTORE = "cyclegan/apple2orange-64", "deblur/compact", "restore/crappify-64"
pytestmark = pytest.mark.filterwarnings("ignore:model.encoder_weights")


def log(folder) -> list[dict]:
    return metrics_log.read(folder / "metrics.jsonl")


# CycleGAN


@pytest.mark.parametrize(("weight", "passes"), [(5, 3), (0, 2)])
def test_no_identity_loss_costs_no_forward_pass(tiny, weight, passes):
    settings = tiny(CYCLEGAN, f"model.identity_weight={weight}")
    recipe, batch = settings.recipe(settings.config), next(batches(settings))
    counts = dict.fromkeys(("a_to_b", "b_to_a", "discriminator_a", "discriminator_b"), 0)
    for name in counts:
        getattr(recipe, name).register_forward_hook(lambda *_, name=name: counts.update({name: counts[name] + 1}))
    terms = recipe.generator_loss(batch, recipe.forward(batch)).terms
    assert list(counts.values()) == [passes, passes, 1, 1]
    assert ("identity" in terms) == bool(weight)


def test_cyclegan_leaves_both_directions_and_its_pools_and_no_best_weights(tiny, tmp_path):
    made = api.train(tiny(CYCLEGAN, "train.validate_every_steps=2"), run_dir=tmp_path / "run").path
    exports = weights.describe(made / "weights" / "last.safetensors").exports
    assert {name: export.network for name, export in exports.items()} == {"a2b": "a_to_b", "b2a": "b_to_a"}
    assert not (made / "weights" / "best.safetensors").exists()
    extra = state.newest(made / "checkpoints")[1]["extra"]
    assert [len(extra[name]["images"]) for name in ("history_a", "history_b")] == [3, 3]
    assert extra["history_a"]["images"][0].shape == (3, 16, 16)
    assert len([row for row in log(made) if "validation/cycle_l1" in row]) == 2


def test_cyclegans_metrics_are_distances_on_0_to_1(tiny):
    settings = tiny(CYCLEGAN)
    recipe, batch = settings.recipe(settings.config), next(batches(settings))
    one = type(batch)(batch.a[:1], batch.b[:1], batch.names)
    recipe.a_to_b = recipe.b_to_a = torch.zeros_like
    metrics = recipe.validate(one).metrics
    expected = float((one.a.abs().mean() + one.b.abs().mean()) / 4)
    for name in ("cycle_l1", "identity_l1"):
        assert metrics[f"{name}_percent"] == pytest.approx(100 * expected)
    assert metrics["cycle_l1"] == pytest.approx(expected)
    assert list(recipe.preview(one)) == ["real A", "fake B", "back A", "real B", "fake A", "back B"]


# Deblurring

PATCHGAN = "model.discriminator={name: patchgan, base_channels: 4, downs: 1, norm: instance}"
ADVERSARIAL = (
    PATCHGAN,
    "stages.adversarial={steps: 10, optimizers: {generator: {name: adam}, discriminator: {name: adam}}}",
)


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        ((), ["content"]),
        ((*ADVERSARIAL, "model.critic_turns=1"), ["content", "adversarial"]),
        ((*ADVERSARIAL, "stages.content=null"), ["adversarial"]),
    ],
)
def test_either_stage_of_deblur_may_be_left_out(overrides, stages, tiny, tmp_path):
    trained(tiny(DEBLUR, *overrides), tmp_path / "run")
    assert list(dict.fromkeys(row["stage"] for row in log(tmp_path / "run"))) == stages


def test_two_discriminators_weigh_as_much_as_one(tiny):
    one = tiny(DEBLUR, *ADVERSARIAL)
    two = tiny(
        DEBLUR,
        *ADVERSARIAL,
        "model.full_discriminator={name: patchgan, base_channels: 4, downs: 2, norm: instance}",
        "model.adversarial={name: relativistic, objective: lsgan}",
        "model.adversarial_weight=0.01",
    )
    recipe, batch = prepared(two).recipe, next(batches(two))
    made, expected = recipe.forward(batch), 0.0
    for d in recipe.discriminators.values():
        real, fake = d(batch.clean), d(made.fake)
        expected += ((fake - real.mean() - 1) ** 2).mean() / 2 + ((real - fake.mean() + 1) ** 2).mean() / 2
    torch.testing.assert_close(recipe.generator_loss(batch, made).terms["adversarial"], 0.01 * expected)
    assert set(recipe.discriminator_loss(batch, made).terms) == {"adversarial"}
    alone = prepared(one).recipe
    assert set(alone.discriminator_loss(batch, alone.forward(batch)).terms) == {"adversarial", "penalty"}


def test_validation_puts_the_blurred_images_metric_beside_its_own(tiny, tmp_path):
    """A network that has learnt nothing yet returns its input, and 30 px are padded and cut back."""
    still = tiny(DEBLUR, "stages.content.optimizers.generator.lr=1e-9", "train.ema_decay=null")
    metrics = run(still, tmp_path / "run").loop.state.validation.latest
    assert set(metrics) == {"psnr_rgb", "input_psnr_rgb"}
    assert metrics["psnr_rgb"] == pytest.approx(metrics["input_psnr_rgb"], abs=0.01)
    assert 10 < metrics["psnr_rgb"] < 50
    assert list((tmp_path / "run" / "samples").glob("*.png"))


# Restoration by the NoGAN schedule


def test_the_log_shows_stages_turns_and_accuracy(tiny, nogan, tmp_path):
    trained(tiny(RESTORE, *nogan), tmp_path / "run")
    rows = [row for row in log(tmp_path / "run") if "images_per_second" in row]
    pretraining = ("generator_pretraining_frozen", "generator_pretraining", "critic_pretraining")
    assert [row["stage"] for row in rows] == [stage for stage in pretraining for _ in range(2)] + ["adversarial"] * 4
    players = [{key.split("/")[1] for key in row if key.startswith("loss/")} for row in rows]
    assert players == [{"generator"}] * 4 + [{"discriminator"}] * 2 + [{"discriminator"}, {"generator"}] * 2
    for row, playing in zip(rows, players, strict=True):
        assert ("figure/discriminator/accuracy" in row) == ("discriminator" in playing)
        assert 0 <= row.get("figure/discriminator/accuracy", 0) <= 1


def test_what_is_frozen_keeps_weights_and_statistics(tiny, nogan, tmp_path):
    settings = tiny(RESTORE, *nogan)
    before = prepared(settings).recipe.generator.state_dict()
    after = trained(settings, tmp_path / "run", max_steps=2).generator.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert not {key for key in changed if key.startswith("encoder.")}
    pretrained = trained(settings, tmp_path / "run", max_steps=4).generator
    assert_same_weights(trained(settings, tmp_path / "run", max_steps=6).generator, pretrained)


def test_the_parts_are_exported_as_one_network_and_resume_bit_for_bit(tiny, nogan, tmp_path):
    settings = tiny(RESTORE, *nogan, "train.ema_decay=0.9")
    whole = trained(settings, tmp_path / "whole")
    stored = weights.load(tmp_path / "whole" / "weights" / "last.safetensors")
    assert set(stored.exports) == {"generator"}
    assert stored.tensors["generator"].keys() == whole.generator.state_dict().keys()
    stages = {"generator_pretraining_frozen", "generator_pretraining", "critic_pretraining", "adversarial"}
    assert {path.stem for path in (tmp_path / "whole" / "weights").iterdir()} >= {*stages, "best", "last"}
    for max_steps in (7, None):
        trained(settings, tmp_path / "part", max_steps)
    newest = [state.newest(tmp_path / name / "checkpoints")[1] for name in ("whole", "part")]
    assert set(newest[0]["networks"]) == {"encoder_early", "encoder_late", "decoder", "critic"}
    assert_equal_states(*newest)


def test_colour_metrics_belong_to_gray_inputs(tiny, nogan, tmp_path):
    trained(tiny(RESTORE, *nogan, "data.degradations=[{name: gray}]"), tmp_path / "run")
    row = [row for row in log(tmp_path / "run") if "validation/psnr_rgb" in row][-1]
    assert {f"validation/{name}" for name in ("ab_l1", "colorfulness", "input_psnr_rgb")} <= row.keys()
    assert row["validation/input_colorfulness"] == 0
    assert row["validation/input_ab_l1"] > 0


def test_in_adversarial_training_the_frozen_network_is_in_eval_mode(tiny, nogan):
    """As fastai's GANLearner has it: no dropout in a critic that only judges, running statistics in the generator."""
    settings = tiny(RESTORE, *nogan, "model.critic.dropout=0.15")
    recipe, options = prepared(settings).recipe, settings.config.stages.adversarial.optimizers
    (*_, stage) = recipe.stages()
    trainer = StageTrainer(recipe, stage, options, Runtime(torch.device("cpu"), "fp32"))
    for learning in stage.players:
        trainer._set_trainable([learning])
        for name, player in stage.players.items():
            modules = [module for network in player.networks.values() for module in network.modules()]
            assert {module.training for module in modules} == {name == learning}
