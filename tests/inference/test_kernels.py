"""Fused, packed and 16-bit forms of a network compute what the network does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from gantools.inference.kernels import dense, onednn, select, winograd
from gantools.inference.kernels.fuse import Doubling, before_pixel_shuffle, fuse, to_subpixel_convolution
from gantools.inference.kernels.select import NetworkVariants
from gantools.inference.memory import CpuMemory
from gantools.inference.tiling.context import ExecutionContext
from gantools.models.blocks import InstanceNorm
from gantools.models.generators.rrdb import DenseGroup
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    MSRResNetOptions,
    ResNetOptions,
    ResNetUNetOptions,
    RRDBOptions,
    SRResNetOptions,
    SRVGGOptions,
    UNetOptions,
)
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d
from tests.inference.networks import CPU, build_model, build_network

NETWORKS: list[Any] = [
    UNetOptions(downs=4, base_channels=8, max_channels=16),
    UNetOptions(downs=4, base_channels=8, max_channels=16, norm="instance", skip_activation="leaky_relu"),
    UNetOptions(downs=3, base_channels=8, max_channels=16, upsampling="resize"),
    UNetOptions(downs=3, base_channels=8, max_channels=16, upsampling="source"),
    ResNetOptions(base_channels=8, blocks=2),
    ResNetOptions(base_channels=8, blocks=2, norm="batch", global_residual=True),
    SRResNetOptions(channels=8, blocks=2),
    SRResNetOptions(channels=8, blocks=2, scale=2, tanh=True, body_end="prelu"),
    SRResNetOptions(channels=8, blocks=1, scale=1, channel_slopes=True, imagenet_input=True),
    SRResNetOptions(channels=8, blocks=1, norm="group"),
    RRDBOptions(channels=16, growth_channels=8, blocks=2),
    RRDBOptions(channels=12, growth_channels=8, blocks=1, scale=2, unshuffle=2),
    MSRResNetOptions(channels=8, blocks=1),
    SRVGGOptions(channels=8, blocks=2),
    CompactSROptions(channels=8, blocks=2),
    CompactSROptions(channels=8, blocks=1, upsampling_channels=8),
    CompactSROptions(channels=8, blocks=2, activation="leaky_relu", scale=3),
    CompactRestorationOptions(channels=(8, 8, 16), scale_blocks=(1, 1, 2)),
    CompactRestorationOptions(channels=(8, 8, 16), scale_blocks=(1, 1, 1), activation="prelu"),
    FPNOptions(base_channels=8, max_channels=16, blocks=1, pyramid_channels=8, head_channels=8),
    FPNOptions(base_channels=8, max_channels=16, blocks=1, pyramid_channels=8, head_channels=8, norm="batch"),
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ResNetUNetOptions(encoder="resnet18", base_channels=8, weight_norm=False, blur=False, self_attention=False),
    ContextEncoderOptions(region="full", downs=3, base_channels=8, bottleneck_channels=16),
    ContextEncoderOptions(region="full", downs=3, base_channels=8, bottleneck_channels=16, skips=True),
    ContextEncoderOptions(region="center", downs=3, base_channels=8, bottleneck_channels=16, residual=True),
]
ACTIVATIONS = {"none": nn.Identity(), "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2), "tanh": nn.Tanh()}
PACKED_ONLY = pytest.mark.skipif(not onednn.is_supported(torch.float32), reason="this CPU computes the plain blocks")
EVERY_NETWORK = pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options.name)


def noise(height: int = 64, width: int = 96, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The type of every weight that was laid out since; without the operations of any CPU."""
    types: list[torch.dtype] = []

    def note(_: nn.Module, weight: torch.Tensor, __: tuple[int, int]) -> torch.Tensor:
        types.append(weight.dtype)
        return weight

    for kind in (onednn.PackedConv2d, onednn.PackedConvTranspose2d):
        monkeypatch.setattr(kind, "reordered", note)
    return types


def error(made: torch.Tensor, exact: torch.Tensor) -> float:
    return float((made.double() - exact).abs().max())


def exactly(network: nn.Module, given: torch.Tensor) -> torch.Tensor:
    """What the network makes in float64."""
    made: torch.Tensor = copy.deepcopy(network).double()(given.double())
    return made


