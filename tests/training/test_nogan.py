"""The NoGAN schedule on the loop: equal to a loop by hand; networks that rest; one export of several players' parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from gantools import api
from gantools.checkpoint import state, weights
from gantools.data.synthetic import drawing
from gantools.images.imagenet import normalised
from gantools.training.device.runtime import Runtime
from gantools.training.run import metrics_log
from gantools.training.step import StageTrainer
from tests.training.by_hand import assert_same_weights, batches, first, prepared, trained
from tests.training.test_resume import assert_equal_states

TINY = (
    "data.load_px=40",
    "data.crop_px=32",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "model.generator.base_channels=8",
    "model.generator.self_attention=true",
    "model.critic.base_channels=4",
    "model.critic.downs=1",
    "model.encoder_rates=[0.1, 0.5]",
    "model.critic_threshold=10",
    "stages.generator_pretraining_frozen={steps: 2, optimizers: {generator: {name: adamw, lr: 0.01}}}",
    "stages.generator_pretraining={steps: 2, optimizers: {generator: {name: adamw, lr: 0.001}}}",
    "stages.critic_pretraining={steps: 2, optimizers: {discriminator: {name: adamw, lr: 0.01}}}",
    "stages.adversarial.steps=4",
    "train.precision=fp32",
    "train.ema_decay=null",
    "train.log_every_steps=1",
)
ROWS_PER_STAGE = {
    "generator_pretraining_frozen": 2,
    "generator_pretraining": 2,
    "critic_pretraining": 2,
    "adversarial": 4,
}

pytestmark = pytest.mark.filterwarnings("ignore:model.encoder_weights")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    drawing.draw_dataset("scenes", folder, 8, 48, seed=0)
    return folder


def configured(photos: Path, *overrides: str) -> api.Settings:
    return api.configure("restore/crappify-64", data=[str(photos)], overrides=[*TINY, *overrides])


def bce(logits: torch.Tensor, label: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class ByHand:
    """The schedule written out."""

    def __init__(self, settings: api.Settings) -> None:
        recipe = first(settings)
        self.g, self.c, self.batches = recipe.generator, recipe.critic, batches(settings)

    def pixel(self, fake: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        return (normalised(fake) - normalised(clean)).square().mean()

    def frozen(self, steps: int) -> None:
        adam = torch.optim.AdamW(self.g.decoder.parameters(), 0.01, (0.9, 0.999), weight_decay=0.01, fused=True)
        self.g.encoder.requires_grad_(False).eval()
        self.g.decoder.train()
        for _ in range(steps):
            batch = next(self.batches)
            adam.zero_grad()
            self.pixel(self.g(batch.degraded), batch.clean).backward()
            adam.step()

    def generator(self, steps: int) -> None:
        encoder = self.g.encoder
        groups = [
            {"params": encoder.early.parameters(), "lr": 1e-4},
            {"params": encoder.late.parameters(), "lr": 5e-4},
            {"params": self.g.decoder.parameters(), "lr": 1e-3},
        ]
        adam = torch.optim.AdamW(groups, 0.001, (0.9, 0.999), weight_decay=0.01, fused=True)
        self.g.requires_grad_(True).train()
        for _ in range(steps):
            batch = next(self.batches)
            adam.zero_grad()
            self.pixel(self.g(batch.degraded), batch.clean).backward()
            adam.step()

    def critic_step(self, adam: torch.optim.Optimizer) -> None:
        batch = next(self.batches)
        self.g.eval()
        self.c.requires_grad_(True).train()
        with torch.no_grad():
            fake = self.g(batch.degraded)
        real_logits, fake_logits = self.c(normalised(batch.clean)), self.c(normalised(fake))
        adam.zero_grad()
        (0.5 * (bce(real_logits, 1) + bce(fake_logits, 0))).backward()
        adam.step()

    def game(self, steps: int) -> None:
        g_adam = torch.optim.AdamW(self.g.parameters(), 1e-4, (0.0, 0.99), weight_decay=1e-3, fused=True)
        c_adam = torch.optim.AdamW(self.c.parameters(), 5e-4, (0.0, 0.99), weight_decay=1e-3, fused=True)
        for step in range(steps):
            if step % 2 == 0:  # the threshold of 10 is always met
                self.critic_step(c_adam)
                continue
            batch = next(self.batches)
            self.g.requires_grad_(True).train()
            self.c.requires_grad_(False).eval()
            fake = self.g(batch.degraded)
            g_adam.zero_grad()
            (bce(self.c(normalised(fake)), 1) + 50 * self.pixel(fake, batch.clean)).backward()
            g_adam.step()


def test_the_schedule_equals_a_hand_written_loop(photos, tmp_path):
    settings = configured(photos)
    ours = trained(settings, tmp_path / "run")
    hand = ByHand(settings)
    hand.frozen(2)
    hand.generator(2)
    c_adam = torch.optim.AdamW(hand.c.parameters(), 0.01, (0.9, 0.999), weight_decay=0.01, fused=True)
    for _ in range(2):
        hand.critic_step(c_adam)
    hand.game(4)
    assert_same_weights(ours.generator, hand.g)
    assert_same_weights(ours.critic, hand.c)


def test_the_log_shows_stages_turns_and_accuracy(photos, tmp_path):
    trained(configured(photos), tmp_path / "run")
    rows = [row for row in metrics_log.read(tmp_path / "run" / "metrics.jsonl") if "images_per_second" in row]
    assert [row["stage"] for row in rows] == [name for name, count in ROWS_PER_STAGE.items() for _ in range(count)]
    players = [{key.split("/")[1] for key in row if key.startswith("loss/")} for row in rows]
    assert players == [{"generator"}] * 4 + [{"discriminator"}] * 2 + [{"discriminator"}, {"generator"}] * 2
    for row, playing in zip(rows, players, strict=True):
        assert ("figure/discriminator/accuracy" in row) == ("discriminator" in playing)
        assert 0 <= row.get("figure/discriminator/accuracy", 0) <= 1


def test_a_frozen_encoder_keeps_weights_and_statistics(photos, tmp_path):
    settings = configured(photos)
    before = prepared(settings).recipe.generator.state_dict()
    after = trained(settings, tmp_path / "run", max_steps=2).generator.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert not {key for key in changed if key.startswith("encoder.")}


def test_a_frozen_generator_keeps_weights_and_statistics(photos, tmp_path):
    settings = configured(photos)
    after_pretraining = trained(settings, tmp_path / "run", max_steps=4).generator
    assert_same_weights(trained(settings, tmp_path / "run", max_steps=6).generator, after_pretraining)


def test_the_parts_are_exported_as_one_network_and_resume_bit_for_bit(photos, tmp_path):
    settings = configured(photos, "train.ema_decay=0.9")
    whole = trained(settings, tmp_path / "whole")
    stored = weights.load(tmp_path / "whole" / "weights" / "last.safetensors")
    assert set(stored.exports) == {"generator"}
    assert stored.tensors["generator"].keys() == whole.generator.state_dict().keys()
    assert {path.stem for path in (tmp_path / "whole" / "weights").iterdir()} >= {*ROWS_PER_STAGE, "best", "last"}
    for max_steps in (7, None):
        trained(settings, tmp_path / "part", max_steps)
    newest = [state.newest(tmp_path / name / "checkpoints")[1] for name in ("whole", "part")]
    assert set(newest[0]["networks"]) == {"encoder_early", "encoder_late", "decoder", "critic"}
    assert_equal_states(*newest)


def test_colour_metrics_belong_to_gray_inputs(photos, tmp_path):
    trained(configured(photos, "data.degradations=[{name: gray}]"), tmp_path / "run")
    row = [row for row in metrics_log.read(tmp_path / "run" / "metrics.jsonl") if "validation/psnr_rgb" in row][-1]
    assert {
        "validation/ab_l1",
        "validation/input_ab_l1",
        "validation/colorfulness",
        "validation/input_psnr_rgb",
    } <= set(row)
    assert row["validation/input_colorfulness"] == 0
    assert row["validation/input_ab_l1"] > 0


def test_in_adversarial_training_the_frozen_network_is_in_eval_mode(photos):
    """As fastai's GANLearner has it: no dropout in the critic that only judges, running statistics in the generator."""
    settings = configured(photos, "model.critic.dropout=0.15")
    recipe = prepared(settings).recipe
    (*_, stage) = recipe.stages()
    trainer = StageTrainer(
        recipe, stage, settings.config.stages.adversarial.optimizers, Runtime(torch.device("cpu"), "fp32")
    )
    for learning in stage.players:
        trainer._set_trainable([learning])
        for name, player in stage.players.items():
            modules = [module for network in player.networks.values() for module in network.modules()]
            assert {module.training for module in modules} == {name == learning}
