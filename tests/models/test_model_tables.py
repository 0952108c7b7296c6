"""Every entry of the tables: options fit constructors, shapes, ranges, gradients, meta construction."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gantools.config.options import Options
from gantools.errors import UsageError
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    CriticOptions,
    DiscriminatorOptions,
    FPNOptions,
    GeneratorOptions,
    MSRResNetOptions,
    NoGanCriticOptions,
    PatchGanOptions,
    RegionDiscriminatorOptions,
    ResNetOptions,
    ResNetUNetOptions,
    RRDBOptions,
    SrganDiscriminatorOptions,
    SrganFullyConvolutionalOptions,
    SRResNetOptions,
    SRVGGOptions,
    UNetOptions,
)
from gantools.registry import Registry

SMALL_GENERATORS: list[Any] = [
    UNetOptions(downs=3, base_channels=4),
    UNetOptions(
        downs=3, base_channels=4, upsampling="source", skip_activation="leaky_relu", norm="instance", bias=False
    ),
    UNetOptions(downs=3, base_channels=4, dropout_downs_from=2, dropout_ups=2, bias=False),
    UNetOptions(downs=4, base_channels=4, dropout_ups=1, dropout_ups_from=2),
    UNetOptions(downs=2, base_channels=4, norm="group", upsampling="resize"),
    ResNetOptions(base_channels=4, blocks=2),
    ResNetOptions(base_channels=4, blocks=1, downs=1, norm="batch", upsampling="resize", dropout=0.5),
    ResNetOptions(base_channels=4, blocks=1, global_residual=True, norm="none"),
    ResNetOptions(base_channels=4, blocks=1, downsampling="blurred", upsampling="bilinear"),
    SRResNetOptions(channels=8, blocks=2),
    SRResNetOptions(channels=8, blocks=1, scale=2, tanh=True, unit_input=False, norm="instance"),
    SRResNetOptions(channels=8, blocks=1, scale=1, norm="none"),
    SRResNetOptions(channels=8, blocks=1, imagenet_input=True, channel_slopes=True, body_end="prelu"),
    RRDBOptions(channels=8, growth_channels=4, blocks=1),
    RRDBOptions(channels=8, growth_channels=4, blocks=1, scale=1, unshuffle=4),
    MSRResNetOptions(channels=8, blocks=2, scale=3),
    SRVGGOptions(channels=8, blocks=2, scale=3),
    SRVGGOptions(channels=8, blocks=1, scale=2, activation="leaky_relu"),
    CompactSROptions(channels=8, blocks=2),
    CompactSROptions(channels=8, blocks=1, scale=3, activation="leaky_relu"),
    CompactSROptions(channels=8, blocks=1, upsampling_channels=8),
    CompactRestorationOptions(channels=(4, 8), scale_blocks=(1, 2)),
    CompactRestorationOptions(channels=(8, 4, 4), scale_blocks=(1, 1, 1), activation="prelu", gate=True),
    CompactRestorationOptions(channels=(4,), scale_blocks=(1,)),
    FPNOptions(base_channels=4, max_channels=8, blocks=1, pyramid_channels=8, head_channels=4),
    FPNOptions(base_channels=4, max_channels=4, blocks=0, pyramid_channels=4, head_channels=2, norm="batch"),
    FPNOptions(encoder="mobilenet_v2", pyramid_channels=4, head_channels=2),
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ResNetUNetOptions(encoder="resnet34", base_channels=8, blur=False, self_attention=False, weight_norm=False),
    ContextEncoderOptions(downs=3, base_channels=4, bottleneck_channels=8),
    ContextEncoderOptions(downs=3, base_channels=4, bottleneck_channels=8, overlap_px=2, residual=True),
    ContextEncoderOptions(region="full", downs=2, base_channels=4, bottleneck_channels=8, norm="none"),
]
SMALL_DISCRIMINATORS: list[Any] = [
    PatchGanOptions(base_channels=4),
    PatchGanOptions(base_channels=4, layout="source", downs=4, norm="instance"),
    PatchGanOptions(base_channels=4, downs=0),
    PatchGanOptions(base_channels=4, downs=1, spectral_norm=True, norm="group"),
    SrganDiscriminatorOptions(base_channels=4, crop_px=40, dense_units=8),
    SrganDiscriminatorOptions(base_channels=4, crop_px=40, dense_units=8, spectral_norm=True, norm="none"),
    SrganFullyConvolutionalOptions(base_channels=4, dense_units=8),
    SrganFullyConvolutionalOptions(base_channels=4, dense_units=8, pooling="none", spectral_norm=True),
    CriticOptions(base_channels=4),
    CriticOptions(base_channels=4, norm="layer", dropout=0.2, spectral_norm=True),
    CriticOptions(base_channels=4, norm="none", downs=2),
    NoGanCriticOptions(base_channels=4, downs=2),
    NoGanCriticOptions(base_channels=4, downs=1, self_attention=False),
    RegionDiscriminatorOptions(base_channels=4, downs=3),
    RegionDiscriminatorOptions(base_channels=4, downs=2, norm="none", spectral_norm=True),
]
LOCAL_GENERATORS = [
    options
    for options in SMALL_GENERATORS
    if options.name.startswith("compact")
    or options.name in ("rrdb", "msrresnet", "srvgg")
    or (getattr(options, "norm", None) in ("batch", "none") and options.name != "context_encoder")
    or getattr(options, "self_attention", True) is False
]
MORE_LOCAL_GENERATORS: list[Any] = [
    UNetOptions(downs=2, base_channels=2, upsampling="source"),
    UNetOptions(downs=4, base_channels=2, norm="none", upsampling="resize"),
    ResNetOptions(base_channels=2, blocks=1, downs=3, norm="batch"),
    ResNetOptions(base_channels=2, blocks=1, norm="batch", downsampling="blurred"),
    ResNetOptions(base_channels=2, blocks=1, downs=3, norm="none", upsampling="bilinear"),
    ResNetOptions(base_channels=2, blocks=1, norm="none", downsampling="blurred", upsampling="bilinear"),
    FPNOptions(base_channels=2, max_channels=4, blocks=1, pyramid_channels=4, head_channels=2, norm="none"),
    FPNOptions(encoder="mobilenet_v2", pyramid_channels=4, head_channels=2, norm="batch"),
    SRResNetOptions(channels=4, blocks=1, scale=8),
    RRDBOptions(channels=4, growth_channels=2, blocks=1),
    RRDBOptions(channels=4, growth_channels=2, blocks=1, scale=1),
    RRDBOptions(channels=4, growth_channels=2, blocks=1, scale=16),
    RRDBOptions(channels=4, growth_channels=2, blocks=1, scale=2, unshuffle=2),
    MSRResNetOptions(channels=4, blocks=2),
    SRVGGOptions(channels=4, blocks=1, scale=4),
    CompactSROptions(channels=4, blocks=1, scale=8),
    CompactSROptions(channels=4, blocks=1, scale=2, upsampling_channels=4),
    CompactSROptions(channels=4, blocks=1, scale=3, upsampling_channels=4),
    CompactSROptions(channels=4, blocks=1, scale=8, upsampling_channels=2),
    ResNetUNetOptions(encoder="resnet18", base_channels=8, self_attention=False),
]
BOUNDED = {"unet", "fpn", "resnet", "context_encoder"}


def label(options: Any) -> str:
    changed = {key: value for key, value in options if value != type(options).model_fields[key].default}
    return f"{options.name}-" + "-".join(f"{key}={value}" for key, value in changed.items())


def union_members(union: Any) -> list[type[Options]]:
    return list(get_args(get_args(union)[0]))


ENTRIES = [(GENERATORS, option) for option in union_members(GeneratorOptions)] + [
    (DISCRIMINATORS, option) for option in union_members(DiscriminatorOptions)
]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def noise(channels: int, side_px: int, count: int = 2) -> Tensor:
    return torch.rand(count, channels, side_px, side_px) * 2 - 1


def check_gradients(network: nn.Module, output: Tensor) -> None:
    torch.autograd.backward(output.square().sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_every_entry_has_options_and_a_test() -> None:
    for table, union, small in (
        (GENERATORS, GeneratorOptions, SMALL_GENERATORS),
        (DISCRIMINATORS, DiscriminatorOptions, SMALL_DISCRIMINATORS),
    ):
        named = {option.model_fields["name"].default for option in union_members(union)}
        assert named == {options.name for options in small} == set(table.names())


@pytest.mark.parametrize(("table", "options_class"), ENTRIES, ids=lambda value: getattr(value, "__name__", ""))
def test_options_are_the_constructors_keyword_arguments(table: Registry[nn.Module], options_class: Any) -> None:
    given = set() if table is GENERATORS else {"in_channels"}
    parameters = inspect.signature(table.factory(options_class().name)).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in given}
    assert defaults == options_class().arguments()


@pytest.mark.parametrize("options", SMALL_GENERATORS, ids=label)
def test_generator_shape_range_and_gradient(options: Any) -> None:
    network: Any = GENERATORS.build(options)
    side_px = network.minimum_size_px + 3 * network.size_multiple
    output = network(noise(3, side_px))
    assert output.shape == (2, 3, side_px * network.scale, side_px * network.scale)
    assert torch.isfinite(output).all()
    assert output.abs().max() <= 1 or not (options.name in BOUNDED or getattr(options, "tanh", False))
    check_gradients(network, output)


@pytest.mark.parametrize("options", SMALL_GENERATORS, ids=label)
def test_generator_takes_its_declared_minimum_and_rectangles(options: Any) -> None:
    network: Any = GENERATORS.build(options)
    side_px, step_px = network.minimum_size_px, network.size_multiple
    assert torch.isfinite(network.train()(noise(3, side_px))).all()
    network.eval()
    with torch.no_grad():
        for height_px, width_px in ((side_px, side_px), (side_px, side_px + step_px)):
            output = network(torch.zeros(1, 3, height_px, width_px))
            assert output.shape[-2:] == (height_px * network.scale, width_px * network.scale)


def test_generators_that_see_the_whole_image_say_so() -> None:
    for options in SMALL_GENERATORS:
        network: Any = GENERATORS.build(options)
        assert (network.halo_px is None) == (options not in LOCAL_GENERATORS)


def only_adding(network: nn.Module) -> Any:
    """The network with small positive weights, in which nothing that is seen cancels or saturates."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and "running_var" not in name:
            tensor.abs_().add_(0.1).mul_(1 if name == "last.bias" else 1e-3)  # what a threshold lets through
    return network.double().eval()