@EVERY_NETWORK
def test_every_layout_that_may_be_chosen_is_exact(options: Any) -> None:
    """So that a measurement, which differs from machine to machine, changes last digits only."""
    network, given = build_network(options), noise(count=2)
    with torch.inference_mode():
        exact, wanted = exactly(network, given), network(given)
        for layout in select.possible_layouts(network, None):
            made = NetworkVariants(network, CPU, layouts={None: layout})(given, None)
            assert error(made, exact) <= max(1e-5, 3 * error(wanted, exact)), layout
        with torch.autocast("cpu", torch.bfloat16):
            usual = (network(given).float() - wanted).abs().mean()
        for layout in select.possible_layouts(network, torch.bfloat16):
            made = NetworkVariants(network, CPU, layouts={torch.bfloat16: layout})(given, torch.bfloat16)
            assert (made - wanted).abs().mean() <= 1.3 * usual + 1e-3, layout


@EVERY_NETWORK
def test_the_original_keeps_its_weights_and_result(options: Any) -> None:
    network, given = build_network(options), noise()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    variants = NetworkVariants(network, CPU)
    with torch.inference_mode():
        wanted = network(given)
        for dtype in (None, torch.bfloat16):
            variants(given, dtype)
        assert torch.equal(network(given), wanted)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_norms_are_folded_and_the_last_convolution_works_on_small_maps() -> None:
    made = fuse(build_network(SRResNetOptions(channels=8, blocks=2)))
    assert not [module for module in made.modules() if isinstance(module, nn.BatchNorm2d | nn.PReLU)]
    last: Any = made.last[0]  # type: ignore[index, union-attr]
    assert (type(last), last.in_channels, last.out_channels, last.kernel_size) == (nn.Conv2d, 32, 12, (5, 5))
    normed = fuse(build_network(ResNetUNetOptions(encoder="resnet18", base_channels=8)))
    assert not [name for name, _ in normed.named_parameters() if "parametrizations" in name], "computed once"


def test_a_network_that_keeps_its_dropout_is_left_alone() -> None:
    network = build_network(UNetOptions(downs=3, base_channels=4, max_channels=8)).train()
    assert fuse(network) is network
    given = noise()
    torch.manual_seed(3)
    wanted = network(given)
    torch.manual_seed(3)
    torch.testing.assert_close(NetworkVariants(network, CPU)(given, None), wanted, atol=0, rtol=0)


@pytest.mark.parametrize(("kernel", "factor"), [(9, 2), (3, 2), (5, 3), (1, 2), (9, 4)])
def test_a_convolution_commutes_with_the_shuffle(kernel: int, factor: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(2, 3, kernel, padding=kernel // 2).requires_grad_(False)
    small = torch.randn(1, 2 * factor**2, 7, 5)
    made = nn.functional.pixel_shuffle(before_pixel_shuffle(convolution, factor)(small), factor)
    wanted = convolution(nn.functional.pixel_shuffle(small, factor))
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"), [(4, 2, 1, 0), (3, 2, 1, 1), (2, 2, 0, 0), (6, 3, 2, 1)]
)
def test_a_transposed_convolution_is_one_to_every_sub_pixel(
    kernel: int, stride: int, padding: int, output_padding: int
) -> None:
    torch.manual_seed(0)
    enlargement = nn.ConvTranspose2d(4, 3, kernel, stride, padding, output_padding).requires_grad_(False)
    small = torch.randn(1, 4, 6, 9)
    torch.testing.assert_close(to_subpixel_convolution(enlargement)(small), enlargement(small), atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [StridedConv2d(8, 16, 4, 2, 1), StridedConvTranspose2d(8, 16, 4, 2, 1)])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (2, 2), (3, 12)])
