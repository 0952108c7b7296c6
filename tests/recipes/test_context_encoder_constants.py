"""The context encoder's presets build what the paper and the source describe."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gantools.data.loading.batches import Masked
from gantools.errors import ConfigError
from gantools.recipes.context_encoder import Filled
from gantools.training.turns import Alternate, CriticRatio
from tests.recipes import presets

SPECS = ("center", "random_block", "random_region")


def built(spec: str, *overrides: str, device: str = "meta"):
    return presets.built(f"context_encoder/{spec}", *overrides, device=device)


def config(spec: str, *overrides: str):
    return presets.config(f"context_encoder/{spec}", *overrides)


def layers(network: nn.Module) -> list[tuple]:
    """Direction, channels in and out, kernel side and stride of each convolution."""
    found = [
        (one, isinstance(one, nn.ConvTranspose2d)) for one in presets.of_type(network, nn.Conv2d, nn.ConvTranspose2d)
    ]
    return [("up" if up else "down", c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c, up in found]


def followers(network: nn.Module) -> list[str]:
    return [type(one).__name__ for one in network.modules() if not list(one.children())]


ENCODER = [
    ("down", 3, 64, 4, 2),
    ("down", 64, 64, 4, 2),
    ("down", 64, 128, 4, 2),
    ("down", 128, 256, 4, 2),
    ("down", 256, 512, 4, 2),
    ("down", 512, 4000, 4, 1),
    ("up", 4000, 512, 4, 1),
    ("up", 512, 256, 4, 2),
    ("up", 256, 128, 4, 2),
    ("up", 128, 64, 4, 2),
]


def test_the_center_network_is_the_papers_layer_table() -> None:
    recipe = built("center")
    assert layers(recipe.generator) == [*ENCODER, ("up", 64, 3, 4, 2)]
    names = followers(recipe.generator)
    assert names.count("BatchNorm2d") == 4 + 1 + 4  # not on the first convolution, not on the output
    assert names.count("LeakyReLU") == 6
    assert names.count("ReLU") == 4
    assert names[-1] == "Tanh"
    assert {one.negative_slope for one in recipe.generator.modules() if isinstance(one, nn.LeakyReLU)} == {0.2}
    image = torch.empty(2, 3, 128, 128, device="meta")
    assert recipe.generator.predict(image).shape == (2, 3, 64, 64)
    assert recipe.generator.bottleneck(recipe.generator.encoder(image)).shape == (2, 4000, 1, 1)


@pytest.mark.parametrize("spec", ["random_block", "random_region"])
def test_the_full_networks_decoder_is_one_level_deeper(spec: str) -> None:
    recipe = built(spec)
    assert layers(recipe.generator) == [*ENCODER, ("up", 64, 64, 4, 2), ("up", 64, 3, 4, 2)]
    assert recipe.generator.predict(torch.empty(2, 3, 128, 128, device="meta")).shape == (2, 3, 128, 128)


def test_the_discriminator_gives_one_logit_for_the_predicted_square() -> None:
    recipe = built("center")
    widths = [(3, 64), (64, 128), (128, 256), (256, 512)]
    assert layers(recipe.discriminator) == [("down", *pair, 4, 2) for pair in widths] + [("down", 512, 1, 4, 1)]
    assert recipe.discriminator(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 1, 1, 1)
    assert followers(recipe.discriminator).count("BatchNorm2d") == 3
    assert "Sigmoid" not in followers(recipe.discriminator)


@pytest.mark.parametrize("spec", SPECS)
def test_numbers(spec: str) -> None:
    settings = config(spec)
    model, stage = settings.model, settings.stages.adversarial
    assert (model.adversarial.name, model.adversarial_weight, model.pixel_weight) == ("vanilla", 0.001, 0.999)
    assert (model.overlap_weight, model.perceptual, model.perceptual_weight) == (10, None, 0)
    assert (settings.data.crop_px, settings.data.batch_images) == (128, 64)
    assert (stage.epochs, presets.adam(stage)) == (100, {("adam", 2e-4, (0.5, 0.999))})


def test_center_preset_is_the_sources() -> None:
    data = config("center").data
    assert (data.mask.name, data.mask.region_share, data.mask.overlap_px) == ("center", 0.5, 4)
    assert (data.load_px, data.crop) == (128, "center")


# --- the losses


TINY = (
    "data.crop_px=16",
    "data.load_px=16",
    "data.batch_images=2",
    "model.generator.base_channels=4",
    "model.generator.max_channels=8",
    "model.generator.bottleneck_channels=8",
    "model.generator.downs=2",
    "model.discriminator.base_channels=4",
)


def tiny(spec: str, *overrides: str):
    one_logit = "model.discriminator.downs=1" if spec == "center" else "model.discriminator.downs=2"
    overlap = ["data.mask.overlap_px=1", "model.generator.overlap_px=1"] if spec == "center" else []
    return built(spec, *TINY, one_logit, *overlap, *overrides, device="cpu")


def batch(side_px: int = 16, hole: slice = slice(5, 11)) -> Masked:
    mask = torch.full((2, 1, side_px, side_px), -1.0)
    mask[:, :, hole, hole] = 1
    image = torch.rand(2, 3, side_px, side_px) * 2 - 1
    return Masked(image, mask, torch.where(mask > 0, 0.25, image), ("a", "b"))


def test_a_generator_of_four_channels_sees_the_mask_and_one_of_three_does_not() -> None:
    given = batch()
    for spec in ("center", "random_region"):
        assert torch.equal(tiny(spec).seen(given), given.shown)
        told = tiny(spec, "model.generator.in_channels=4")
        torch.testing.assert_close(told.seen(given), torch.cat((given.shown, given.mask), dim=1))
        assert told.forward(given).fake.shape == (2, 3, 16, 16)
        assert told.exports()["generator"].options["in_channels"] == 4


COMPACT = "model.generator={name: compact_restoration, in_channels: 4, channels: [4, 8], scale_blocks: [1, 1]}"


def test_a_compact_generator_starts_as_its_input() -> None:
    recipe, given = built("random_region", *TINY[:3], COMPACT, "model.discriminator.downs=2", device="cpu"), batch()
    torch.testing.assert_close(recipe.forward(given).fake, given.shown)
    assert set(recipe.generator_loss(given, recipe.forward(given)).terms) == {"adversarial", "pixel"}


def test_the_centers_squared_error_weighs_the_overlap_ten_times() -> None:
    recipe, given = tiny("center"), batch()
    made = torch.rand(2, 3, 16, 16)
    weights = torch.full((8, 8), 10.0)  # the predicted square of 8 px, its border of 1 px known
    weights[1:7, 1:7] = 1.0
    by_hand = ((made - given.image)[:, :, 4:12, 4:12] ** 2 * weights).mean()
    torch.testing.assert_close(recipe.pixel(given, made), by_hand)
    terms = recipe.generator_loss(given, Filled(made)).terms
    torch.testing.assert_close(terms["pixel"], 0.999 * by_hand)
    logits = recipe.discriminator(made[:, :, 4:12, 4:12])
    fooled = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    torch.testing.assert_close(terms["adversarial"], 0.001 * fooled)
    assert set(terms) == {"adversarial", "pixel"}


def test_the_full_networks_error_is_taken_on_the_hole() -> None:
    recipe, given = tiny("random_region"), batch(hole=slice(2, 9))
    made = torch.rand(2, 3, 16, 16)
    by_hand = ((made - given.image)[:, :, 2:9, 2:9] ** 2).sum() / made.numel()
    torch.testing.assert_close(recipe.pixel(given, made), by_hand)
    blended = given.image.clone()
    blended[:, :, 2:9, 2:9] = made[:, :, 2:9, 2:9]
    torch.testing.assert_close(recipe.shown(given, made), blended)


def test_an_absolute_error_is_taken_where_it_is_asked_for() -> None:
    recipe, given = tiny("random_region", "model.pixel=l1"), batch(hole=slice(2, 9))
    made = torch.rand(2, 3, 16, 16)
    by_hand = (made - given.image)[:, :, 2:9, 2:9].abs().sum() / made.numel()
    torch.testing.assert_close(recipe.pixel(given, made), by_hand)


def test_the_focus_is_a_square_at_the_hole_and_within_the_image() -> None:
    wide = ["data.crop_px=32", "data.load_px=32"]
    recipe, given = tiny("random_region", *wide, "model.focus_px=16"), batch(32, slice(25, 32))
    made = recipe.forward(given)
    assert made.windows is not None
    assert all(16 <= side_px <= 32 - 16 for window in made.windows for side_px in window), "the hole is in the corner"
    assert torch.equal(recipe.focused(given.image, made), given.image[:, :, 16:, 16:])
    seen = []
    recipe.discriminator.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    recipe.generator_loss(given, made)
    recipe.discriminator_loss(given, made)
    assert set(seen) == {(2, 3, 16, 16)}


def test_the_discriminators_loss_is_real_plus_fake_and_reaches_no_generator() -> None:
    recipe, given = tiny("center"), batch()
    made = recipe.forward(given)
    loss = recipe.discriminator_loss(given, made).total
    real = recipe.discriminator(given.image[:, :, 4:12, 4:12])
    fake = recipe.discriminator(made.fake.detach()[:, :, 4:12, 4:12])
    bce = functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(loss, bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake)))
    loss.backward()
    assert all(parameter.grad is None for parameter in recipe.generator.parameters())


WASSERSTEIN = (
    "model.adversarial={name: wasserstein}",
    "model.penalty_weight=10",
    "model.critic_turns=5",
)


def test_wasserstein_variant() -> None:
    recipe = tiny("center", *WASSERSTEIN, "model.discriminator.norm=none")
    (stage,) = recipe.stages()
    assert isinstance(stage.policy, CriticRatio)
    assert stage.policy.ratio == 5
    (plain,) = tiny("center").stages()
    assert isinstance(plain.policy, Alternate)
    given = batch()
    terms = recipe.discriminator_loss(given, recipe.forward(given)).terms
    assert set(terms) == {"adversarial", "penalty"}
    assert terms["penalty"] > 0
    with pytest.raises(ConfigError, match="needs a discriminator without BatchNorm"):
        config("center", *WASSERSTEIN)


def test_feature_distance_is_a_term_when_asked_for() -> None:
    features = "model.perceptual={network: squeezenet1_0, weights: random, layers: [features.1]}"
    recipe = tiny("random_region", features, "model.perceptual_weight=0.5")
    given = batch()
    assert set(recipe.generator_loss(given, recipe.forward(given)).terms) == {"adversarial", "pixel", "perceptual"}
    assert set(recipe.frozen()) == {"perceptual"}
    only_measured = tiny("random_region", features)
    assert set(only_measured.generator_loss(given, recipe.forward(given)).terms) == {"adversarial", "pixel"}


def test_validation_names_the_baselines_and_measures_the_hole() -> None:
    recipe, given = tiny("random_region"), batch(hole=slice(2, 9))
    one = Masked(given.image[:1], given.mask[:1], given.shown[:1], ("a",))
    with torch.no_grad():
        recipe.generator.eval()
        judged = recipe.validate(one)
    assert set(judged.metrics) == {"hole_psnr", "hole_l1_percent", "mean_fill_hole_psnr", "telea_hole_psnr"}
    assert judged.fake.shape == (1, 3, 16, 16)
    known = one.missing.expand_as(judged.fake) == 0
    assert torch.equal(judged.fake[known], one.image[known])
    assert recipe.exports()["generator"].takes == "masked"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.mask={name: random_block}"], "center fills the middle, but data.mask is random_block"),
        (["data.mask.overlap_px=2"], "overlap_px that of model.generator"),
        (["data.batch_images=1"], "needs 2 images or more"),
        (["model.perceptual_weight=1"], "there is no feature distance to weigh"),
        (["model.generator.in_channels=5"], "or in_channels one more, for a mask"),
        (
            ["model.generator.in_channels=2", "model.generator.out_channels=1"],
            "out_channels is 3; in_channels is 3, or 4",
        ),
        (["model.focus_px=16"], "belongs to networks that predict every pixel"),
        (["data.crop_px=16", "data.load_px=16"], "leaves nothing to fill"),
    ],
)
def test_settings_that_do_not_fit_each_other(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config("center", *overrides)
    assert said in str(refused.value)