def measured_reach(network: Any) -> tuple[int, int]:
    """Pixels before and after a tile of one step that change it, by the gradient of the tile's sum."""
    start_px = (-(-network.halo_px // network.size_multiple) + 1) * network.size_multiple
    stop_px = start_px + network.size_multiple
    image = torch.full((1, 3, stop_px, stop_px + start_px), 0.1).double().requires_grad_()
    columns = slice(start_px * network.scale, stop_px * network.scale)
    made = network(image)[..., columns]
    seen = torch.autograd.grad(made.sum(), image)[0].abs().sum(dim=(0, 1, 2)).nonzero()
    return start_px - int(seen.min()), int(seen.max()) + 1 - stop_px


@pytest.mark.parametrize("options", LOCAL_GENERATORS + MORE_LOCAL_GENERATORS, ids=label)
def test_generator_halo_is_what_a_tile_sees(options: Any) -> None:
    network = only_adding(GENERATORS.build(options))
    assert max(measured_reach(network)) == network.halo_px


def test_compact_restoration_starts_as_the_identity_and_sees_at_least_64_px() -> None:
    image, network = noise(3, 16), GENERATORS.build(CompactRestorationOptions())
    torch.testing.assert_close(network(image), image, rtol=0, atol=0)
    assert CompactRestorationOptions().scale_blocks == (2, 3, 6)
    assert network.halo_px >= 64  # type: ignore[operator]


def test_a_closed_gate_changes_no_bit() -> None:
    image, network = noise(3, 16), GENERATORS.build(CompactRestorationOptions(gate=True)).requires_grad_(False)
    nn.init.normal_(network.last.weight)  # type: ignore[union-attr,arg-type]
    assert (network(image) != image).any()
    network.gate.bias.fill_(-3)  # type: ignore[union-attr,operator]
    assert torch.equal(network(image), image)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"channels": (8, 8)}, "as many of each"),
        ({"channels": (), "scale_blocks": ()}, "at least 1 item"),
        ({"scale_blocks": (1, 1, 65)}, "at most 64"),
        ({"in_channels": 5}, "make in_channels and out_channels equal"),
    ],
    ids=str,
)
def test_impossible_scales_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CompactRestorationOptions(**values)


