"""The presets that bear a paper's or a source's name build what it describes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools import api
from gantools.config.schedules import StageProgress


def config(spec: str, *overrides: str):
    return api.configure(spec, data=["photos"], overrides=overrides).config


def built(spec: str, *overrides: str):
    settings = api.configure(spec, data=["photos"], overrides=overrides)
    with torch.device("meta"):
        return settings.recipe(settings.config)


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def of_type(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def adam(config, stage: str, player: str):
    options = dict(dict(config.stages)[stage].optimizers)[player]
    return options.name, options.lr, options.betas


def test_pix2pix_paper():
    recipe, settings = built("pix2pix/paper"), config("pix2pix/paper")
    assert millions(recipe.generator) == pytest.approx(54.414, abs=5e-4)
    assert millions(recipe.discriminator) == pytest.approx(2.769, abs=5e-4)
    assert recipe.discriminator.receptive_field_px == 70
    assert len(of_type(recipe.generator, nn.BatchNorm2d)) == 13  # not on the outermost down, the innermost, the output
    assert [module.p for module in of_type(recipe.generator, nn.Dropout)] == [0.5] * 3
    assert (settings.model.adversarial.name, settings.model.pixel.name) == ("vanilla", "l1")
    assert (settings.model.pixel_weight, settings.model.discriminator_weight) == (100, 0.5)
    assert (settings.data.load_px, settings.data.crop_px, settings.data.batch_images) == (286, 256, 1)
    assert settings.data.flip
    for player in ("generator", "discriminator"):
        assert adam(settings, "adversarial", player) == ("adam", 2e-4, (0.5, 0.999))
    schedule = settings.stages.adversarial.schedule
    factors = [schedule.rate_factor(StageProgress(epoch, 200, epoch)) for epoch in (0, 99, 100, 199)]
    assert factors == pytest.approx([1, 1, 1 - 1 / 101, 1 - 100 / 101])
    assert settings.stages.adversarial.epochs == 200
    assert recipe.exports()["generator"].mode == "train"


def test_pix2pix_edges2shoes_is_the_sources():
    recipe, settings = built("pix2pix/edges2shoes"), config("pix2pix/edges2shoes")
    picture = torch.empty(2, 3, 256, 256, device="meta")
    assert recipe.generator(picture).shape == picture.shape
    assert recipe.discriminator(torch.empty(2, 6, 256, 256, device="meta")).shape == (2, 1, 16, 16)
    assert len(of_type(recipe.generator, nn.Dropout)) == 5 + 4  # from the fourth of eight downs on, and in four ups
    assert (settings.model.adversarial.name, settings.model.pixel_weight) == ("lsgan", 100)
    assert (settings.data.batch_images, settings.data.split_seed, settings.data.validation_share) == (32, 2, 0.2)
    edges = settings.data.edges
    assert (edges.bilateral_px, edges.bilateral_sigma_color, edges.bilateral_sigma_space) == (5, 50, 50)
    assert (edges.canny_low, edges.canny_high) == (45, 100)
    assert (edges.max_hints, edges.hints, edges.hint_radius_px, edges.white_threshold) == (300, "fixed", 2, 2.75)
    assert settings.stages.adversarial.epochs == 100
    assert adam(settings, "adversarial", "generator") == ("adam", 2e-4, (0.5, 0.999))


def test_pix2pix_starts_from_narrow_normals():
    torch.manual_seed(0)
    settings = api.configure("pix2pix/shoes-64", data=["photos"])
    recipe = settings.recipe(settings.config)
    for network in (recipe.generator, recipe.discriminator):
        weights = torch.cat([layer.weight.flatten() for layer in of_type(network, nn.Conv2d)])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        norms = torch.cat([layer.weight for layer in of_type(network, nn.BatchNorm2d)])
        assert norms.mean().item() == pytest.approx(1, abs=0.005)
        assert norms.std().item() == pytest.approx(0.02, rel=0.2)


def test_srgan_paper():
    settings, recipe = config("srgan/paper"), built("srgan/mse")
    assert millions(recipe.generator) == pytest.approx(1.547, abs=5e-4)
    assert len(of_type(recipe.generator, nn.PReLU)) == 1 + 16 + 2
    assert len(of_type(recipe.generator, nn.BatchNorm2d)) == 2 * 16 + 1
    convolutions = [layer.out_channels for layer in of_type(recipe.discriminator, nn.Conv2d)]
    assert convolutions == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [layer.out_features for layer in of_type(recipe.discriminator, nn.Linear)] == [1024, 1]
    perceptual = settings.model.perceptual
    assert (perceptual.network, perceptual.layers, perceptual.criterion) == ("vgg19", ("relu5_4",), "mse")
    assert perceptual.feature_scale is None  # 1 / 12.75 for a VGG, as the losses' own test holds
    assert (settings.model.adversarial.name, settings.model.adversarial_weight) == ("vanilla", 1e-3)
    assert (settings.model.pixel.name, settings.model.pixel_weight) == ("mse", 0)
    assert (settings.data.crop_px, settings.data.batch_images, settings.data.scale) == (96, 16, 4)
    assert (settings.stages.pretraining.steps, settings.stages.adversarial.steps) == (1_000_000, 200_000)
    for stage, player in (("pretraining", "generator"), ("adversarial", "generator"), ("adversarial", "discriminator")):
        assert adam(settings, stage, player) == ("adam", 1e-4, (0.9, 0.999))
    schedule = settings.stages.adversarial.schedule
    halves = [schedule.rate_factor(StageProgress(step, 200_000, 0)) for step in (99_999, 100_000)]
    assert halves == pytest.approx([1, 0.1])


def test_srgan_mse_has_no_feature_network():
    settings = config("srgan/mse")
    assert settings.model.perceptual is None
    assert (settings.model.pixel.name, settings.model.pixel_weight) == ("mse", 1)


@pytest.mark.parametrize("left", ["pretraining", "adversarial"])
def test_srgan_plays_one_stage_alone(left):
    other = {"pretraining": "adversarial", "adversarial": "pretraining"}[left]
    recipe = built("srgan/compact", f"stages.{other}=null", "model.perceptual=null")
    assert [stage.name for stage in recipe.stages()] == [left]


def test_srgan_without_the_game_needs_no_feature_weights():
    assert built("srgan/compact", "stages.adversarial=null").perceptual is None


def test_srgan_compact_judges_relative_to_the_originals():
    recipe = built("srgan/compact", "model.perceptual=null")
    assert recipe.options.adversarial.name == "relativistic"
    assert millions(recipe.generator) < 0.8
