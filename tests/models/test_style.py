"""StyleGAN2's networks against a plain reference: zeros put between pixels, one convolution for each image."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.latent.style import Noise, StyleDiscriminator, StyleGenerator, enlarged, widths

SMALL = {"latent_size": 12, "style_size": 10, "image_px": 16, "channel_base": 96, "max_channels": 8}
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def randomised(network: nn.Module) -> nn.Module:
    """The network with biases, strengths and a mean style that are not zero."""
    random = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if value.ndim < 2:
            scale = 20 if "mapping.layers" in name else 0.3
            value.add_(torch.randn(value.shape, generator=random) * scale)
    return network


@pytest.fixture
def generator() -> StyleGenerator:
    torch.manual_seed(1)
    return randomised(StyleGenerator(mapping_layers=2, **SMALL))  # type: ignore[return-value]


# ------------------------------------------------------------------ the reference, by the paper's formulas


def dense(features: Tensor, layer: nn.Module, multiplier: float = 1.0) -> Tensor:
    weight = layer.weight * multiplier / sqrt(layer.weight.shape[1])
    return torch.stack([weight @ row + layer.bias * multiplier for row in features])


def leaky(features: Tensor, clamp: float | None = None, gain: float = 1.0) -> Tensor:
    features = torch.where(features > 0, features, 0.2 * features) * sqrt(2) * gain
    return features if clamp is None else features.clamp(-clamp * gain, clamp * gain)


def unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def mapped(network: nn.Module, latent: Tensor | None, label: Tensor | None) -> Tensor:
    parts = [] if latent is None else [unit(latent)]
    if label is not None:
        parts.append(unit(dense(label, network.embed)))
    style = torch.cat(parts, dim=1)
    for layer in network.layers:
        style = leaky(dense(style, layer, 0.01))
    return style


def filtered(image: Tensor, pad: tuple[int, int], up: int = 1, down: int = 1) -> Tensor:
    """Put ``up - 1`` zeros behind each pixel, pad, filter by [1, 3, 3, 1] (of sum ``up²``), keep each ``down``-th."""
    count, channels, height, width = image.shape
    apart = torch.zeros(count, channels, height * up, width * up)
    apart[:, :, ::up, ::up] = image
    padded = functional.pad(apart, (*pad, *pad))
    planes = padded.reshape(-1, 1, *padded.shape[2:])
    smooth = functional.conv2d(planes, (torch.outer(TAPS, TAPS) * up**2)[None, None])
    return smooth.reshape(count, channels, *smooth.shape[2:])[:, :, ::down, ::down]


def modulated(features: Tensor, convolution: nn.Module, style: Tensor, *, up: bool, demodulate: bool) -> Tensor:
    """A convolution of its own for each image; an enlarging one is the mirrored kernel on the smoothly enlarged."""
    scales, made = dense(style, convolution.affine), []
    for image, scale in zip(features, scales, strict=True):
        weight = convolution.weight * scale[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        else:
            weight = weight / sqrt(weight[0].numel())
        if up:
            made.append(functional.conv2d(filtered(image[None], (3, 2), up=2), weight.flip(2, 3)))
        else:
            made.append(functional.conv2d(image[None], weight, padding=weight.shape[-1] // 2))
    return torch.cat(made)


def synthesised(network: nn.Module, styles: Tensor, noise: bool = True, clamp: float | None = None) -> Tensor:
    features, image, row = network.start[None].repeat(len(styles), 1, 1, 1), None, 0
    for level in network.levels:
        for layer, up in ((level.up, True), (level.same, False)):
            if layer is not None:
                features = modulated(features, layer.convolution, styles[:, row], up=up, demodulate=True)
                features = features + noise * layer.noise_strength * layer.noise + layer.bias[None, :, None, None]
                features, row = leaky(features, clamp), row + 1
        added = modulated(features, level.to_image, styles[:, row], up=False, demodulate=False)
        added = added + level.image_bias[None, :, None, None]
        added = added if clamp is None else added.clamp(-clamp, clamp)
        image = added if image is None else filtered(image, (2, 1), up=2) + added
    return image


def plain(features: Tensor, convolution: nn.Module, **options: int) -> Tensor:
    weight = convolution.weight / sqrt(convolution.weight[0].numel())
    return functional.conv2d(features, weight, convolution.bias, **options)


def scored(network: nn.Module, image: Tensor, label: Tensor | None, clamp: float | None, group: int) -> Tensor:
    features = leaky(plain(image, network.from_image), clamp)
    for level in network.levels:
        beside = plain(filtered(features, (1, 1), down=2), level.skip) * sqrt(0.5)
        features = leaky(plain(features, level.same, padding=1), clamp)
        features = leaky(plain(filtered(features, (2, 2)), level.down, stride=2), clamp, sqrt(0.5)) + beside
    apart = len(image) // group
    planes = []
    for number in range(len(image)):
        members = features[number % apart :: apart]
        spread = (members.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        planes.append(spread.expand(1, 1, *features.shape[2:]))
    features = leaky(plain(torch.cat((features, torch.cat(planes)), dim=1), network.last, padding=1), clamp)
    scores = dense(leaky(dense(features.flatten(1), network.dense)), network.score)
    if label is None:
        return scores
    direction = mapped(network.mapping, None, label)
    return (scores * direction).sum(dim=1, keepdim=True) / sqrt(direction.shape[1])


# ------------------------------------------------------------------ the tests


@pytest.mark.parametrize("clamp", [None, 0.2])
@pytest.mark.parametrize("classes", [0, 3])
@torch.no_grad()
def test_generator_equals_the_reference(classes: int, clamp: float | None) -> None:
    torch.manual_seed(1)
    network = randomised(StyleGenerator(mapping_layers=2, condition_size=classes, clamp=clamp, **SMALL))
    latent = torch.randn(2, 12)
    label = torch.eye(3)[[0, 2]] if classes else None
    style = mapped(network.mapping, latent, label)
    expected = synthesised(network.synthesis, style[:, None].repeat(1, 6, 1), clamp=clamp)
    assert expected.abs().max() > 0.2
    torch.testing.assert_close(network(latent, label), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("clamp", [None, 0.2])
@pytest.mark.parametrize("classes", [0, 3])
@torch.no_grad()
def test_discriminator_equals_the_reference(classes: int, clamp: float | None) -> None:
    torch.manual_seed(1)
    options = {"image_px": 16, "channel_base": 96, "max_channels": 8, "group_images": 2, "mapping_layers": 2}
    network = randomised(StyleDiscriminator(condition_size=classes, clamp=clamp, **options))
    image, label = torch.randn(4, 3, 16, 16), torch.eye(3)[[0, 2, 1, 0]] if classes else None
    expected = scored(network, image, label, clamp, group=2)
    torch.testing.assert_close(network(image, label), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_row_of_styles_reaches_its_own_layers(generator: StyleGenerator) -> None:
    styles = torch.randn(1, 6, 10)
    torch.testing.assert_close(
        generator.synthesis(styles), synthesised(generator.synthesis, styles), atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_direction_of_enlarging_kernels_matters(generator: StyleGenerator) -> None:
    """So a test that compares images notices kernels that were mirrored on the way."""
    latent = torch.randn(1, 12)
    before = generator(latent)
    weight = generator.synthesis.levels[1].up.convolution.weight
    weight.copy_(weight.flip(2, 3))
    assert (generator(latent) - before).abs().max() > 0.1


def test_sizes_are_those_of_the_paper() -> None:
    assert widths(1024, 32768, 512) == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    with torch.device("meta"):
        generator, discriminator = StyleGenerator(image_px=1024), StyleDiscriminator(image_px=1024)
    assert generator.rows == 18
    count = [sum(each.numel() for each in network.parameters()) for network in (generator, discriminator)]
    assert count == [30_370_060, 29_012_513]  # as NVIDIA's code prints for FFHQ


@torch.no_grad()
def test_noise_is_stored_drawn_given_or_none(generator: StyleGenerator) -> None:
    styles = torch.randn(2, 6, 10)

    def image(noise: Noise | list[Tensor]) -> Tensor:
        return generator.synthesis(styles, noise)

    stored = [
        layer.noise for level in generator.synthesis.levels for layer in (level.up, level.same) if layer is not None
    ]
    assert [tuple(plane.shape) for plane in stored] == generator.synthesis.noise_shapes
    assert torch.equal(image("const"), image("const"))
    assert torch.equal(image([plane[None, None] for plane in stored]), image("const"))
    torch.testing.assert_close(
        image("none"), synthesised(generator.synthesis, styles, noise=False), atol=1e-5, rtol=1e-5
    )
    assert not torch.equal(image("random"), image("random"))
    for plane in stored:
        plane.zero_()
    assert torch.equal(image("const"), image("none"))


@torch.no_grad()
def test_truncation_moves_rows_towards_the_mean(generator: StyleGenerator) -> None:
    latent = torch.randn(3, 12)
    style, mean = mapped(generator.mapping, latent, None), generator.mapping.running_mean
    assert torch.equal(generator.styles(latent), generator.styles(latent, truncation=1.0))
    torch.testing.assert_close(generator.styles(latent)[:, 5], style)
    torch.testing.assert_close(generator.styles(latent, truncation=0.7)[:, 3], mean + 0.7 * (style - mean))
    torch.testing.assert_close(generator.styles(latent, truncation=0.0), mean.expand(3, 6, 10))
    some = generator.styles(latent, truncation=0.5, truncated_rows=2)
    torch.testing.assert_close(some[:, 1], mean + 0.5 * (style - mean))
    torch.testing.assert_close(some[:, 2], style)


def test_mean_style_follows_slowly(generator: StyleGenerator) -> None:
    before, styles = generator.mapping.running_mean.clone(), torch.randn(8, 10)
    generator.mapping.follow(styles)
    torch.testing.assert_close(generator.mapping.running_mean, 0.995 * before + 0.005 * styles.mean(dim=0))


def slopes(scores: Tensor, given: Tensor, network: nn.Module) -> list[Tensor]:
    """Gradients, for the network's weights, of the squared length of the gradient for what was ``given``."""
    (slope,) = torch.autograd.grad(scores, given, create_graph=True)
    weights = [value for name, value in network.named_parameters() if "weight" in name]
    return [each for each in torch.autograd.grad(slope.square().sum(), weights, allow_unused=True) if each is not None]


