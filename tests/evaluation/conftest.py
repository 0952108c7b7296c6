"""Small untrained weights of every recipe, that describe themselves as a run's do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gantools import api, recipes
from gantools.checkpoint import weights
from gantools.data.synthetic import drawing
from gantools.training.recipe import exported_networks, networks_of

SMALL = {
    "srgan/compact": ["model.generator.channels=4", "model.generator.blocks=1", "model.perceptual=null"],
    "deblur/compact": ["model.generator.channels=[4, 4]", "model.generator.scale_blocks=[1, 1]"],
    "restore/crappify-64": ["data.load_px=64", "model.perceptual=null"],
    "pix2pix/shoes-64": ["model.generator.base_channels=4"],
    "context_encoder/center-64": ["model.generator.base_channels=4", "model.generator.bottleneck_channels=8"],
    "cyclegan/apple2orange-64": ["model.generator.base_channels=4", "model.generator.blocks=1"],
}


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recipe → a folder of four drawn images for it."""
    folders = {}
    for spec in SMALL:
        recipe = spec.partition("/")[0]
        folders[recipe] = tmp_path_factory.mktemp("drawn") / recipe
        drawing.draw_dataset(recipes.find(recipe).drawings, folders[recipe], count=4, size_px=96, seed=1)
    return folders


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The weights file of a preset, made at the first call."""
    folder, made = tmp_path_factory.mktemp("weights"), {}

    def of(spec: str) -> Path:
        if spec not in made:
            made[spec] = untrained(spec, folder / f"{spec.replace('/', '-')}.safetensors")
        return made[spec]

    return of


def untrained(spec: str, path: Path) -> Path:
    settings = api.configure(spec, overrides=SMALL[spec])
    recipe = settings.recipe(settings.config)
    networks = exported_networks(recipe, networks_of(list(recipe.stages())))
    torch.manual_seed(0)
    for parameter in (each for network in networks.values() for each in network.parameters()):
        parameter.data += 0.02 * torch.randn_like(parameter)  # some begin as the identity
    about = {"config": settings.config.portable()}
    weights.save(path, settings.config.recipe, recipe.exports(), networks, about)
    return path
