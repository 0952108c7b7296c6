"""Tiny recipes on drawn images: small enough to train for a few steps in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gantools import api
from gantools.data.synthetic import drawing

SHARED = """
data.batch_images=2 data.workers=0 data.validation_share=0.25 train.precision=fp32 train.log_every_steps=1
"""
TWENTY_PX = "data.load_px=18 data.crop_px=16 "
DISCRIMINATOR = "model.discriminator.base_channels=4 model.discriminator.downs=1 "
FOUR_STEPS = "stages.adversarial.epochs=null stages.adversarial.steps=4 "
# Preset → the folder of its images and what makes it tiny.
TINY = {
    "pix2pix/shoes-64": (
        "shoes",
        TWENTY_PX + DISCRIMINATOR + FOUR_STEPS + "model.generator.base_channels=4 model.generator.max_channels=8 "
        "model.generator.downs=3 model.generator.dropout_ups=1",
    ),
    "cyclegan/apple2orange-64": (
        "fruit",
        TWENTY_PX + DISCRIMINATOR + FOUR_STEPS + "model.generator.base_channels=4 model.generator.blocks=1 "
        "model.pool_images=3",
    ),
    "srgan/compact": (
        "scenes",
        "data.crop_px=32 model.generator.channels=8 model.generator.blocks=2 model.discriminator.base_channels=4 "
        "model.discriminator.dense_units=8 model.perceptual=null stages.pretraining.steps=2 stages.adversarial.steps=2",
    ),
    "context_encoder/center-64": (
        "scenes",
        DISCRIMINATOR + FOUR_STEPS + "data.load_px=20 data.crop_px=16 data.zoom=1.25 data.mask.overlap_px=1 "
        "model.generator.overlap_px=1 model.generator.downs=2 model.generator.residual=false "
        "model.generator.base_channels=4 model.generator.max_channels=8 model.generator.bottleneck_channels=8",
    ),
    "deblur/motion": (
        "odd scenes",
        DISCRIMINATOR + "data.crop_px=16 data.blur.trajectory_steps=60 model.perceptual=null model.pixel_weight=100 "
        "model.generator.base_channels=4 model.generator.blocks=1 stages.adversarial.epochs=null "
        "stages.adversarial.steps=10",
    ),
    "deblur/compact": (
        "odd scenes",
        "data.crop_px=16 data.blur.trajectory_steps=60 model.perceptual=null model.generator.channels=[4,4] "
        "model.generator.scale_blocks=[1,1] stages.content.steps=3",
    ),
    "restore/crappify-64": (
        "scenes",
        "data.load_px=40 data.crop_px=32 model.generator.base_channels=8 model.generator.self_attention=true "
        "model.critic.base_channels=4 model.critic.downs=1 model.encoder_rates=[0.1,0.5] model.critic_threshold=10 "
        "stages.adversarial.steps=4",
    ),
}
# Validation images of 30 px are no multiple of what networks take.
DRAWN = {"shoes": ("shoes", 20), "fruit": ("fruit", 20), "scenes": ("scenes", 48), "odd scenes": ("scenes", 30)}


@pytest.fixture(autouse=True)
def _no_early_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow a machine is, sample sheets come by steps alone; tests of the clock say otherwise."""
    monkeypatch.setattr("gantools.training.previews.FIRST_SECONDS", float("inf"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn images of each kind."""
    folder = tmp_path_factory.mktemp("drawn")
    for name, (kind, side_px) in DRAWN.items():
        drawing.draw_dataset(kind, folder / name, 8, side_px, seed=0)
    return folder


@pytest.fixture
def tiny(drawn: Path) -> Callable[..., api.Settings]:
    """``tiny(preset, *overrides)``: the preset's configuration at toy size."""

    def configure(spec: str, *overrides: str) -> api.Settings:
        kind, small = TINY[spec]
        own = [*SHARED.split(), *small.split(), *overrides]
        return api.configure(spec, data=[str(drawn / kind)], overrides=own)

    return configure


@pytest.fixture
def nogan() -> tuple[str, ...]:
    """Overrides of restore: two steps of every pretraining, with learning rates of their own, and no average."""
    stage = "stages.{}={{steps: 2, optimizers: {{{}: {{name: adamw, lr: {}}}}}}}"
    return (
        stage.format("generator_pretraining_frozen", "generator", 0.01),
        stage.format("generator_pretraining", "generator", 0.001),
        stage.format("critic_pretraining", "discriminator", 0.01),
        "train.ema_decay=null",
    )
