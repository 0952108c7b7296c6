"""The networks that start from a latent vector: shapes, the papers' numbers, what their layers compute."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import nn

from gantools.models.latent import dcgan, dense_conv, equalized, laplacian, mlp, progressive, stack


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("variant", ["paper", "everyday"])
def test_gan_goes_from_a_vector_to_an_image_and_a_logit(variant: str) -> None:
    generator, discriminator = mlp.MlpGenerator(variant=variant), mlp.MlpDiscriminator(variant=variant)
    image = generator(torch.randn(3, 100))
    assert image.shape == (3, 1, 28, 28)
    assert image.abs().max() <= 1
    assert discriminator(image).shape == (3, 1)


def test_gan_has_the_papers_layers() -> None:
    widths = [layer.out_features for layer in mlp.MlpGenerator(variant="paper").layers if isinstance(layer, nn.Linear)]
    assert widths == [1200, 1200, 784]
    discriminator = mlp.MlpDiscriminator(variant="paper")
    assert [(layer.units, layer.pieces) for layer in discriminator.layers if isinstance(layer, mlp.Maxout)] == [
        (240, 5),
        (240, 5),
    ]
    assert [layer.p for layer in discriminator.layers if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]
    everyday = mlp.MlpGenerator()
    assert [layer.out_features for layer in everyday.layers if isinstance(layer, nn.Linear)] == [
        128,
        256,
        512,
        1024,
        784,
    ]
    norms = [layer for layer in everyday.layers if isinstance(layer, nn.BatchNorm1d)]
    assert [norm.num_features for norm in norms] == [256, 512, 1024]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}  # not the 0.8 that became an epsilon


def test_maxout_takes_the_largest_piece() -> None:
    layer = mlp.Maxout(2, units=1, pieces=2)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        layer.linear.bias.zero_()
    assert layer(torch.tensor([[3.0, 5.0], [4.0, 2.0]])).flatten().tolist() == [5.0, 4.0]


@pytest.mark.parametrize(("start", "doublings"), [((4, 4), 3), ((4, 4), 4), ((5, 4), 4), ((3, 7), 1)])
def test_dcgan_has_any_side_of_start_times_a_power_of_two(start: tuple[int, int], doublings: int) -> None:
    generator = dcgan.DcganGenerator(start=start, doublings=doublings, base_channels=4, out_channels=1)
    image = generator(torch.randn(2, 100))
    assert image.shape == (2, 1, start[0] * 2**doublings, start[1] * 2**doublings)
    assert image.shape[2:] == generator.out_px
    discriminator = dcgan.DcganDiscriminator(start=start, halvings=doublings, base_channels=4, in_channels=1)
    assert discriminator(image).shape == (2, 1)


def test_dcgan_is_as_large_as_the_original() -> None:
    assert parameters(dcgan.DcganGenerator()) == 3_576_704  # pytorch/examples, ngf = ndf = 64
    assert parameters(dcgan.DcganDiscriminator()) == 2_765_568


@pytest.mark.parametrize("kernel_px", [4, 5])
def test_condition_reaches_every_layer(kernel_px: int) -> None:
    generator = dense_conv.DenseConvGenerator(condition_size=10, kernel_px=kernel_px)
    discriminator = dense_conv.DenseConvDiscriminator(condition_size=10, kernel_px=kernel_px)
    image = generator(torch.randn(2, 100), torch.eye(10)[:2])
    assert image.shape == (2, 1, 28, 28)
    assert discriminator(image, torch.eye(10)[:2]).shape == (2, 1)
    inputs = [layer[0].in_features for layer in generator.dense]
    inputs += [(up if isinstance(up, nn.ConvTranspose2d) else up[0]).in_channels for up in generator.ups]
    assert inputs == [110, 1034, 138, 74]
    assert [down[0].in_channels for down in discriminator.downs] == [11, 74]
    assert [discriminator.dense[0].in_features, discriminator.logit.in_features] == [128 * 49 + 10, 1034]


def test_joined_condition_is_constant_planes() -> None:
    maps = dense_conv.joined(torch.zeros(2, 3, 4, 5), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert maps.shape == (2, 5, 4, 5)
    assert maps[:, 3:].amin(dim=(2, 3)).tolist() == maps[:, 3:].amax(dim=(2, 3)).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_equalized_weights_start_at_one_and_run_scaled() -> None:
    convolution = equalized.EqualizedConv2d(64, 64, 3)
    assert convolution.weight.std().item() == pytest.approx(1, abs=0.02)
    assert convolution.factor == pytest.approx(sqrt(2 / (64 * 9)))
    image = torch.randn(1, 64, 8, 8)
    expected = nn.functional.conv2d(image, convolution.weight * sqrt(2 / 576), padding=1)
    torch.testing.assert_close(convolution(image), expected)
    slow = equalized.EqualizedLinear(512, 512, gain=1, lr_multiplier=0.01)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.02)
    assert slow.factor == pytest.approx(0.01 / sqrt(512))


def test_pixel_norm_makes_every_position_as_long() -> None:
    normed = equalized.pixel_norm(torch.randn(2, 16, 3, 3) * 7)
    torch.testing.assert_close(normed.square().mean(dim=1), torch.ones(2, 3, 3))


def test_minibatch_deviation_is_the_mean_over_a_group() -> None:
    features = torch.zeros(4, 1, 1, 2)
    features[2:] = 2  # groups of two interleave: images 0 and 2, 1 and 3
    assert equalized.minibatch_deviation(features, group_images=2)[:, 1, 0, 0].tolist() == pytest.approx([1.0] * 4)
    alike = torch.ones(3, 2, 4, 4)
    assert equalized.minibatch_deviation(alike, group_images=2)[:, 2].max() == pytest.approx(
        1e-4
    )  # 3 has no group of 2


def test_progressive_channels_and_size_are_the_papers() -> None:
    assert [progressive.channels_at(level, 8192, 512) for level in range(9)] == [512] * 4 + [256, 128, 64, 32, 16]
    assert parameters(progressive.ProgressiveGenerator(levels=9)) == pytest.approx(23.1e6, rel=0.002)
    assert parameters(progressive.ProgressiveDiscriminator(levels=9)) == pytest.approx(23.1e6, rel=0.002)


def test_progressive_networks_fade_from_one_size_to_the_next() -> None:
    small = {"channel_base": 64, "max_channels": 8, "levels": 3}
    generator, discriminator = progressive.ProgressiveGenerator(latent_size=8, **small), None
    discriminator = progressive.ProgressiveDiscriminator(**small)
    latent = torch.randn(2, 8)
    generator.grow(1, 1.0)
    before = generator(latent)
    generator.grow(2, 0.0)
    torch.testing.assert_close(generator(latent), nn.functional.interpolate(before, scale_factor=2))
    discriminator.grow(1, 1.0)
    score = discriminator(before)
    discriminator.grow(2, 0.0)
    torch.testing.assert_close(discriminator(nn.functional.interpolate(before, scale_factor=2)), score)
    generator.grow(2, 1.0)
    assert generator(latent).shape == (2, 3, 16, 16)
    assert [image.shape[-1] for image in generator.steps(latent)] == [4, 8, 16]
    assert "level" in generator.state_dict()  # a checkpoint knows how far it has grown


def test_real_images_fade_to_their_box_average() -> None:
    image = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(progressive.faded(image, 1.0), image)
    coarse = progressive.faded(image, 0.0)
    torch.testing.assert_close(coarse[..., ::2, ::2], image.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)))
    torch.testing.assert_close(coarse[..., ::2, ::2], coarse[..., 1::2, 1::2])


def test_laplacian_levels_are_chained_each_with_its_own_noise() -> None:
    generator = laplacian.LaplacianGenerator(noise_size=10, coarse_px=(8, 8), levels=3, units=16, features=4)
    assert generator.latent_size == 10 + 16 * 16 + 32 * 32
    latent = torch.rand(2, generator.latent_size) * 2 - 1
    first, second, third = generator.steps(latent)
    assert [image.shape[-1] for image in (first, second, third)] == [8, 16, 32]
    latent[:, 10 + 256 :] = 0
    again = generator.steps(latent)
    assert torch.equal(again[1], second)
    assert not torch.equal(again[2], third)
    torch.testing.assert_close(first, generator.coarse(latent[:, :10]))
    assert generator.out_px == (32, 32)


def test_pyramid_is_inverted_by_its_details() -> None:
    image = torch.randn(1, 3, 32, 32)
    coarse, middle, whole = laplacian.pyramid(image, 3)
    details = [middle - laplacian.enlarge(coarse), whole - laplacian.enlarge(middle)]
    rebuilt = laplacian.enlarge(laplacian.enlarge(coarse) + details[0]) + details[1]
    torch.testing.assert_close(rebuilt, image)


@pytest.mark.parametrize(("classes", "image_px"), [(0, (16, 16)), (10, (32, 24))])
def test_laplacian_discriminator_sees_the_label_as_a_plane(classes: int, image_px: tuple[int, int]) -> None:
    network = laplacian.DetailDiscriminator(image_px=image_px, features=4, condition_size=classes)
    label = torch.eye(10)[:2] if classes else None
    assert network(torch.randn(2, 3, *image_px), label).shape == (2, 1)


def test_stack_draws_a_sketch_and_an_image_that_read_the_sentence() -> None:
    generator = stack.StackGenerator(text_size=12, base_channels=4, first_doublings=3, residual_blocks=1)
    assert generator.latent_size == 100 + 128 + 128
    sketch, image = generator.steps(torch.randn(2, generator.latent_size), torch.randn(2, 12))
    assert (sketch.shape[-1], image.shape[-1]) == (32, 128)
    assert generator.out_px == (128, 128)
    for size_px in (32, 128):
        network = stack.StackDiscriminator(image_px=size_px, text_size=12, base_channels=2)
        assert network(torch.randn(2, 3, size_px, size_px), torch.randn(2, 12)).shape == (2, 1)


def test_augmentation_may_have_a_negative_mean_and_a_small_deviation() -> None:
    code = stack.ConditioningAugmentation(8)(torch.randn(64, 8) * 20, torch.zeros(64, 128))
    assert code.mean.min() < 0  # a ReLU on both, as in one popular port, allows neither
    assert code.log_deviation.exp().min() < 1
    torch.testing.assert_close(code.drawn, code.mean)


def test_stack_discriminator_has_the_papers_channels() -> None:
    network = stack.StackDiscriminator(image_px=256)
    widths = [layer.out_channels for layer in network.features if isinstance(layer, nn.Conv2d)]
    assert widths == [64, 128, 256, 512, 1024, 2048, 1024, 512]
