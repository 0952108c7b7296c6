"""The presets that bear a paper's or a source's name build what it describes; first weights of all recipes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.recipes.presets import adam, built, config, millions, of_type, rates, widths


def test_pix2pix_paper():
    recipe, settings = built("pix2pix/paper"), config("pix2pix/paper")
    assert millions(recipe.generator) == pytest.approx(54.414, abs=5e-4)
    assert millions(recipe.discriminator) == pytest.approx(2.769, abs=5e-4)
    assert recipe.discriminator.receptive_field_px == 70
    assert len(of_type(recipe.generator, nn.BatchNorm2d)) == 13  # not on the outermost down, the innermost, the output
    assert [module.p for module in of_type(recipe.generator, nn.Dropout)] == [0.5] * 3
    model, data, stage = settings.model, settings.data, settings.stages.adversarial
    assert (model.adversarial.name, model.pixel.name) == ("vanilla", "l1")
    assert (model.pixel_weight, model.discriminator_weight) == (100, 0.5)
    assert (data.load_px, data.crop_px, data.batch_images, data.flip) == (286, 256, 1, True)
    assert (stage.epochs, adam(stage)) == (200, {("adam", 2e-4, (0.5, 0.999))})
    assert rates(stage, 200, (0, 99, 100, 199)) == pytest.approx([1, 1, 1 - 1 / 101, 1 - 100 / 101])
    assert recipe.exports()["generator"].mode == "train"


@pytest.mark.parametrize(("spec", "images"), [("pix2pix/facades", 1), ("pix2pix/colorize", 4)])
def test_facades_and_colorize_are_the_papers(spec, images):
    settings = config(spec)
    model, data = settings.model, settings.data
    assert (data.load_px, data.crop_px, data.batch_images, data.flip) == (286, 256, images, True)
    assert (model.adversarial.name, model.pixel_weight, model.discriminator_weight) == ("vanilla", 100, 0.5)
    assert settings.stages.adversarial.epochs == 200
    assert (data.direction == "b2a") == (spec == "pix2pix/facades")
    assert (data.make == "gray") == (spec == "pix2pix/colorize")


def test_pix2pix_edges2shoes_is_the_sources():
    recipe, settings = built("pix2pix/edges2shoes"), config("pix2pix/edges2shoes")
    image = torch.empty(2, 3, 256, 256, device="meta")
    assert recipe.generator(image).shape == image.shape
    assert recipe.discriminator(torch.empty(2, 6, 256, 256, device="meta")).shape == (2, 1, 16, 16)
    assert len(of_type(recipe.generator, nn.Dropout)) == 5 + 4  # from the fourth of eight downs on, and in four ups
    assert (settings.model.adversarial.name, settings.model.pixel_weight) == ("lsgan", 100)
    assert (settings.data.batch_images, settings.data.split_seed, settings.data.validation_share) == (32, 2, 0.2)
    edges = settings.data.edges
    assert (edges.bilateral_px, edges.bilateral_sigma_color, edges.bilateral_sigma_space) == (5, 50, 50)
    assert (edges.canny_low, edges.canny_high) == (45, 100)
    assert (edges.max_hints, edges.hints, edges.hint_radius_px, edges.white_threshold) == (300, "fixed", 2, 2.75)
    stage = settings.stages.adversarial
    assert (stage.epochs, adam(stage)) == (100, {("adam", 2e-4, (0.5, 0.999))})


def test_srgan_paper():
    settings, recipe = config("srgan/paper"), built("srgan/mse")
    assert millions(recipe.generator) == pytest.approx(1.547, abs=5e-4)
    assert len(of_type(recipe.generator, nn.PReLU)) == 1 + 16 + 2
    assert len(of_type(recipe.generator, nn.BatchNorm2d)) == 2 * 16 + 1
    assert widths(recipe.discriminator) == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [layer.out_features for layer in of_type(recipe.discriminator, nn.Linear)] == [1024, 1]
    model, data, stages = settings.model, settings.data, settings.stages
    perceptual = model.perceptual
    assert (perceptual.network, perceptual.layers, perceptual.criterion) == ("vgg19", ("relu5_4",), "mse")
    assert perceptual.feature_scale is None  # 1 / 12.75 for a VGG, as the losses' own test holds
    assert (model.adversarial.name, model.adversarial_weight) == ("vanilla", 1e-3)
    assert (model.pixel.name, model.pixel_weight) == ("mse", 0)
    assert (data.crop_px, data.batch_images, data.scale) == (96, 16, 4)
    assert (stages.pretraining.steps, stages.adversarial.steps) == (1_000_000, 200_000)
    assert adam(stages.pretraining) == adam(stages.adversarial) == {("adam", 1e-4, (0.9, 0.999))}
    assert rates(stages.adversarial, 200_000, (99_999, 100_000)) == pytest.approx([1, 0.1])
    mse = config("srgan/mse").model
    assert (mse.perceptual, mse.pixel.name, mse.pixel_weight) == (None, "mse", 1)


@pytest.mark.parametrize(("left", "other"), [("pretraining", "adversarial"), ("adversarial", "pretraining")])
def test_srgan_trains_one_stage_alone(left, other):
    recipe = built("srgan/compact", f"stages.{other}=null", "model.perceptual=null")
    assert [stage.name for stage in recipe.stages()] == [left]


def test_srgan_compact_judges_relative_to_the_originals_and_pretraining_needs_no_feature_weights():
    recipe = built("srgan/compact", "stages.adversarial=null")
    assert (recipe.perceptual, recipe.options.adversarial.name) == (None, "relativistic")
    assert millions(recipe.generator) < 0.8


@pytest.mark.parametrize(
    ("spec", "overrides", "names"),
    [
        ("pix2pix/shoes-64", [], ("generator", "discriminator")),
        ("cyclegan/apple2orange-64", [], ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")),
        ("context_encoder/center", ["model.generator.bottleneck_channels=64"], ("generator", "discriminator")),
        ("deblur/motion", ["model.perceptual=null", "model.pixel_weight=1"], ("generator", "discriminator")),
    ],
)
def test_first_weights_are_narrow_normals(spec, overrides, names):
    recipe = built(spec, *overrides, device="cpu")
    drawn = [getattr(recipe, name, None) or recipe.discriminators[name] for name in names]
    for network in drawn:
        layers = of_type(network, nn.Conv2d, nn.ConvTranspose2d)
        weights = torch.cat([layer.weight.flatten() for layer in layers])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        norms = of_type(network, nn.BatchNorm2d)
        assert not any(layer.bias.any() for layer in (*layers, *norms) if layer.bias is not None)
        if norms:
            scales = torch.cat([layer.weight for layer in norms])
            assert scales.mean().item() == pytest.approx(1, abs=0.005)
            assert scales.std().item() == pytest.approx(0.02, rel=0.2)
    first = [of_type(network, nn.Conv2d)[0].weight for network in drawn]
    assert len({weight.sum().item() for weight in first}) == len(first), "no two networks begin alike"


@pytest.mark.parametrize(
    ("spec", "images", "group", "lr", "gamma", "ema_kimg", "layers"),
    [
        ("stylegan2/paper-256", 64, 8, 2.5e-3, 1, 20, 8),
        ("stylegan2/paper-512", 64, 8, 2.5e-3, 0.5, 20, 8),
        ("stylegan2/paper-1024", 32, 4, 2e-3, 2, 10, 8),
        ("stylegan2/auto", 16, 4, 2.5e-3, 0.0002 * 256**2 / 16, 5, 2),
        ("stylegan2/shoes-32", 16, 4, 2.5e-3, 0.0002 * 32**2 / 16, 2, 8),
    ],
)
def test_stylegan2_has_the_numbers_of_nvidias_configurations(spec, images, group, lr, gamma, ema_kimg, layers):
    with torch.device("meta"):
        recipe, settings = built(spec), config(spec)
    stage, model = settings.stages.adversarial, settings.model
    assert settings.data.batch_images * (stage.accumulate_batches or 1) == images
    assert (model.group_images, model.generator.mapping_layers) == (group, layers)
    assert adam(stage) == {("adam", lr, (0.0, 0.99))}
    assert recipe.r1_weight == pytest.approx(gamma)
    assert settings.train.ema_kimg == ema_kimg
    assert (model.r1_every_steps, model.path_weight, model.path_every_steps, model.mixing) == (16, 2, 4, 0.9)
    assert spec == "stylegan2/shoes-32" or stage.kimg == 25000


def test_stylegan2_is_as_large_as_the_original():
    """Parameters that NVIDIA's code prints for configuration F at 1024 px."""
    with torch.device("meta"):
        recipe = built("stylegan2/paper-1024")
    assert sum(p.numel() for p in recipe.generator.parameters()) == 30_370_060
    assert sum(p.numel() for p in recipe.discriminator.parameters()) == 29_012_513
    assert recipe.generator.rows == 18