def test_global_residual_adds_to_the_input() -> None:
    network: Any = GENERATORS.build(ResNetOptions(base_channels=4, blocks=1, global_residual=True))
    nn.init.zeros_(network.last[1].weight)
    nn.init.zeros_(network.last[1].bias)
    image = noise(3, 16)
    torch.testing.assert_close(network(image), image)


@pytest.mark.parametrize("options", SMALL_DISCRIMINATORS, ids=label)
@pytest.mark.parametrize("channels", [3, 6])
def test_discriminator_shape_and_gradient(options: Any, channels: int) -> None:
    network = DISCRIMINATORS.build(options, in_channels=channels)
    logits = network(noise(channels, 40))
    assert logits.shape[:2] == (2, 1)
    assert torch.isfinite(logits).all()
    check_gradients(network, logits)


def test_logits_are_not_squashed() -> None:
    for options in SMALL_DISCRIMINATORS:
        network = DISCRIMINATORS.build(options, in_channels=3).eval()
        last = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
        last.bias = nn.Parameter(torch.full((1,), 7.0))
        assert network(noise(3, 40)).max() > 1


@pytest.mark.parametrize("options", [*SMALL_GENERATORS, *SMALL_DISCRIMINATORS], ids=label)
def test_state_survives_the_meta_device(options: Any) -> None:
    is_generator = options.name in GENERATORS.names()
    build = GENERATORS.build if is_generator else partial(DISCRIMINATORS.build, in_channels=3)
    network: Any = build(options).eval()
    with torch.device("meta"):
        copy = build(options)
    assert all(parameter.is_meta for parameter in copy.parameters())
    copy.load_state_dict(network.state_dict(), assign=True)
    step_px = getattr(network, "size_multiple", 1)
    image = noise(3, -(-40 // step_px) * step_px)
    with torch.no_grad():
        torch.testing.assert_close(copy.eval()(image), network(image), rtol=0, atol=0)


def test_srgan_discriminator_names_the_size_it_wants() -> None:
    network = DISCRIMINATORS.build(SrganDiscriminatorOptions(base_channels=4, crop_px=32), in_channels=3)
    with pytest.raises(UsageError, match="32×32 px crops and got 48×40"):
        network(torch.zeros(1, 3, 40, 48))


def test_tables_and_options_import_no_torch() -> None:
    code = (
        "import sys, gantools.models.options, gantools.losses.options, gantools.pretrained.feature_weights;"
        "sys.exit(bool({'torch', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options_class", "settings"),
    [(CompactSROptions, {}), (FPNOptions, {}), (ResNetOptions, {"global_residual": True})],
)
def test_a_skip_to_the_output_needs_matching_channels(options_class: Any, settings: Any) -> None:
    with pytest.raises(ValidationError, match="make in_channels and out_channels equal"):
        options_class(in_channels=4, **settings)
    coloured: Any = GENERATORS.build(options_class(in_channels=1, **settings))
    side_px = max(8, coloured.minimum_size_px)
    assert coloured(torch.zeros(1, 1, side_px, side_px)).shape[1] == 3
