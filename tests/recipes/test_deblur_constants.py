"""The deblurring presets build what DeblurGAN, its second version and the chapter describe."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gantools.errors import ConfigError
from gantools.recipes.deblur import DeblurModel
from tests.recipes.presets import adam, built, config, millions, of_type, rates

GANS = ("deblur/motion", "deblur/vgg16", "deblur/fpn")
RANDOM = "model.perceptual.weights=random"


def perceptual(settings) -> tuple:
    found = settings.model.perceptual
    return found.network, found.layers, found.criterion, found.feature_scale


def test_motion_is_deblurgan():
    recipe, settings = built("deblur/motion", RANDOM), config("deblur/motion")
    assert millions(recipe.generator) == pytest.approx(11.378, abs=5e-4)
    assert recipe.generator.global_residual
    assert [module.p for module in of_type(recipe.generator, nn.Dropout)] == [0.5] * 9
    assert (settings.model.generator.blocks, settings.model.generator.norm) == (9, "instance")
    (critic,) = recipe.discriminators.values()
    assert [layer.in_channels for layer in of_type(critic, nn.Conv2d)] == [3, 64, 128, 256, 512]  # unconditional
    assert not of_type(critic, nn.BatchNorm2d)
    assert (settings.model.adversarial.name, settings.model.penalty_weight) == ("wasserstein", 10)
    assert perceptual(settings) == ("vgg19", ("conv3_3",), "mse", 1.0)
    assert (settings.model.perceptual_weight, settings.model.pixel_weight) == (100, 0)
    assert (settings.model.adversarial_weight, settings.model.initialization) == (1, "normal")
    assert (settings.data.crop_px, settings.data.batch_images) == (256, 1)


def test_every_batch_of_motion_has_five_turns_of_the_critic_and_one_of_the_generator():
    """As in the authors' ``optimize_parameters``: at equal epochs the generator learns as often as theirs."""
    (stage,) = built("deblur/motion", RANDOM).stages()
    for step in range(10):
        assert stage.policy.turns(step, {}) == (*["discriminator"] * 5, "generator")


def test_features_are_of_images_as_the_authors_give_them():
    """DeblurGAN feeds [-1, 1] to VGG, DeblurGAN-v2 ImageNet's statistics: the weights 100 and 0.006 belong to these."""
    names = "motion", "vgg16", "fpn"
    assert [config(f"deblur/{name}").model.perceptual.normalise_input for name in names] == [False, False, True]


@pytest.mark.parametrize("spec", GANS)
def test_rates_fall_over_the_second_half_of_300_epochs(spec):
    stages = config(spec).stages
    assert stages.content is None
    assert (stages.adversarial.epochs, adam(stages.adversarial)) == (300, {("adam", 1e-4, (0.5, 0.999))})
    factors = rates(stages.adversarial, 300, (0, 149, 150, 299))
    assert factors == pytest.approx([1, 1, 1 - 1 / 151, 1 - 150 / 151])


def test_vgg16_is_the_chapters():
    recipe, settings = built("deblur/vgg16", RANDOM), config("deblur/vgg16")
    assert (settings.model.adversarial.name, settings.model.adversarial.real_label) == ("vanilla", 0.9)
    assert perceptual(settings)[0] == "vgg16"
    assert (settings.data.batch_images, settings.model.critic_turns) == (2, 1)
    blur = settings.data.blur
    assert blur.motion_weight == blur.defocus_weight == blur.gaussian_weight > 0
    assert recipe.gan.real_label == 0.9


def test_fpn_is_deblurgan_v2():
    recipe, settings = built("deblur/fpn", RANDOM), config("deblur/fpn")
    assert (settings.model.adversarial.name, settings.model.adversarial.objective) == ("relativistic", "lsgan")
    assert (settings.model.adversarial_weight, settings.model.perceptual_weight) == (0.01, 0.006)
    assert (settings.model.pixel.name, settings.model.pixel_weight) == ("mse", 0.5)
    assert perceptual(settings) == ("vgg19", ("conv3_3",), "mse", 1.0)
    fields = {name: judge.receptive_field_px for name, judge in recipe.discriminators.items()}
    assert fields == {"discriminator": 70, "full_discriminator": 286}  # the latter sees the whole 256 px crop
    (stage,) = recipe.stages()
    assert set(stage.players["discriminator"].networks) == {"discriminator", "full_discriminator"}
    generator = recipe.generator
    assert [lateral.out_channels for lateral in generator.lateral] == [256] * 4
    assert [head[2].out_channels for head in generator.heads] == [128] * 4
    assert generator.size_multiple == 32
    image = torch.empty(1, 3, 256, 256, device="meta")
    assert generator(image).shape == image.shape


def test_compact_is_one_stage_of_a_small_network():
    recipe, settings = built("deblur/compact"), config("deblur/compact")
    (stage,) = recipe.stages()
    assert (stage.name, set(stage.players)) == ("content", {"generator"})
    assert millions(recipe.generator) < 3
    assert recipe.generator.halo_px >= 64
    assert recipe.perceptual is None
    assert settings.data.blur.sharp_share > 0


def test_compact_starts_as_the_identity():
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(built("deblur/compact", device="cpu").generator(image), image)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["stages.content=null"], "give at least one of content, adversarial"),
        (["model.pixel_weight=0"], "needs a content loss"),
        (["data.crop_px=100"], "cannot take 100×100 px"),
        (["model.generator={name: compact_sr}"], "makes 512×512 px"),
    ],
)
def test_what_cannot_train_is_refused(overrides, said):
    with pytest.raises((ConfigError, ValidationError), match=said):
        built("deblur/compact", *overrides)


def test_the_default_model_is_the_papers():
    model = DeblurModel()
    assert (model.perceptual_weight, model.penalty_weight, model.critic_turns) == (100, 10, 5)
    assert model.generator.global_residual
