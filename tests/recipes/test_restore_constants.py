"""Restoration is built and scheduled as the source document describes it."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision import models

from gantools import api
from gantools.config.schedules import OneCycleSchedule
from gantools.errors import ConfigError, ModelFileError, UsageError
from gantools.images.imagenet import DEVIATION, MEAN, normalised
from gantools.models import GENERATORS
from gantools.models.attention import SelfAttention
from gantools.models.encoders import load_encoder_weights
from gantools.models.options import ResNetUNetOptions
from gantools.training.recipe import Generated, networks_of
from gantools.training.turns import Solo, ThresholdSwitch
from tests.recipes import presets


def built(spec: str, *overrides: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return presets.built(spec, "model.encoder_weights=random", *overrides)


def test_the_networks_are_fastais():
    recipe = built("restore/crappify")
    resnet_millions = presets.millions(models.resnet34()) - 0.513  # no classes
    assert presets.millions(recipe.generator.encoder) == pytest.approx(resnet_millions, abs=1e-3)
    assert presets.millions(recipe.generator) == pytest.approx(41.414, abs=1e-3)
    assert [up.outputs for up in recipe.generator.decoder.ups] == [512, 384, 256, 96]
    attention = [number for number, up in enumerate(recipe.generator.decoder.ups) if len(up.after) == 3]
    assert attention == [1]
    decoder = recipe.generator.decoder
    unnormed = {layer for one in presets.of_type(decoder, SelfAttention) for layer in one.modules()}
    convolutions = [one for one in decoder.modules() if type(one).__name__.endswith("Conv2d")]
    assert all(is_parametrized(one, "weight") for one in convolutions if one not in unnormed)
    assert (recipe.generator.decoder.low, recipe.generator.decoder.high) == (-3, 3)
    assert [one.p for one in presets.of_type(recipe.critic, nn.Dropout2d)] == [0.075, 0.15, 0.15, 0.15]
    assert all(is_parametrized(one, "weight") for one in presets.of_type(recipe.critic, nn.Conv2d))
    assert recipe.critic(torch.empty(2, 3, 128, 128, device="meta")).shape == (2, 1, 5, 5)


def test_the_schedule_is_the_sources():
    config = api.configure("restore/crappify", data=["photos"]).config
    data, model, stages = config.data, config.model, config.stages
    assert [one.name for one in data.degradations] == ["low_resolution", "text", "jpeg"]
    low, text, jpeg = data.degradations
    assert (low.short_side_px, low.enlarge, text.numbers, jpeg.quality) == (96, "bilinear", (10, 70), (10, 70))
    assert (data.crop_px, data.batch_images, data.validation_share, data.split_seed) == (128, 32, 0.1, 42)
    assert data.largest_region_px == 2 * data.crop_px  # zoom up to 2
    weights = model.adversarial_weight, model.pixel_weight, model.critic_weight, model.critic_threshold
    assert weights == (1, 50, 0.5, 0.65)
    assert (model.adversarial.name, model.pixel.name, model.encoder_weights) == ("vanilla", "mse", None)
    assert [dict(stages)[name].epochs for name in type(stages).model_fields] == [2, 3, 6, 40]
    assert presets.rates(stages.generator_pretraining_frozen, 100, (0, 80, 100)) == pytest.approx([1 / 25, 1, 4e-6])
    for name in ("generator_pretraining_frozen", "generator_pretraining", "critic_pretraining"):
        assert isinstance(dict(stages)[name].schedule, OneCycleSchedule)
    rates = [1e-3 * factor for factor in (*model.encoder_rates, 1)]
    assert rates == pytest.approx([1e-6, 3.1623e-5, 1e-3], rel=1e-4)
    assert stages.critic_pretraining.optimizers.discriminator.lr == 1e-3
    players = dict(stages.adversarial.optimizers)
    assert [(one.lr, one.betas, one.weight_decay) for one in players.values()] == [
        (1e-4, (0.0, 0.99), 1e-3),
        (5e-4, (0.0, 0.99), 1e-3),
    ]


def test_who_plays_and_who_rests():
    stages = list(built("restore/crappify").stages())
    assert [type(stage.policy) for stage in stages] == [Solo, Solo, Solo, ThresholdSwitch]
    assert stages[3].policy.threshold == 0.65
    parts = {"encoder_early", "encoder_late", "decoder"}
    playing = [{name: set(player.networks) for name, player in stage.players.items()} for stage in stages]
    assert playing == [
        {"generator": {"decoder"}},
        {"generator": parts},
        {"discriminator": {"critic"}},
        {"generator": parts, "discriminator": {"critic"}},
    ]
    assert [set(stage.frozen) for stage in stages] == [{"encoder_early", "encoder_late"}, set(), parts, set()]
    assert stages[1].players["generator"].rates == pytest.approx({"encoder_early": 1e-3, "encoder_late": 1e-3**0.5})
    assert stages[3].players["generator"].rates == {}
    assert {player.frozen_mode for player in stages[3].players.values()} == {"eval"}


def test_every_weight_of_the_generator_is_one_players():
    recipe = built("restore/crappify-64")
    networks = networks_of(list(recipe.stages()))
    parts = [networks[name] for name in ("encoder_early", "encoder_late", "decoder")]
    owned = [id(one) for part in parts for one in (*part.parameters(), *part.buffers())]
    assert sorted(owned) == sorted(id(one) for one in (*recipe.generator.parameters(), *recipe.generator.buffers()))


def test_losses_are_taken_on_imagenets_statistics():
    settings = api.configure("restore/crappify-64", data=["photos"])
    recipe = settings.recipe(settings.config)
    fake, clean = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    batch = SimpleNamespace(clean=clean)
    deviation = torch.tensor(DEVIATION).view(3, 1, 1)
    expected = (((fake - clean) / 2 / deviation) ** 2).mean()
    torch.testing.assert_close(recipe.pretraining_loss(batch, Generated(fake)).total, expected)
    mean = torch.tensor(MEAN).view(3, 1, 1)
    torch.testing.assert_close(normalised(fake), ((fake + 1) / 2 - mean) / deviation)
    torch.testing.assert_close(recipe.generator_loss(batch, Generated(fake)).terms["pixel"], 50 * expected)


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_the_encoder_is_torchvisions(name, tmp_path):
    torch.manual_seed(0)
    theirs = getattr(models, name)().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = GENERATORS.build(ResNetUNetOptions(encoder=name)).encoder.eval()
    load_encoder_weights(ours, name, str(tmp_path / "weights.pth"))
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        maps = ours(image)
        values = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(normalised(image)))))
        for number, found in enumerate(maps[2:], start=1):
            values = getattr(theirs, f"layer{number}")(values)
            torch.testing.assert_close(found, values)


def test_encoder_weights_that_are_missing_or_of_another_network(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path))
    encoder = GENERATORS.build(ResNetUNetOptions(encoder="resnet34")).encoder
    with pytest.raises(UsageError, match=r"gantools weights fetch resnet34.*encoder_weights: FILE"):
        load_encoder_weights(encoder, "resnet34", None)
    torch.save(models.resnet18().state_dict(), tmp_path / "small.pth")
    with pytest.raises(ModelFileError, match=r"no tensor layer1.2.*need torchvision's resnet34"):
        load_encoder_weights(encoder, "resnet34", str(tmp_path / "small.pth"))


def test_a_frozen_encoder_without_weights_is_warned_of():
    settings = api.configure("restore/crappify", data=["photos"], overrides=["model.encoder_weights=random"])
    with torch.device("meta"), pytest.warns(UserWarning, match="keeps the encoder untrained"):
        settings.recipe(settings.config)


@pytest.mark.parametrize(("preset", "gray"), [("colorize-64", "color"), ("crappify-64", "keep")])
def test_only_weights_that_learnt_colours_give_them_to_gray_images(preset, gray):
    assert built(f"restore/{preset}").exports()["generator"].gray == gray


def test_any_generator_of_the_size_is_trained_by_distances_alone():
    recipe = presets.built("restore/photos", "model.perceptual.weights=random")
    (stage,) = recipe.stages()
    assert (stage.name, set(networks_of([stage]))) == ("generator_pretraining", {"generator"})
    assert stage.players["generator"].rates == {}
    assert set(recipe.exports()) == {"generator"}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.encoder_weights=resnet.pth", "encoder_weights: compact_restoration has no such encoder"),
        (
            "stages.generator_pretraining_frozen={steps: 1, optimizers: {generator: {name: adam}}}",
            "compact_restoration has no encoder to freeze",
        ),
        ("stages.generator_pretraining=null", "give at least one of generator_pretraining_frozen"),
        ("data.degradations=[{name: low_resolution}]", "downscale: not with low_resolution"),
    ],
)
def test_what_a_generator_without_a_pretrained_encoder_cannot_do_is_refused(override, said):
    with pytest.raises(ConfigError, match=said):
        api.configure("restore/photos", data=["photos"], overrides=[override])
