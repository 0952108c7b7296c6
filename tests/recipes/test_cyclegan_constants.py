"""CycleGAN's presets build what the paper and the source describe."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools import api
from gantools.config.schedules import StageProgress
from gantools.models.blocks import InstanceNorm
from gantools.models.generators.resnet import ResNet


def config(spec: str):
    return api.configure(spec, data=["pictures"]).config


def built(spec: str):
    settings = api.configure(spec, data=["pictures"])
    with torch.device("meta"):
        return settings.recipe(settings.config)


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def of_type(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def players(spec: str):
    recipe = built(spec)
    (stage,) = recipe.stages()
    return recipe, stage


@pytest.mark.parametrize("spec", ["cyclegan/paper", "cyclegan/apple2orange"])
def test_what_paper_and_source_share(spec):
    (recipe, stage), settings = players(spec), config(spec)
    for generator in (recipe.a_to_b, recipe.b_to_a):
        assert isinstance(generator, ResNet)
        assert len(generator.blocks) == 9
        assert generator.stem[1].out_channels == 64
        assert [module.p for module in of_type(generator, nn.Dropout)] == []
        assert all(layer.bias is not None for layer in of_type(generator, nn.Conv2d))
        assert len(of_type(generator, InstanceNorm)) == 1 + 2 + 18 + 2
    for judge in (recipe.discriminator_a, recipe.discriminator_b):
        assert of_type(judge, nn.Conv2d)[0].in_channels == 3
        assert {module.negative_slope for module in of_type(judge, nn.LeakyReLU)} == {0.2}
        assert not of_type(judge, nn.BatchNorm2d)
    model = settings.model
    assert (model.adversarial.name, model.adversarial.real_label, model.reconstruction.name) == ("lsgan", 1.0, "l1")
    assert (model.cycle_weight, model.identity_weight, model.discriminator_weight) == (10, 5, 0.5)
    assert model.initialization == "normal"
    assert (settings.data.crop_px, settings.data.batch_images, settings.data.flip) == (256, 1, True)
    assert {name: list(player.networks) for name, player in stage.players.items()} == {
        "generator": ["a_to_b", "b_to_a"],
        "discriminator": ["judge_a", "judge_b"],
    }
    assert stage.policy.turns(0, {}) == ("generator", "discriminator")
    for options in dict(settings.stages.adversarial.optimizers).values():
        assert (options.name, options.lr, options.betas) == ("adam", 2e-4, (0.5, 0.999))


def test_cyclegan_paper():
    recipe, settings = built("cyclegan/paper"), config("cyclegan/paper")
    assert millions(recipe.a_to_b) == pytest.approx(11.378, abs=5e-4)
    assert millions(recipe.discriminator_a) == pytest.approx(2.765, abs=5e-4)
    assert recipe.discriminator_a.receptive_field_px == 70
    assert recipe.discriminator_a(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 1, 30, 30)
    assert len(of_type(recipe.a_to_b, nn.ConvTranspose2d)) == 2
    assert (settings.data.load_px, settings.data.fit) == (286, "stretch")
    assert (settings.model.pool_images, settings.model.directions) == (50, "sum")
    assert recipe.pool_a.capacity == recipe.pool_b.capacity == 50
    assert settings.stages.adversarial.epochs == 200
    schedule = settings.stages.adversarial.schedule
    factors = [schedule.rate_factor(StageProgress(epoch, 200, epoch)) for epoch in (0, 99, 100, 199)]
    assert factors == pytest.approx([1, 1, 1 - 1 / 101, 1 - 100 / 101])


def test_cyclegan_apple2orange_is_the_sources():
    recipe, settings = built("cyclegan/apple2orange"), config("cyclegan/apple2orange")
    assert len(of_type(recipe.a_to_b, nn.Upsample)) == 2
    assert not of_type(recipe.a_to_b, nn.ConvTranspose2d)
    assert recipe.discriminator_a(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 1, 16, 16)
    assert [layer.out_channels for layer in of_type(recipe.discriminator_a, nn.Conv2d)] == [64, 128, 256, 512, 1]
    assert len(of_type(recipe.discriminator_a, InstanceNorm)) == 3
    assert (settings.data.load_px, settings.data.fit) == (int(1.33 * 256), "cover")
    assert (settings.model.pool_images, settings.model.directions, recipe.share) == (0, "mean", 0.5)
    assert settings.stages.adversarial.epochs == 10
    assert settings.stages.adversarial.schedule.name == "constant"


def test_cyclegan_starts_from_narrow_normals():
    torch.manual_seed(0)
    settings = api.configure("cyclegan/apple2orange-64", data=["pictures"])
    recipe = settings.recipe(settings.config)
    for network in (recipe.a_to_b, recipe.b_to_a, recipe.discriminator_a, recipe.discriminator_b):
        layers = of_type(network, nn.Conv2d)
        weights = torch.cat([layer.weight.flatten() for layer in layers])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        assert all(not layer.bias.any() for layer in layers if layer.bias is not None)
    assert not torch.equal(recipe.a_to_b.stem[1].weight, recipe.b_to_a.stem[1].weight)
    assert not torch.equal(recipe.discriminator_a.logits.weight, recipe.discriminator_b.logits.weight)
