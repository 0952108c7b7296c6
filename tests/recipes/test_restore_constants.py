"""Restoration is built and scheduled as the source document describes it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision import models

from gantools import api
from gantools.config.schedules import OneCycleSchedule, StageProgress
from gantools.errors import ModelFileError, UsageError
from gantools.images.imagenet import DEVIATION, MEAN, normalised
from gantools.models import GENERATORS
from gantools.models.attention import SelfAttention
from gantools.models.encoders import load_encoder_weights
from gantools.models.options import ResNetUNetOptions
from gantools.training.recipe import networks_of
from gantools.training.turns import Solo, ThresholdSwitch


def built(spec: str, *overrides: str):
    settings = api.configure(spec, data=["photos"], overrides=["model.encoder_weights=random", *overrides])
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return settings.recipe(settings.config)


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def test_the_networks_are_fastais():
    recipe = built("restore/crappify")
    assert millions(recipe.generator.encoder) == pytest.approx(
        millions(models.resnet34()) - 0.513, abs=1e-3
    )  # no classes
    assert millions(recipe.generator) == pytest.approx(41.414, abs=1e-3)
    assert [up.outputs for up in recipe.generator.decoder.ups] == [512, 384, 256, 96]
    attention = [number for number, up in enumerate(recipe.generator.decoder.ups) if len(up.after) == 3]
    assert attention == [1]
    convolutions = [one for one in recipe.generator.decoder.modules() if type(one).__name__.endswith("Conv2d")]
    plain = {
        id(layer)
        for one in recipe.generator.decoder.modules()
        if isinstance(one, SelfAttention)
        for layer in one.modules()
    }
    assert all(is_parametrized(one, "weight") for one in convolutions if id(one) not in plain)
    assert (recipe.generator.decoder.low, recipe.generator.decoder.high) == (-3, 3)
    assert [one.p for one in recipe.critic.modules() if isinstance(one, nn.Dropout2d)] == [0.075, 0.15, 0.15, 0.15]
    judging = [one for one in recipe.critic.modules() if isinstance(one, nn.Conv2d)]
    assert all(is_parametrized(one, "weight") for one in judging)
    assert recipe.critic(torch.empty(2, 3, 128, 128, device="meta")).shape == (2, 1, 5, 5)


def test_the_schedule_is_the_sources():
    config = api.configure("restore/crappify", data=["photos"]).config
    data, model, stages = config.data, config.model, config.stages
    assert [one.name for one in data.degradations] == ["low_resolution", "text", "jpeg"]
    low, text, jpeg = data.degradations
    assert (low.short_side_px, low.enlarge, text.numbers, jpeg.quality) == (96, "bilinear", (10, 70), (10, 70))
    assert (data.crop_px, data.batch_images, data.validation_share, data.split_seed) == (128, 32, 0.1, 42)
    assert data.largest_region_px == 2 * data.crop_px  # zoom up to 2
    assert (model.adversarial_weight, model.pixel_weight, model.critic_weight, model.critic_threshold) == (
        1,
        50,
        0.5,
        0.65,
    )
    assert (model.adversarial.name, model.pixel.name, model.encoder_weights) == ("vanilla", "mse", None)
    assert [dict(stages)[name].epochs for name in type(stages).model_fields] == [2, 3, 6, 40]
    assert stages.generator_pretraining_frozen.schedule.rise_share == 0.8
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


def test_one_cycle_rises_for_four_fifths():
    schedule = api.configure("restore/crappify").config.stages.generator_pretraining_frozen.schedule
    factors = [schedule.rate_factor(StageProgress(step, 100, 0)) for step in (0, 80, 100)]
    assert factors == pytest.approx([1 / 25, 1, 4e-6])


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

    class Batch:
        pass

    batch = Batch()
    batch.clean = clean
    deviation = torch.tensor(DEVIATION).view(3, 1, 1)
    expected = (((fake - clean) / 2 / deviation) ** 2).mean()
    from gantools.training.recipe import Generated

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
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        maps = ours(picture)
        values = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(normalised(picture)))))
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


def test_facades_and_colorize_are_the_papers():
    for spec, images in (("pix2pix/facades", 1), ("pix2pix/colorize", 4)):
        config = api.configure(spec, data=["pairs"]).config
        assert (config.data.load_px, config.data.crop_px, config.data.batch_images) == (286, 256, images)
        assert (config.model.adversarial.name, config.model.pixel_weight, config.model.discriminator_weight) == (
            "vanilla",
            100,
            0.5,
        )
        assert (config.stages.adversarial.epochs, config.data.flip) == (200, True)
    assert api.configure("pix2pix/facades").config.data.direction == "b2a"
    assert api.configure("pix2pix/colorize").config.data.make == "gray"


@pytest.mark.parametrize(("preset", "gray"), [("colorize-64", "color"), ("crappify-64", "keep")])
def test_only_weights_that_learnt_colours_give_them_to_gray_pictures(preset, gray):
    assert built(f"restore/{preset}").exports()["generator"].gray == gray
