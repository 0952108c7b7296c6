"""Layer counts, parameter counts, receptive fields and output sizes of the papers and the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import nn

from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.blocks import InstanceNorm
from gantools.models.options import (
    CompactSROptions,
    PatchGanOptions,
    ResNetOptions,
    SrganDiscriminatorOptions,
    SRResNetOptions,
    UNetOptions,
)

SOURCE_UNET = UNetOptions(
    norm="instance",
    upsampling="source",
    skip_activation="leaky_relu",
    dropout_downs_from=4,
    dropout_ups=4,
    bias=False,
)


def on_meta(options: Any, **given: int) -> Any:
    with torch.device("meta"):
        return (DISCRIMINATORS if given else GENERATORS).build(options, **given)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def count(network: nn.Module, kind: Any) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        (UNetOptions(), {}, 54_413_955),  # the reference prints 54.414 M
        (SOURCE_UNET, {}, 54_404_099),
        (ResNetOptions(), {}, 11_378_179),  # 11.378 M
        (ResNetOptions(blocks=6), {}, 7_837_699),  # 7.838 M
        (SRResNetOptions(), {}, 1_547_350),
        (SRResNetOptions(blocks=5, bias=True), {}, 734_219),
        (PatchGanOptions(), {"in_channels": 6}, 2_768_705),  # 2.769 M
        (PatchGanOptions(norm="instance"), {"in_channels": 3}, 2_764_737),  # 2.765 M
        (SrganDiscriminatorOptions(), {"in_channels": 3}, 23_563_649),
    ],
)
def test_parameter_counts(options: Any, given: dict[str, int], expected: int) -> None:
    assert parameter_count(on_meta(options, **given)) == expected


def test_unet_of_the_paper() -> None:
    network = on_meta(UNetOptions())
    assert [down[0].out_channels for down in network.downs] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [isinstance(down[1], nn.BatchNorm2d) for down in network.downs] == [False, *[True] * 6, False]
    assert [up[0].out_channels for up in network.ups] == [512, 512, 512, 512, 256, 128, 64]
    assert [count(up, nn.Dropout) for up in network.ups] == [1, 1, 1, 0, 0, 0, 0]
    assert (count(network.downs, nn.Dropout), count(network, nn.ConvTranspose2d)) == (0, 8)
    assert (network.size_multiple, network.scale) == (256, 1)


def test_unet_of_the_source() -> None:
    network = on_meta(SOURCE_UNET)
    assert [count(down, nn.Dropout) for down in network.downs] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert [count(up, nn.Dropout) for up in network.ups] == [1, 1, 1, 1, 0, 0, 0]
    assert [isinstance(down[1], InstanceNorm) for down in network.downs] == [False, *[True] * 6, False]
    assert [type(layer) for layer in network.last] == [nn.Upsample, nn.ZeroPad2d, nn.Conv2d, nn.Tanh]
    assert {down[0].bias for down in network.downs} == {None}
    assert network.last[2].bias is not None


@pytest.mark.parametrize(("skip_activation", "lowest"), [("relu", 0.0), ("leaky_relu", -0.2)])
def test_what_the_unet_hands_across(skip_activation: Any, lowest: float) -> None:
    network: Any = GENERATORS.build(UNetOptions(downs=2, base_channels=1, skip_activation=skip_activation, norm="none"))
    handed = network.to_decoder(network.downs[0][-1](torch.tensor([-1.0, 2.0])))
    torch.testing.assert_close(handed, torch.tensor([lowest, 2.0]))


def test_unet_equals_the_reference_order_of_layers() -> None:
    """Activation before each convolution, written out, gives the same image."""
    torch.manual_seed(0)
    network: Any = GENERATORS.build(UNetOptions(downs=3, base_channels=4, norm="instance", dropout_ups=0)).double()
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64) * 2 - 1
    leaky, relu = nn.LeakyReLU(0.2), nn.ReLU()
    (e1, n1), (e2, n2), (e3, n3) = [(down[0], down[1]) for down in network.downs]
    (d1, m1), (d2, m2) = [(up[0], up[1]) for up in network.ups]
    first = n1(e1(image))
    second = n2(e2(leaky(first)))
    third = n3(e3(leaky(second)))
    inner = torch.cat((m1(d1(relu(third))), second), 1)
    outer = torch.cat((m2(d2(relu(inner))), first), 1)
    expected = torch.tanh(network.last[0](relu(outer)))
    torch.testing.assert_close(network(image), expected)


def test_resnet_of_the_paper() -> None:
    network = on_meta(ResNetOptions())
    assert count(network, nn.Conv2d) + count(network, nn.ConvTranspose2d) == 1 + 2 + 18 + 2 + 1
    assert count(network, InstanceNorm) == 1 + 2 + 18 + 2
    assert count(on_meta(ResNetOptions(upsampling="resize")), nn.ConvTranspose2d) == 0
    assert count(on_meta(ResNetOptions(dropout=0.5)), nn.Dropout) == 9
    assert network.size_multiple == 4


def test_srresnet_of_the_paper() -> None:
    network = on_meta(SRResNetOptions())
    assert count(network, nn.Conv2d) == 1 + 32 + 1 + 2 + 1
    assert count(network, nn.BatchNorm2d) == 33
    assert count(network, nn.PixelShuffle) == 2
    assert count(network, nn.PReLU) == 1 + 16 + 2
    assert network.head[0].kernel_size == network.last.kernel_size == (9, 9)


def test_srresnet_sees_images_from_0_to_1() -> None:
    network: Any = GENERATORS.build(SRResNetOptions(channels=4, blocks=1, norm="none")).eval()
    raw: Any = GENERATORS.build(SRResNetOptions(channels=4, blocks=1, norm="none", unit_input=False)).eval()
    raw.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 6, 6) * 2 - 1
    torch.testing.assert_close(network(image), raw((image + 1) / 2))


@pytest.mark.parametrize("upsampling_channels", [None, 6])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_compact_sr_starts_as_bilinear_enlargement(scale: Any, upsampling_channels: int | None) -> None:
    network: Any = GENERATORS.build(CompactSROptions(scale=scale, upsampling_channels=upsampling_channels))
    ramp = torch.linspace(-1, 1, 8).expand(1, 3, 8, 8).contiguous()
    output = network(ramp).detach()
    expected = nn.functional.interpolate(ramp, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-7 if scale == 3 else 0)
    torch.testing.assert_close(output.mean(), ramp.mean())  # nothing is shifted


@pytest.mark.parametrize(
    ("scale", "factors", "widths"),
    [(1, [], []), (2, [2], [24]), (3, [3], [24]), (4, [2, 2], [24, 12]), (8, [2, 2, 2], [24, 12, 6])],
)
def test_compact_sr_enlarges_by_one_prime_factor_after_the_other(scale: Any, factors: Any, widths: Any) -> None:
    network = on_meta(CompactSROptions(scale=scale, channels=8, blocks=1, upsampling_channels=24))
    steps = [(step[1].upscale_factor, step[0].out_channels) for step in network.upsampling]
    assert steps == [(factor, width * factor**2) for factor, width in zip(factors, widths, strict=True)]
    assert network.last.in_channels == ([8, *widths][-1])
    assert network(torch.empty(1, 3, 5, 7, device="meta")).shape == (1, 3, 5 * scale, 7 * scale)


def test_compact_sr_of_several_steps_makes_a_cells_samples_alike_at_first() -> None:
    network: Any = GENERATORS.build(CompactSROptions(channels=8, blocks=1, upsampling_channels=8))
    grown = network.upsampling(torch.randn(1, 8, 9, 9)).detach()[..., 8:-8, 8:-8]  # the borders see zeros
    cells = nn.functional.pixel_unshuffle(grown, 2).unflatten(1, (-1, 4))
    torch.testing.assert_close(cells, cells[:, :, :1].expand_as(cells))


@pytest.mark.parametrize(
    ("layout", "downs", "expected_px"),
    [*(("paper", downs, px) for downs, px in enumerate((1, 16, 34, 70, 142, 286))), ("source", 4, 94)],
)
def test_patchgan_receptive_field(layout: Any, downs: int, expected_px: int) -> None:
    options = PatchGanOptions(layout=layout, downs=downs, base_channels=2, max_channels=4, norm="none")
    assert on_meta(options, in_channels=3).receptive_field_px == expected_px
    assert measured_receptive_field_px(options, expected_px) == expected_px


def measured_receptive_field_px(options: PatchGanOptions, expected_px: int) -> int:
    """Side of the square of pixels with a gradient from the middle logit, all weights positive."""
    network = DISCRIMINATORS.build(options, in_channels=1).double()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    side_px = max(3 * expected_px, 8)
    image = torch.ones(1, 1, side_px, side_px, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    columns = image.grad[0, 0].sum(dim=0).nonzero().flatten()
    return int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize(
    ("options", "side"),
    [
        (PatchGanOptions(base_channels=2), 30),
        (PatchGanOptions(base_channels=2, layout="source", downs=4), 16),
        (PatchGanOptions(base_channels=2, downs=0), 256),
    ],
)
def test_patchgan_map_of_256_px(options: PatchGanOptions, side: int) -> None:
    assert DISCRIMINATORS.build(options, in_channels=6)(torch.zeros(1, 6, 256, 256)).shape == (1, 1, side, side)


@pytest.mark.parametrize("downs", [0, 1, 3, 4])
@pytest.mark.parametrize("layout", ["paper", "source"])
def test_patchgan_takes_its_declared_minimum(layout: Any, downs: int) -> None:
    network: Any = DISCRIMINATORS.build(
        PatchGanOptions(layout=layout, downs=downs, base_channels=2, norm="instance"), in_channels=3
    )
    smallest_px = network.minimum_size_px
    assert network(torch.zeros(1, 3, smallest_px, smallest_px)).numel() >= 1
    if smallest_px > 1:
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 3, smallest_px - 1, smallest_px - 1))


@pytest.mark.parametrize(
    ("options", "widths", "strides", "biases"),
    [
        (PatchGanOptions(), [64, 128, 256, 512, 1], [2, 2, 2, 1, 1], [True, False, False, False, True]),
        (
            PatchGanOptions(layout="source", downs=4, norm="instance"),
            [64, 128, 256, 512, 1],
            [2, 2, 2, 2, 1],
            [True, True, True, True, False],
        ),
        (SrganDiscriminatorOptions(), [64, 64, 128, 128, 256, 256, 512, 512], [1, 2] * 4, [True, *[False] * 7]),
    ],
)
def test_discriminators_of_papers_and_source(options: Any, widths: Any, strides: Any, biases: Any) -> None:
    network = on_meta(options, in_channels=6)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == widths
    assert [module.stride[0] for module in convolutions] == strides
    assert [module.bias is not None for module in convolutions] == biases
    assert count(network, nn.BatchNorm2d) == {"paper": 3, "source": 0}.get(getattr(options, "layout", ""), 7)


def test_public_srgan_weights_sharpen_a_photo(shared_data: Path) -> None:
    """A public five-block ×2 file holds our tensors in our order, and enlarges better than bicubic interpolation."""
    file = shared_data / "weights_srgan_leftthomas" / "netG_epoch_2_100.pth"
    public = torch.load(file, map_location="cpu", weights_only=True)
    network: Any = GENERATORS.build(SRResNetOptions(blocks=5, scale=2, tanh=True, bias=True, body_end="prelu")).eval()
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(names, public.values(), strict=True)), strict=False)
    photo = min((shared_data / "photos_kodak24").glob("*.png"))
    bgr = cv2.imread(str(photo))
    assert bgr is not None
    rgb = cv2.cvtColor(bgr[:256, :256], cv2.COLOR_BGR2RGB)
    high = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1
    low = nn.functional.interpolate(high, scale_factor=0.5, mode="bicubic", antialias=True)
    bicubic = nn.functional.interpolate(low, scale_factor=2, mode="bicubic")
    with torch.no_grad():
        output = network(low)
    assert (output - high).square().mean() < 0.9 * (bicubic - high).square().mean()
