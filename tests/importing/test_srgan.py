"""SRResNets by the names of SRGAN's codes, each computed here once more by those names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gantools.errors import ModelFileError
from gantools.importing import basicsr, srgan
from gantools.importing.found import Found
from gantools.importing.records import Stored
from tests.importing.layers import (
    Tensors,
    batch_norm,
    convolution,
    convolved,
    normed,
    shapes,
    stored,
)

CHANNELS = 6
MEAN, DEVIATION = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def tanh(image: Tensor) -> Tensor:
    return (image.tanh() + 1) / 2


def same(image: Tensor) -> Tensor:
    return image


@dataclass(frozen=True)
class Code:
    """Names in a code: ``block`` has the block's number, ``up`` that of an enlargement."""

    head: str
    slope: str
    block: str
    inside: tuple[str, str, str, str, str]
    end: tuple[str, str]
    up: str
    up_slope: str
    last: str
    first_block: int = 0
    biased: bool = True
    bias_at_ends: bool = True
    slopes: int = 1
    seen: Callable[[Tensor], Tensor] = same
    made: Callable[[Tensor], Tensor] = tanh


CODES = {
    "leftthomas": Code(
        "block1.0",
        "block1.1",
        "block{}.",
        ("conv1", "bn1", "prelu", "conv2", "bn2"),
        ("block4.0", "block4.1"),
        "block5.{}.conv",
        "block5.{}.prelu",
        "block5.UPS",
        first_block=2,
    ),
    "sgrvinod": Code(
        "conv_block1.conv_block.0",
        "conv_block1.conv_block.1",
        "residual_blocks.{}.",
        (
            *("conv_block1.conv_block.0", "conv_block1.conv_block.1", "conv_block1.conv_block.2"),
            *("conv_block2.conv_block.0", "conv_block2.conv_block.1"),
        ),
        ("conv_block2.conv_block.0", "conv_block2.conv_block.1"),
        "subpixel_convolutional_blocks.{}.conv",
        "subpixel_convolutional_blocks.{}.prelu",
        "conv_block3.conv_block.0",
        seen=lambda image: (image - MEAN) / DEVIATION,
    ),
    "Lornatang": Code(
        "conv1.0",
        "conv1.1",
        "trunk.{}.rcb.",
        ("0", "1", "2", "3", "4"),
        ("conv2.0", "conv2.1"),
        "upsampling.{}.upsample_block.0",
        "upsampling.{}.upsample_block.2",
        "conv3",
        biased=False,
        made=same,
    ),
    "Lornatang, 2022": Code(
        "conv_block1.0",
        "conv_block1.1",
        "trunk.{}.rcb.",
        ("0", "1", "2", "3", "4"),
        ("conv_block2.0", "conv_block2.1"),
        "upsampling.{}.upsample_block.0",
        "upsampling.{}.upsample_block.2",
        "conv_block3",
        biased=False,
        made=same,
    ),
    "aladdinpersson": Code(
        "initial.cnn",
        "initial.act",
        "residuals.{}.",
        ("block1.cnn", "block1.bn", "block1.act", "block2.cnn", "block2.bn"),
        ("convblock.cnn", "convblock.bn"),
        "upsamples.{}.conv",
        "upsamples.{}.act",
        "final",
        biased=False,
        slopes=CHANNELS,
    ),
    "twtygqyy": Code(
        "conv_input",
        "",
        "residual.{}.",
        ("conv1", "bn1", "", "conv2", "bn2"),
        ("conv_mid", "bn_mid"),
        "upscale4x.{}",
        "",
        "conv_output",
        biased=False,
        bias_at_ends=False,
        made=same,
    ),
}


def tensors_of(code: Code, *, doublings: int = 2, tail: str = "norm") -> Tensors:
    torch.manual_seed(0)
    made: Tensors = {}

    def layer(name: str, inputs: int, outputs: int, kernel: int, biased: bool) -> None:
        convolution(made, name, inputs, outputs, kernel)
        if not biased:
            del made[f"{name}.bias"]

    def slope(name: str) -> None:
        if name.strip("."):
            made[f"{name}.weight"] = torch.rand(code.slopes) / 2

    layer(code.head, 3, CHANNELS, 9, code.bias_at_ends)
    slope(code.slope)
    for number in range(2):
        names = [code.block.format(number + code.first_block) + inner if inner else "" for inner in code.inside]
        for convolved_name, norm_name in ((names[0], names[1]), (names[3], names[4])):
            layer(convolved_name, CHANNELS, CHANNELS, 3, code.biased)
            batch_norm(made, norm_name, CHANNELS)
        slope(names[2])
    layer(code.end[0], CHANNELS, CHANNELS, 3, code.biased)
    batch_norm(made, code.end[1], CHANNELS) if tail == "norm" else slope(code.end[1])
    for number in range(doublings):
        layer(up_name(code, number), CHANNELS, 4 * CHANNELS, 3, code.bias_at_ends)
        slope(code.up_slope.format(number))
    layer(code.last.replace("UPS", str(doublings)), CHANNELS, 3, 9, code.bias_at_ends)
    return made


def up_name(code: Code, number: int) -> str:
    return code.up.format(3 * number if code.up == "upscale4x.{}" else number)