def test_gradients_of_gradients_equal_the_references(generator: StyleGenerator) -> None:
    """As R1 and the path length need them."""
    discriminator = randomised(StyleDiscriminator(image_px=8, channel_base=64, max_channels=8, group_images=2))
    image, marks = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(2, 3, 16, 16)
    styles = torch.randn(2, 6, 10, requires_grad=True)
    synthesis = generator.synthesis
    pairs = (
        (
            slopes(discriminator(image).sum(), image, discriminator),
            slopes(scored(discriminator, image, None, None, 2).sum(), image, discriminator),
        ),
        (
            slopes((synthesis(styles) * marks).sum(), styles, synthesis),
            slopes((synthesised(synthesis, styles) * marks).sum(), styles, synthesis),
        ),
    )
    for ours, expected in pairs:
        assert len(ours) == len(expected) > 5
        for mine, reference in zip(ours, expected, strict=True):
            assert (mine - reference).abs().max() <= 1e-4 * reference.abs().max()


@torch.no_grad()
def test_half_precision_is_close(generator: StyleGenerator) -> None:
    latent = torch.randn(4, 12)
    discriminator = randomised(StyleDiscriminator(image_px=16, channel_base=96, max_channels=8))
    image = generator(latent)
    same = enlarged(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, score = generator(latent), discriminator(image)
        assert torch.equal(enlarged(image), same), "the image so far is enlarged in float32"
    assert half.dtype == torch.float32
    assert (half - image).abs().mean() < 0.02 * image.abs().mean()
    torch.testing.assert_close(score.float(), discriminator(image), atol=0.05, rtol=0.05)