@pytest.mark.parametrize("has_operations", [True, False])
def test_maps_one_sample_wide_are_right_in_16_bits(
    layer: nn.Module, size: tuple[int, int], has_operations: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a map has one column, some processors compute 16-bit convolutions with a stride wrongly.

    A layer runs packed where this CPU can, else by autocast.
    """
    monkeypatch.setattr(select, "is_supported", lambda dtype: has_operations and onednn.is_supported(dtype))
    torch.manual_seed(0)
    height, width = size
    down = isinstance(layer, StridedConv2d)
    given = torch.randn(1, 8, 2 * height, 2 * width) if down else torch.randn(1, 8, height, width)
    with torch.inference_mode():
        made = NetworkVariants(nn.Sequential(layer).eval(), CPU)(given, torch.bfloat16)
        torch.testing.assert_close(made, layer(given), atol=0.05, rtol=0)


def packed(source: nn.Module, dtype: torch.dtype = torch.float32) -> Any:
    return onednn.pack(nn.Sequential(nn.Sequential(source, nn.ReLU())), dtype)[0][0]  # type: ignore[index]


@pytest.mark.parametrize(("make", "narrow_px"), [(StridedConv2d, 2), (StridedConvTranspose2d, 1)])
def test_only_narrow_maps_are_computed_in_float32(make: Any, narrow_px: int, laid_out: list[torch.dtype]) -> None:
    layer = packed(make(4, 4, 4, 2, 1), torch.bfloat16)
    for side_px, dtype in {narrow_px: torch.float32, 8: torch.bfloat16}.items():
        given, (weight, bias) = layer.prepared(torch.randn(1, 4, side_px, side_px))
        assert {given.dtype, weight.dtype, bias.dtype} == {dtype}
    assert laid_out == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("size", [(2, 2), (3, 4), (4, 4), (8, 6), (8, 8), (9, 9), (16, 16), (40, 24)])
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
def test_weights_suit_every_size(make: Any, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    source = make(64, 32, 4, 2, 1).requires_grad_(False)
    layer = packed(source)
    for height, width in ((3, 3), (5, 5), (6, 6), (7, 7), size):  # more sizes than layouts are kept
        given = torch.randn(1, 64, height, width)
        torch.testing.assert_close(layer(given), source(given).relu(), atol=1e-5, rtol=0)
    assert 1 <= len(layer.layouts) <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
def test_weights_are_laid_out_once(make: Any, dtype: torch.dtype, laid_out: list[torch.dtype]) -> None:
    """Whether oneDNN is then content is measured by ``python -m benchmarks.inference layouts``."""
    layer = packed(make(4, 4, 4, 2, 1), dtype)
    for side_px in (64, 48, 64, 48):
        layer.prepared(torch.randn(1, 4, side_px, side_px))
    assert laid_out == [dtype]


def test_instance_norm_of_far_away_values_keeps_its_digits() -> None:
    torch.manual_seed(0)
    maps = (torch.randn(1, 16, 64, 64) + 20).contiguous(memory_format=torch.channels_last)
    wanted = InstanceNorm(16)(maps.double())
    made = onednn.ContiguousInstanceNorm(InstanceNorm(16))(maps)
    torch.testing.assert_close(made.double(), wanted, atol=1e-5, rtol=0)


def test_without_the_operations_the_modules_run(monkeypatch: pytest.MonkeyPatch) -> None:
    network, given = build_network(SRResNetOptions(channels=8, blocks=1)), noise(20, 20)
    monkeypatch.setattr(select, "is_supported", lambda _: False)
    with torch.inference_mode():
        variants = NetworkVariants(network, CPU)
        torch.testing.assert_close(variants(given, None), network(given), atol=1e-5, rtol=0)
        assert torch.isfinite(variants(given, torch.bfloat16)).all()
    assert not isinstance(variants.variant(None), nn.Module)


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    onednn.is_supported.cache_clear()
    yield
    onednn.is_supported.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize("kind", [onednn.PackedConv2d, onednn.PackedConvTranspose2d])
@pytest.mark.parametrize("is_narrow", [True, False])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_trial_has_strides_and_narrow_maps(
    kind: Any, is_narrow: bool, fails: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operations that fail, or compute something else, with a stride only are found out before they are used."""

    def forward(layer: Any, features: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        made: torch.Tensor = ACTIVATIONS[layer.activation](layer.source(features.float())).to(layer.dtype)
        wrong = type(layer) is kind and layer.stride != [1, 1] and layer.source.is_narrow(features) == is_narrow
        if wrong and fails:
            raise RuntimeError("this path needs another CPU")
        return made + wrong if added is None else made + added

    def remember(layer: Any, source: nn.Module, *rest: Any) -> None:
        initialise(layer, source, *rest)
        layer.source = source

    initialise = onednn.PackedLayer.__init__
    monkeypatch.setattr(onednn.PackedLayer, "__init__", remember)
    for layer in (onednn.PackedConv2d, onednn.PackedConvTranspose2d):
        monkeypatch.setattr(layer, "forward", forward)
    assert not onednn.is_supported(dtype)


@pytest.mark.usefixtures("_asked_anew")
def test_asking_whether_they_work_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    onednn.is_supported(torch.float32)
    assert torch.equal(torch.rand(1), wanted)


def test_a_doubling_is_repeated_pixels_and_a_convolution() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 3, 3, padding=1).requires_grad_(False)
    for size in ((6, 9), (1, 1), (1, 5)):
        small = torch.randn(2, 4, *size)
        wanted = convolution(nn.functional.interpolate(small, scale_factor=2)).relu()
        torch.testing.assert_close(Doubling(convolution, nn.ReLU())(small), wanted, atol=1e-5, rtol=0)


@PACKED_ONLY
@pytest.mark.parametrize("part_px", [1, 40, 10_000])
def test_dense_blocks_and_an_enlargement_in_parts_change_nothing(part_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, given = build_network(RRDBOptions(channels=16, growth_channels=8, blocks=2)), noise(11, 17, count=2)
    monkeypatch.setattr(dense, "PART_BYTES", part_px * 2 * 16 * 16 * 4)
    packed_network = onednn.pack(fuse(network), torch.float32)
    made = dense.for_whole_images(packed_network)
    kinds = {type(module) for module in made.modules()}
    assert {winograd.WinogradGroups, dense.InParts} <= kinds
    with torch.inference_mode():
        torch.testing.assert_close(made(given), network(given), atol=1e-5, rtol=0)
        torch.testing.assert_close(packed_network(given), network(given), atol=1e-5, rtol=0)


@PACKED_ONLY
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (5, 9), (30, 18)])
@pytest.mark.parametrize("kind", [dense.SlottedGroups, winograd.WinogradGroups])
def test_dense_blocks_are_those_of_the_network(kind: Any, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(DenseGroup(16, 8), DenseGroup(16, 8)).requires_grad_(False)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.1)
    given = torch.randn(2, 16, *size)
    made = kind(onednn.pack(plain, torch.float32))
    torch.testing.assert_close(made(given), plain(given), atol=1e-5, rtol=1e-5)


