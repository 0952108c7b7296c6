"""Tiny recipes on drawn images: small enough to train for a few steps in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gantools import api
from gantools.data.synthetic import drawing

PIX2PIX = (
    "data.load_px=18",
    "data.crop_px=16",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "model.generator.base_channels=4",
    "model.generator.max_channels=8",
    "model.generator.downs=3",
    "model.generator.dropout_ups=1",
    "model.discriminator.base_channels=4",
    "model.discriminator.downs=1",
    "stages.adversarial.epochs=null",
    "stages.adversarial.steps=4",
    "train.precision=fp32",
    "train.log_every_steps=1",
)
SRGAN = (
    "data.crop_px=32",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "model.generator.channels=8",
    "model.generator.blocks=2",
    "model.discriminator.base_channels=4",
    "model.discriminator.dense_units=8",
    "model.perceptual=null",
    "stages.pretraining.steps=2",
    "stages.adversarial.steps=2",
    "train.precision=fp32",
    "train.log_every_steps=1",
)
CYCLEGAN = (
    "data.load_px=18",
    "data.crop_px=16",
    "data.batch_images=2",
    "data.workers=0",
    "data.validation_share=0.25",
    "model.generator.base_channels=4",
    "model.generator.blocks=1",
    "model.discriminator.base_channels=4",
    "model.discriminator.downs=1",
    "model.pool_images=3",
    "stages.adversarial.epochs=null",
    "stages.adversarial.steps=4",
    "train.precision=fp32",
    "train.log_every_steps=1",
)
SETTINGS = {
    "cyclegan/apple2orange-64": ("fruit", 20, CYCLEGAN),
    "pix2pix/shoes-64": ("shoes", 20, PIX2PIX),
    "srgan/compact": ("scenes", 48, SRGAN),
}


@pytest.fixture(autouse=True)
def _no_early_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow a machine is, sample sheets come by steps alone; tests of the clock say otherwise."""
    monkeypatch.setattr("gantools.training.previews.FIRST_SECONDS", float("inf"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn images of each kind."""
    folder = tmp_path_factory.mktemp("drawn")
    for kind, side_px in (("shoes", 20), ("scenes", 48), ("fruit", 20)):
        drawing.draw_dataset(kind, folder / kind, 8, side_px, seed=0)
    return folder


@pytest.fixture
def tiny(drawn: Path) -> Callable[..., api.Settings]:
    """``tiny(preset, *overrides)``: the preset's configuration at toy size."""

    def configure(spec: str, *overrides: str) -> api.Settings:
        kind, _, small = SETTINGS[spec]
        return api.configure(spec, data=[str(drawn / kind)], overrides=[*small, *overrides])

    return configure
