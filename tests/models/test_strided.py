"""16-bit arithmetic on a processor, where maps become one sample wide: outputs and gradients stay near float32's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    ContextEncoderOptions,
    CriticOptions,
    DiscriminatorOptions,
    FPNOptions,
    GeneratorOptions,
    NoGanCriticOptions,
    PatchGanOptions,
    RegionDiscriminatorOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SrganFullyConvolutionalOptions,
    UNetOptions,
)
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

KERNELS = ((4, 1), (3, 1), (2, 0), (7, 3), (1, 0))
"""Kernel side and padding of the layers with stride 2 here."""
SIDES = ((1, 1), (2, 2), (3, 3), (5, 1), (2, 8), (8, 2))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.detach().double() - wanted.detach().double()).norm() / wanted.detach().double().norm())


def computed(layer: nn.Module, features: Tensor, *, small: bool) -> tuple[Tensor, ...]:
    """The output and the gradients of input and weights, for the same random gradient of the output."""
    features = features.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=small):
        made = layer(features)
    pull = torch.randn(made.shape, generator=torch.Generator().manual_seed(1)).to(made.dtype)
    return (made.detach(), *torch.autograd.grad(made, [features, *layer.parameters()], pull))


@pytest.mark.parametrize("kind", [StridedConv2d, StridedConvTranspose2d])
@pytest.mark.parametrize(("kernel_px", "padding_px"), KERNELS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_layers_are_right_on_narrow_maps(
    kind: type[nn.Module], kernel_px: int, padding_px: int, channels_last: bool
) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for (height, width), inputs in itertools.product(SIDES, (3, 32)):
        if min(height, width) + 2 * padding_px < kernel_px:
            continue
        layer = kind(inputs, 32, kernel_px, stride=2, padding=padding_px).to(memory_format=layout)
        features = torch.randn(2, inputs, height, width).contiguous(memory_format=layout)
        wide, small = computed(layer, features, small=False), computed(layer, features, small=True)
        errors = [relative(found, wanted) for found, wanted in zip(small, wide, strict=True)]
        assert max(errors) < 0.02, (height, width, inputs, errors)


def test_layers_of_one_channel_each_are_right_on_narrow_maps() -> None:
    for height, width in SIDES:
        layer, features = StridedConv2d(8, 8, 3, stride=2, padding=1, groups=8), torch.randn(2, 8, height, width)
        wide, small = computed(layer, features, small=False), computed(layer, features, small=True)
        errors = [relative(found, wanted) for found, wanted in zip(small, wide, strict=True)]
        assert max(errors) < 0.02, (height, width, errors)


@pytest.mark.parametrize("kind", [StridedConv2d, StridedConvTranspose2d])
@pytest.mark.parametrize("side_px", [1, 2, 6])
def test_float32_is_torchs_own(kind: type[nn.Conv2d], side_px: int) -> None:
    layer = kind(8, 8, 3, stride=2, padding=1)
    plain = kind.__mro__[1](8, 8, 3, stride=2, padding=1)
    plain.load_state_dict(layer.state_dict())
    features = torch.randn(2, 8, side_px, side_px)
    assert torch.equal(layer(features), plain(features))


def test_weights_of_16_bits_work_too_and_a_wide_map_is_computed_in_16_bits() -> None:
    layer, features = StridedConv2d(8, 8, 4, stride=2, padding=1), torch.randn(2, 8, 4, 4)
    narrow = torch.randn(2, 8, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        made, wanted = layer(features), layer(narrow)
    layer.bfloat16()
    assert relative(layer(narrow.bfloat16()), wanted) < 0.02
    assert torch.equal(made, nn.functional.conv2d(features.bfloat16(), layer.weight, layer.bias, 2, 1))


NARROWEST: Mapping[str, tuple[GeneratorOptions | DiscriminatorOptions, int]] = {
    "unet": (UNetOptions(downs=3, base_channels=8, norm="none", dropout=0.0), 8),
    "resnet": (ResNetOptions(base_channels=8, blocks=1, norm="none"), 8),
    "context_encoder": (ContextEncoderOptions(downs=2, base_channels=8, bottleneck_channels=8, norm="none"), 16),
    "fpn": (FPNOptions(base_channels=8, blocks=0, pyramid_channels=8, head_channels=4), 32),
    "compact_restoration": (CompactRestorationOptions(channels=(8, 16), scale_blocks=(1, 1)), 4),
    "resnet_unet": (ResNetUNetOptions(encoder="resnet18", base_channels=8), 32),
    "patchgan": (PatchGanOptions(base_channels=8, norm="none", layout="source", downs=3), 8),
    "critic": (CriticOptions(base_channels=8, norm="none", downs=3), 8),
    "region": (RegionDiscriminatorOptions(base_channels=8, norm="none", downs=2), 16),
    "nogan": (NoGanCriticOptions(base_channels=8, downs=1, dropout=0.0), 16),
    "srgan_fully_convolutional": (SrganFullyConvolutionalOptions(base_channels=8, dense_units=8, norm="none"), 16),
}


@pytest.mark.parametrize("name", NARROWEST)
def test_gradients_of_networks_at_their_smallest_images(name: str) -> None:
    """Rounding alone gives up to 0.26 (fpn); what is not computed at all gives 1 and more."""
    options, side_px = NARROWEST[name]
    network = GENERATORS.build(options) if name in GENERATORS.names() else DISCRIMINATORS.build(options, in_channels=3)
    network.eval()
    image = torch.rand(2, 3, side_px, side_px) * 2 - 1
    wide, small = (torch.cat([one.flatten() for one in computed(network, image, small=yes)]) for yes in (False, True))
    assert relative(small, wide) < 0.4
