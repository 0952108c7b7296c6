"""The command line run in this process, and small drawn data sets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gantools import recipes
from gantools.cli import start
from gantools.data.synthetic import drawing
from gantools.models.options import CompactSROptions


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def only_error(self) -> str:
        """The one line on stderr, without the program's name in front. Fails when there is more, or less."""
        (line,) = self.err.splitlines()
        assert line.startswith("gantools: "), line
        return line.removeprefix("gantools: ")


Command = Callable[..., Ended]

# Overrides, separated by blanks, that make networks and images so small that a step takes milliseconds.
_PAIRED = "data.load_px=36 data.crop_px=32 model.generator.base_channels=4 "
_DISCRIMINATOR = "model.discriminator.downs=2 model.discriminator.base_channels=4 "
_ENCODER = (
    "model.generator.base_channels=4 model.generator.downs=3 model.generator.max_channels=8 "
    "model.generator.bottleneck_channels=8 "
)
_DENSE = "model.generator.dense_units=8 model.generator.noise_size=6 model.generator.channels=[4,4] "
_FEATURES = "model.perceptual.weights=random model.perceptual.layers=[{}] "
_PHASES = [f"{phase}_{side}" for side in (8, 16, 32, 64, 128, 256) for phase in ("fade", "stay")]


def _two_steps(*stages: str, unit: str = "epochs") -> str:
    return "".join(f"stages.{stage}.{unit}=null stages.{stage}.steps=2 " for stage in stages)


def _without(*stages: str) -> str:
    return " ".join(f"stages.{stage}=null" for stage in stages)


_ADVERSARIAL = _two_steps("adversarial")
_DEBLURRING = (
    "model.discriminator.base_channels=2 model.discriminator.downs=1 model.generator.base_channels=2 "
    + _FEATURES.format("relu1_1")
    + _ADVERSARIAL
)
_RECIPES = {
    "context_encoder": "data.load_px=36 data.crop_px=32 " + _DISCRIMINATOR + _ADVERSARIAL,
    "cyclegan": _PAIRED + _DISCRIMINATOR + _ADVERSARIAL + "model.generator.blocks=1",
    "pix2pix": _PAIRED + _DISCRIMINATOR + _ADVERSARIAL + "model.generator.downs=5 model.generator.max_channels=8",
    "restore": "data.load_px=40 data.crop_px=32 data.largest_region_px=40 model.generator.encoder=resnet18 "
    "model.generator.base_channels=8 model.encoder_weights=random model.critic.base_channels=4 model.critic.downs=1 "
    + _two_steps("generator_pretraining", "critic_pretraining", "adversarial"),
    "deblur": "data.crop_px=32 data.blur.trajectory_steps=50",
    "srgan": "data.crop_px=32 model.generator.channels=4 model.generator.blocks=1 model.discriminator.base_channels=2 "
    "model.discriminator.dense_units=4 stages.pretraining.steps=2 stages.adversarial.steps=2",
    "cgan": _DENSE + _ADVERSARIAL,
    "dcgan": "data.image_px=[16,16] model.generator.base_channels=2 " + _ADVERSARIAL,
    "gan": _ADVERSARIAL,
    "infogan": _DENSE + _ADVERSARIAL,
    "lapgan": "model.generator.units=8 model.generator.features=4 " + _two_steps("coarse", "detail_1", "detail_2"),
    "progan": "data.image_px=[8,8] model.generator.latent_size=8 model.generator.channel_base=64 "
    "model.generator.max_channels=8 " + _two_steps("stay_4", *_PHASES[:2], unit="kimg"),
    "stackgan": "data.image_px=[16,16] model.generator.first_doublings=1 model.generator.second_doublings=3 "
    "model.generator.base_channels=4 model.generator.discriminator_channels=4 " + _two_steps("sketch", "refine"),
    "stylegan2": "data.image_px=[8,8] model.generator.latent_size=8 model.generator.style_size=8 "
    "model.generator.channel_base=64 model.generator.max_channels=8 " + _two_steps("adversarial", unit="kimg"),
}
_PRESETS = {
    "progan/paper-256": _without(*_PHASES[2:]),
    "progan/shoes-64": _without(*_PHASES[2:8]),
    "pix2pix/facades": "data.layout=photos",
    "pix2pix/facades-64": "data.layout=photos",
    "restore/colorize": _two_steps("generator_pretraining_frozen"),
    "restore/crappify": _two_steps("generator_pretraining_frozen"),
    "context_encoder/center": _ENCODER,
    "context_encoder/center-64": _ENCODER,
    "context_encoder/random_block": _ENCODER,
    "context_encoder/random_region": _ENCODER,
    "context_encoder/random_region-64": _ENCODER + _FEATURES.format("features.1"),
    "context_encoder/photos-128": "model.generator.channels=[4,4] model.generator.scale_blocks=[1,1] model.focus_px=16 "
    + _FEATURES.format("features.1"),
    "deblur/compact": "model.generator.channels=[4,4] model.generator.scale_blocks=[1,1] stages.content.steps=2",
    "deblur/photos": "model.generator.channels=[4,4] model.generator.scale_blocks=[1,1] stages.content.steps=2",
    "deblur/fpn": _DEBLURRING + "model.generator.blocks=0 model.generator.pyramid_channels=4 "
    "model.generator.head_channels=4 model.full_discriminator.base_channels=2 model.full_discriminator.downs=2",
    "deblur/motion": _DEBLURRING + "model.generator.blocks=1",
    "deblur/vgg16": _DEBLURRING + "model.generator.blocks=1",
    "srgan/compact": _FEATURES.format("features.1"),
    "srgan/mse": "model.discriminator.crop_px=32",
    "srgan/paper": "model.discriminator.crop_px=32 " + _FEATURES.format("relu1_1"),
}
# Presets without a discriminator, or another network than their recipe's others.
_ALONE = {
    "restore/photos": "data.load_px=40 data.downscale=[1.0] data.crop_px=32 model.generator.channels=[4,4] "
    "model.generator.scale_blocks=[1,1] stages.generator_pretraining.steps=2 " + _FEATURES.format("features.1"),
    "srgan/fast": "data.crop_px=32 model.generator.channels=4 model.generator.blocks=1 stages.content.steps=2 "
    + _FEATURES.format("features.1"),
    "srgan/real": "data.crop_px=32 model.generator.channels=4 model.generator.blocks=1 stages.content.steps=2 "
    + _FEATURES.format("features.1"),
}
SMALL = {recipe: overrides.split() for recipe, overrides in _RECIPES.items()}
SMALL_PRESET = {spec: overrides.split() for spec, overrides in _PRESETS.items()}


