"""CycleGAN's presets build what the paper and the source describe."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools.models.blocks import InstanceNorm
from gantools.models.generators.resnet import ResNet
from tests.recipes.presets import adam, built, config, millions, of_type, rates, widths


@pytest.mark.parametrize("spec", ["cyclegan/paper", "cyclegan/apple2orange"])
def test_what_paper_and_source_share(spec):
    recipe, settings = built(spec), config(spec)
    for generator in (recipe.a_to_b, recipe.b_to_a):
        assert isinstance(generator, ResNet)
        assert (len(generator.blocks), generator.stem[1].out_channels) == (9, 64)
        assert not of_type(generator, nn.Dropout)
        assert all(layer.bias is not None for layer in of_type(generator, nn.Conv2d))
        assert len(of_type(generator, InstanceNorm)) == 1 + 2 + 18 + 2
    for judge in (recipe.discriminator_a, recipe.discriminator_b):
        assert of_type(judge, nn.Conv2d)[0].in_channels == 3
        assert {module.negative_slope for module in of_type(judge, nn.LeakyReLU)} == {0.2}
        assert not of_type(judge, nn.BatchNorm2d)
    model, data = settings.model, settings.data
    assert (model.adversarial.name, model.adversarial.real_label, model.reconstruction.name) == ("lsgan", 1.0, "l1")
    assert (model.cycle_weight, model.identity_weight, model.discriminator_weight) == (10, 5, 0.5)
    assert (data.crop_px, data.batch_images, data.flip) == (256, 1, True)
    (stage,) = recipe.stages()
    assert {name: list(player.networks) for name, player in stage.players.items()} == {
        "generator": ["a_to_b", "b_to_a"],
        "discriminator": ["judge_a", "judge_b"],
    }
    assert stage.policy.turns(0, {}) == ("generator", "discriminator")
    assert adam(settings.stages.adversarial) == {("adam", 2e-4, (0.5, 0.999))}


def test_cyclegan_paper():
    recipe, settings = built("cyclegan/paper"), config("cyclegan/paper")
    assert millions(recipe.a_to_b) == pytest.approx(11.378, abs=5e-4)
    assert millions(recipe.discriminator_a) == pytest.approx(2.765, abs=5e-4)
    assert recipe.discriminator_a.receptive_field_px == 70
    assert recipe.discriminator_a(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 1, 30, 30)
    assert len(of_type(recipe.a_to_b, nn.ConvTranspose2d)) == 2
    assert (settings.data.load_px, settings.data.fit, settings.model.directions) == (286, "stretch", "sum")
    assert recipe.pool_a.capacity == recipe.pool_b.capacity == settings.model.pool_images == 50
    stage = settings.stages.adversarial
    assert stage.epochs == 200
    assert rates(stage, 200, (0, 99, 100, 199)) == pytest.approx([1, 1, 1 - 1 / 101, 1 - 100 / 101])


def test_cyclegan_apple2orange_is_the_sources():
    recipe, settings = built("cyclegan/apple2orange"), config("cyclegan/apple2orange")
    assert (len(of_type(recipe.a_to_b, nn.Upsample)), len(of_type(recipe.a_to_b, nn.ConvTranspose2d))) == (2, 0)
    assert recipe.discriminator_a(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 1, 16, 16)
    assert widths(recipe.discriminator_a) == [64, 128, 256, 512, 1]
    assert len(of_type(recipe.discriminator_a, InstanceNorm)) == 3
    assert (settings.data.load_px, settings.data.fit) == (int(1.33 * 256), "cover")
    assert (settings.model.pool_images, settings.model.directions, recipe.share) == (0, "mean", 0.5)
    assert (settings.stages.adversarial.epochs, settings.stages.adversarial.schedule.name) == (10, "constant")
