"""The benchmark's cases at toy size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.steps import CASES, Case

_SMALL_DISCRIMINATOR = "model.discriminator.base_channels=4"
_PAIRED = (
    "data.load_px=36",
    "data.crop_px=32",
    "data.workers=0",
    "model.generator.base_channels=4",
    _SMALL_DISCRIMINATOR,
)
_LARGER = (
    "data.crop_px=32",
    "data.batch_images=2",
    "data.workers=0",
    "model.generator.channels=8",
    "model.generator.blocks=2",
)
TOY = {
    "pix2pix": (*_PAIRED, "data.batch_images=2", "model.generator.downs=3"),
    "cyclegan": (*_PAIRED, "data.batch_images=2", "model.generator.blocks=1"),
    "srresnet": (*_LARGER, _SMALL_DISCRIMINATOR, "model.discriminator.crop_px=32"),
    "srgan": (
        *_LARGER,
        _SMALL_DISCRIMINATOR,
        "model.discriminator.crop_px=32",
        "model.perceptual.network=squeezenet1_0",
        "model.perceptual.layers=null",
    ),
    "compact_sr": (*_LARGER, _SMALL_DISCRIMINATOR),
    "context_encoder": (
        "data.load_px=32",
        "data.crop_px=32",
        "data.batch_images=4",
        "data.workers=0",
        "model.generator.downs=3",
        "model.generator.base_channels=8",
        "model.generator.bottleneck_channels=8",
        "model.discriminator.downs=2",
        _SMALL_DISCRIMINATOR,
    ),
    "deblur": ("data.crop_px=32", "data.batch_images=2", "data.workers=0", "model.generator.channels=[8, 8, 8]"),
    "restore": (
        "data.crop_px=32",
        "data.load_px=40",
        "data.batch_images=2",
        "data.workers=0",
        "model.generator.base_channels=8",
        "model.critic.base_channels=8",
    ),
}


def toy(name: str) -> Case:
    """A case with sizes that take milliseconds."""
    return replace(next(case for case in CASES if case.name == name), small=TOY[name])


@pytest.fixture(params=[case.name for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    """Each case in turn."""
    return toy(request.param)


@pytest.fixture
def deblur() -> Case:
    """The cheapest case."""
    return toy("deblur")