def store(path: Path, options: Any, *names: str, takes: Any = "picture") -> Path:
    """Write the initial weights of a network, or of several called ``names``."""
    from gantools.checkpoint import weights
    from gantools.models import GENERATORS
    from gantools.training.recipe import describe_generator

    networks = {name: GENERATORS.build(options) for name in names or ("generator",)}
    exports = {
        name: replace(describe_generator(name, network, options, 32), takes=takes) for name, network in networks.items()
    }
    weights.save(path, "demo", exports, networks, {})
    return path


@pytest.fixture(scope="session")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a network that enlarges bilinearly by two."""
    path = tmp_path_factory.mktemp("weights") / "doubling.safetensors"
    return str(store(path, CompactSROptions(scale=2, channels=4, blocks=1)))


@pytest.fixture
def small() -> Callable[[str], list[str]]:
    """Overrides that make a preset small enough for a test."""

    def overrides(spec: str) -> list[str]:
        shared = ["data.workers=0", "data.batch_images=2", "data.validation_share=0.25", "train.log_every_steps=1"]
        if spec in _ALONE:
            return [*shared, *_ALONE[spec].split()]
        return [*shared, *SMALL[spec.partition("/")[0]], *SMALL_PRESET.get(spec, [])]

    return overrides


@pytest.fixture
def gantools(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``gantools ARGUMENTS`` as the console script does, on the CPU."""
    monkeypatch.setenv("GANTOOLS_DEVICE", "cpu")

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gantools", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            start.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recipe → a folder of four drawn images for it."""
    folders = {recipe: tmp_path_factory.mktemp("drawn") / recipe for recipe in SMALL}
    for recipe, folder in folders.items():
        drawing.draw_dataset(recipes.find(recipe).drawings, folder, count=4, size_px=64, seed=1)
    return folders
