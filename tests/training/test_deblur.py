"""Deblurring on the real loop: a critic of five turns, two discriminators, stages left out, figures of validation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gantools import api
from gantools.data.synthetic import drawing
from tests.training.by_hand import assert_same_weights, batches, first, prepared, run, trained

GAME = "{steps: 10, optimizers: {generator: {name: adam}, discriminator: {name: adam}}}"
SHARED = (
    "data.crop_px=16",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "data.blur.trajectory_steps=60",
    "model.perceptual=null",
    "train.precision=fp32",
    "train.log_every_steps=1",
    "train.ema_decay=null",
)
MOTION = (
    "model.pixel_weight=100",
    "model.generator.base_channels=4",
    "model.generator.blocks=1",
    "model.discriminator.base_channels=4",
    "model.discriminator.downs=1",
    "stages.adversarial.epochs=null",
    "stages.adversarial.steps=10",
    "stages.adversarial.schedule={name: constant}",
)
COMPACT = (
    "model.generator.channels=[4, 4]",
    "model.generator.scale_blocks=[1, 1]",
    "model.discriminator={name: patchgan, base_channels: 4, downs: 1, norm: instance}",
    "stages.content.steps=3",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn scenes; 30 px, so that validation images are no multiple of what networks take."""
    folder = tmp_path_factory.mktemp("scenes")
    drawing.draw_dataset("scenes", folder, 8, 30, seed=0)
    return folder


def settings_of(photos: Path, spec: str, *overrides: str) -> api.Settings:
    own = {"deblur/motion": MOTION, "deblur/compact": COMPACT}[spec]
    return api.configure(spec, data=[str(photos)], overrides=[*SHARED, *own, *overrides])


def test_five_critic_turns_to_one_equal_a_hand_written_loop(photos: Path, tmp_path: Path) -> None:
    settings = settings_of(photos, "deblur/motion")
    ours = trained(settings, tmp_path / "run")

    hand = first(settings)
    g, d = hand.generator, hand.discriminators["discriminator"]
    g_adam = torch.optim.Adam(g.parameters(), 1e-4, (0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(d.parameters(), 1e-4, (0.5, 0.999), fused=True)
    for _, batch in zip(range(10), batches(settings), strict=False):
        fake = g(batch.degraded)
        away = fake.detach()
        for _ in range(5):
            real_scores, fake_scores = d(batch.clean), d(away)
            judged = fake_scores.mean() - real_scores.mean()
            share = torch.rand(2, 1, 1, 1)
            between = batch.clean.lerp(away, share).requires_grad_()
            slope = torch.autograd.grad(d(between).reshape(2, -1).mean(1).sum(), between, create_graph=True)[0]
            penalty = ((torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1) ** 2).mean()
            d_adam.zero_grad()
            (judged + 10 * penalty).backward()
            d_adam.step()
        d.requires_grad_(False)
        g_adam.zero_grad()
        (-d(fake).mean() + 100 * (fake - batch.clean).abs().mean()).backward()
        g_adam.step()
        d.requires_grad_(True)

    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminators["discriminator"], d)


def test_the_content_stage_equals_a_hand_written_loop(photos: Path, tmp_path: Path) -> None:
    settings = settings_of(
        photos,
        "deblur/compact",
        "stages.content.schedule={name: constant}",
        "stages.content.optimizers.generator.clip_norm=null",
        "train.memory_format=contiguous",
    )
    ours = trained(settings, tmp_path / "run")
    g = first(settings).generator
    adam = torch.optim.Adam(g.parameters(), 5e-4, (0.9, 0.999), fused=True)
    for _, batch in zip(range(3), batches(settings), strict=False):
        adam.zero_grad()
        ((g(batch.degraded) - batch.clean).square() + 1e-6).sqrt().mean().backward()
        adam.step()
    assert_same_weights(ours.generator, g)


def _rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        ([], ["content"]),
        ([f"stages.adversarial={GAME}", "model.critic_turns=1"], ["content", "adversarial"]),
        ([f"stages.adversarial={GAME}", "stages.content=null"], ["adversarial"]),
    ],
    ids=["content", "both", "game"],
)
def test_either_stage_may_be_left_out(overrides: list[str], stages: list[str], photos: Path, tmp_path: Path) -> None:
    trained(settings_of(photos, "deblur/compact", *overrides), tmp_path / "run")
    rows = _rows(tmp_path / "run")
    assert list(dict.fromkeys(row["stage"] for row in rows)) == stages


def test_two_discriminators_weigh_as_much_as_one(photos: Path) -> None:
    one = settings_of(photos, "deblur/compact", f"stages.adversarial={GAME}")
    judge = "{name: patchgan, base_channels: 4, downs: 2, norm: instance}"
    two = settings_of(
        photos,
        "deblur/compact",
        f"stages.adversarial={GAME}",
        f"model.full_discriminator={judge}",
        "model.adversarial={name: relativistic, objective: lsgan}",
        "model.adversarial_weight=0.01",
    )
    recipe = prepared(two).recipe
    batch = next(batches(two))
    made = recipe.forward(batch)
    expected = 0.0
    for d in recipe.discriminators.values():
        real, fake = d(batch.clean), d(made.fake)
        expected += ((fake - real.mean() - 1) ** 2).mean() / 2 + ((real - fake.mean() + 1) ** 2).mean() / 2
    torch.testing.assert_close(recipe.generator_loss(batch, made).terms["adversarial"], 0.01 * expected)
    assert set(recipe.discriminator_loss(batch, made).terms) == {"adversarial"}
    alone = prepared(one).recipe
    assert set(alone.discriminator_loss(batch, alone.forward(batch)).terms) == {"adversarial", "penalty"}


def test_validation_puts_the_blurred_images_metric_beside_its_own(photos: Path, tmp_path: Path) -> None:
    outcome = run(
        settings_of(photos, "deblur/compact", "stages.content.optimizers.generator.lr=1e-9"), tmp_path / "run"
    )
    figures = outcome.loop.state.validation.latest
    assert set(figures) == {"psnr_rgb", "input_psnr_rgb"}
    # A network that has learnt nothing yet returns its input, and 30 px are padded and cut back.
    assert figures["psnr_rgb"] == pytest.approx(figures["input_psnr_rgb"], abs=0.01)
    assert 10 < figures["psnr_rgb"] < 50
    samples = list((tmp_path / "run" / "samples").glob("*.png"))
    assert samples