def image_of(code: Code, tensors: Tensors, image: Tensor, doublings: int = 2) -> Tensor:
    def activated(name: str, features: Tensor) -> Tensor:
        slopes = tensors[f"{name}.weight"] if name else torch.tensor([0.2])
        return functional.prelu(features, slopes)

    first = features = activated(code.slope, convolved(tensors, code.head, code.seen(image)))
    for number in range(2):
        names = [code.block.format(number + code.first_block) + inner if inner else "" for inner in code.inside]
        inner = activated(names[2], normed(tensors, names[1], convolved(tensors, names[0], features)))
        features = features + normed(tensors, names[4], convolved(tensors, names[3], inner))
    end = convolved(tensors, code.end[0], features)
    is_norm = f"{code.end[1]}.running_mean" in tensors
    features = first + (normed(tensors, code.end[1], end) if is_norm else activated(code.end[1], end))
    for number in range(doublings):
        wide = convolved(tensors, up_name(code, number), features)
        features = activated(code.up_slope.format(number), functional.pixel_shuffle(wide, 2))
    return code.made(convolved(tensors, code.last.replace("UPS", str(doublings)), features))


def recognised(state: Mapping[str, Stored]) -> Found:
    """What exactly one family knows."""
    known = [found for family in (*srgan.FAMILIES, *basicsr.FAMILIES) if (found := family.found(state)) is not None]
    assert len(known) == 1
    return known[0]


def agrees(code: Code, tensors: Tensors, state: Mapping[str, Tensor], doublings: int = 2) -> Found:
    found = recognised(stored(state))
    image = torch.rand(2, 3, 7, 10)
    made = (found.network()(image * 2 - 1) + 1) / 2
    torch.testing.assert_close(made, image_of(code, tensors, image, doublings), atol=1e-5, rtol=0)
    return found


@pytest.mark.parametrize("name", CODES)
def test_an_srresnet_is_known_by_the_names_of_each_code(name: str) -> None:
    tensors = tensors_of(CODES[name])
    found = agrees(CODES[name], tensors, tensors)
    assert (found.export.options["blocks"], found.export.options["channels"], found.export.scale) == (2, CHANNELS, 4)


@pytest.mark.parametrize(("doublings", "tail"), [(1, "norm"), (3, "norm"), (1, "prelu"), (2, "prelu")])
def test_leftthomas_has_other_scales_and_an_older_tail(doublings: int, tail: str) -> None:
    code = CODES["leftthomas"]
    tensors = tensors_of(code, doublings=doublings, tail=tail)
    found = agrees(code, tensors, tensors, doublings)
    assert (found.export.scale, found.export.options["body_end"]) == (2**doublings, tail)


def test_the_generator_of_sgrvinods_srgan_is_known_within_it() -> None:
    code = CODES["sgrvinod"]
    tensors = tensors_of(code)
    found = agrees(code, tensors, {f"net.{key}": value for key, value in tensors.items()})
    assert found.export.options["imagenet_input"]


def test_slopes_that_a_code_never_reads_are_left_out() -> None:
    code = CODES["aladdinpersson"]
    tensors = tensors_of(code)
    unread = {f"{name}.act.weight": torch.rand(CHANNELS) for name in ("residuals.0.block2", "convblock")}
    agrees(code, tensors, {**tensors, **unread})


def test_counts_of_batches_are_kept_where_a_file_has_them() -> None:
    tensors: dict[str, Any] = tensors_of(CODES["Lornatang"])
    tensors["conv2.1.num_batches_tracked"] = torch.tensor(5)
    state = recognised(stored(tensors)).network().state_dict()
    assert int(state["body.body.3.num_batches_tracked"]) == 5
    assert int(state["body.body.0.body.1.num_batches_tracked"]) == 0
    assert not state["body.body.3.num_batches_tracked"].is_floating_point()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"upsampling.0.upsample_block.0.weight": (9 * CHANNELS, CHANNELS, 3, 3)}, "enlarges with 54 channels"),
        ({"conv1.0.weight": (CHANNELS, 4, 9, 9)}, "takes 4 channels"),
        ({"conv1.0.weight": (0, 3, 9, 9)}, "looks like an SRResNet"),
        ({"conv1.0.weight": (10**12, 3, 9, 9)}, "looks like an SRResNet"),
        (
            {"conv1.0.weight": (10**6, 3, 9, 9)}
            | {f"upsampling.{up}.upsample_block.0.weight": None for up in range(2)},
            "none with channels 1000000",
        ),
        ({"trunk.0.rcb.1.running_mean": None}, "no running statistics"),
    ],
)
def test_near_misses_are_refused_before_any_tensor_is_read(changed: dict[str, Any], message: str) -> None:
    state = {key: tuple(value.shape) for key, value in tensors_of(CODES["Lornatang"]).items()} | changed
    unread = shapes(**{key: shape for key, shape in state.items() if shape is not None})
    with pytest.raises(ModelFileError, match=message):
        [family.found(unread) for family in srgan.FAMILIES]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"block1.0.weight": (64, 3, 9, 9), "block2.conv1.weight": (64, 64, 3, 3)},
        {"conv1.0.weight": (), "trunk.0.rcb.0.weight": (), "trunk.0.rcb.3.weight": (), "conv3.weight": ()},
        {"net.0.weight": (64, 3, 3, 3), "net.2.weight": (64, 64, 3, 3)},
        {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 3, 3), "fc.weight": (1000, 512)},
    ],
)
def test_other_networks_are_none_of_them(state: dict[str, tuple[int, ...]]) -> None:
    assert [family.found(shapes(**state)) for family in srgan.FAMILIES] == [None] * len(srgan.FAMILIES)