@PACKED_ONLY
def test_memory_is_measured_in_parts_that_grow_no_more() -> None:
    model = build_model(RRDBOptions(channels=16, growth_channels=8, blocks=1))
    per_px = ExecutionContext(model, None, None, False, CpuMemory()).activation_bytes_per_px()
    large_maps = 16 * 16 * 4  # of one map of 16 channels, 16 samples per pixel
    assert per_px < 1.5 * large_maps, "three of them are computed one part after the other"
    end: Any = next(each for each in model.variants.variant(None).modules() if isinstance(each, dense.InParts))
    assert end.part_bytes == dense.PART_BYTES


def test_parts_of_an_image_are_as_large_beside_others() -> None:
    end = dense.InParts([nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)]).requires_grad_(False)
    end.part_bytes = 12 * 12 * 8 * 4
    sizes: list[torch.Size] = []
    end.layers.register_forward_pre_hook(lambda _layer, given: sizes.append(given[0].shape))
    image = torch.randn(1, 8, 30, 20)
    alone = end(image)
    parts = list(sizes)
    sizes.clear()
    torch.testing.assert_close(end(image.expand(3, -1, -1, -1)), alone.expand(3, -1, -1, -1))
    assert sizes == 3 * parts
    assert len(parts) > 2


@PACKED_ONLY
def test_features_that_fill_no_whole_slots_are_put_together() -> None:
    network = build_network(RRDBOptions(channels=12, growth_channels=8, blocks=1))
    made = dense.for_whole_images(onednn.pack(fuse(network), torch.float32))
    assert not [each for each in made.modules() if isinstance(each, dense.SlottedGroups | winograd.WinogradGroups)]
    with torch.inference_mode():
        torch.testing.assert_close(made(noise(9, 8)), network(noise(9, 8)), atol=1e-5, rtol=0)


def test_without_convolutions_in_three_dimensions_blocks_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(*_: Any) -> torch.Tensor:
        raise RuntimeError("not on this CPU")

    monkeypatch.setattr(dense.PackedConv3d, "forward", forward)
    dense.works.cache_clear()
    try:
        packed_network = onednn.pack(
            fuse(build_network(RRDBOptions(channels=16, growth_channels=8, blocks=1))), torch.float32
        )
        assert dense.for_whole_images(packed_network) is packed_network
    finally:
        dense.works.cache_clear()
