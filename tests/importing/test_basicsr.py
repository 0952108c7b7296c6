"""RRDBNet, MSRResNet and SRVGGNetCompact: by the names of their codes, each computed here once more by those names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gantools.errors import ModelFileError
from gantools.importing import basicsr
from gantools.importing.found import Found
from gantools.importing.records import Stored
from tests.importing.layers import Tensors, convolution, convolved, leaky, shapes, stored


def agrees(found: Found | None, tensors: Tensors, theirs: Callable[[Tensors, Tensor], Tensor], side: int) -> None:
    """Whether our network makes of [-1, 1] what theirs makes of [0, 1]."""
    assert found is not None
    network = found.network()
    image = torch.rand(2, found.export.options["in_channels"], side, side + side)
    wanted = theirs(tensors, image)
    assert tuple(wanted.shape[2:]) == (found.export.scale * side, found.export.scale * side * 2)
    torch.testing.assert_close((network(image * 2 - 1) + 1) / 2, wanted, atol=1e-5, rtol=0)


# ------------------------------------------------------------------ RRDBNet


def rrdb_tensors(*, inputs: int = 3, outputs: int = 3, doublings: int = 2, blocks: int = 2) -> Tensors:
    made: Tensors = {}
    convolution(made, "conv_first", inputs, 8)
    for layer in (f"body.{block}.rdb{number}" for block in range(blocks) for number in (1, 2, 3)):
        for number in range(5):
            convolution(made, f"{layer}.conv{number + 1}", 8 + 4 * number, 4 if number < 4 else 8)
    for name in ("conv_body", *(f"conv_up{number + 1}" for number in range(doublings)), "conv_hr"):
        convolution(made, name, 8, 8)
    convolution(made, "conv_last", 8, outputs)
    return made


def rrdb_image(tensors: Tensors, image: Tensor) -> Tensor:
    cell = round((tensors["conv_first.weight"].shape[1] / image.shape[1]) ** 0.5)
    first = convolved(tensors, "conv_first", functional.pixel_unshuffle(image, cell))
    features = first
    for block in range(len({key.split(".")[1] for key in tensors if key.startswith("body.")})):
        group = features
        for layer in (f"body.{block}.rdb{number}" for number in (1, 2, 3)):
            known = [features]
            for number in range(1, 5):
                known.append(leaky(convolved(tensors, f"{layer}.conv{number}", torch.cat(known, 1))))
            features = convolved(tensors, f"{layer}.conv5", torch.cat(known, 1)) * 0.2 + features
        features = features * 0.2 + group
    features = first + convolved(tensors, "conv_body", features)
    for number in range(sum(key.startswith("conv_up") for key in tensors) // 2):
        larger = functional.interpolate(features, scale_factor=2, mode="nearest")
        features = leaky(convolved(tensors, f"conv_up{number + 1}", larger))
    return convolved(tensors, "conv_last", leaky(convolved(tensors, "conv_hr", features)))


def esrgan_names(key: str) -> str:
    key = re.sub(r"body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", key).replace("conv_body", "trunk_conv")
    return key.replace("conv_up", "upconv").replace("conv_hr", "HRconv")


def oldest_names(doublings: int) -> Callable[[str], str]:
    last = 3 * doublings + 2
    places = {"conv_first": "0", "conv_body": "1.sub.2", "conv_hr": str(last), "conv_last": str(last + 2)}
    places |= {f"conv_up{number}": str(3 * number) for number in range(1, doublings + 1)}

    def name(key: str) -> str:
        layer, _, part = key.rpartition(".")
        if layer in places:
            return f"model.{places[layer]}.{part}"
        return re.sub(r"body\.(\d+)\.rdb(\d)\.(conv\d)", r"model.1.sub.\1.RDB\2.\3.0", key)

    return name


@pytest.mark.parametrize(
    ("sizes", "names", "scale", "unshuffle"),
    [
        ({}, str, 4, 1),
        ({"blocks": 3, "inputs": 1, "outputs": 1}, str, 4, 1),
        ({"inputs": 12}, str, 2, 2),
        ({"inputs": 48}, str, 1, 4),
        ({}, esrgan_names, 4, 1),
        *(({"doublings": number}, oldest_names(number), 2**number, 1) for number in range(5)),
        ({"inputs": 12}, oldest_names(2), 2, 2),
    ],
)
def test_an_rrdbnet_is_known_by_all_its_names(
    sizes: dict[str, int], names: Callable[[str], str], scale: int, unshuffle: int
) -> None:
    torch.manual_seed(0)
    tensors = rrdb_tensors(**sizes)
    found = basicsr.rrdb(stored({names(key): value for key, value in tensors.items()}))
    assert found is not None
    wanted = {"channels": 8, "growth_channels": 4, "blocks": sizes.get("blocks", 2), "unshuffle": unshuffle}
    assert {key: found.export.options[key] for key in wanted} == wanted
    assert (found.export.scale, found.export.size_multiple) == (scale, unshuffle)
    agrees(found, tensors, rrdb_image, 4)


# ------------------------------------------------------------------ MSRResNet


def msrresnet_tensors(factors: tuple[int, ...]) -> Tensors:
    made: Tensors = {}
    convolution(made, "conv_first", 3, 8)
    for name in (f"body.{block}.conv{number}" for block in range(3) for number in (1, 2)):
        convolution(made, name, 8, 8)
    for number, factor in enumerate(factors):
        convolution(made, f"upconv{number + 1}", 8, 8 * factor**2)
    convolution(made, "conv_hr", 8, 8)
    convolution(made, "conv_last", 8, 3)
    return made


def msrresnet_image(tensors: Tensors, image: Tensor) -> Tensor:
    features, scale = leaky(convolved(tensors, "conv_first", image), 0.1), 1
    for block in range(3):
        inner = functional.relu(convolved(tensors, f"body.{block}.conv1", features))
        features = features + convolved(tensors, f"body.{block}.conv2", inner)
    for name in [key.removesuffix(".bias") for key in tensors if re.fullmatch(r"upconv\d\.bias", key)]:
        factor = round((tensors[f"{name}.bias"].shape[0] / 8) ** 0.5)
        features = leaky(functional.pixel_shuffle(convolved(tensors, name, features), factor), 0.1)
        scale *= factor
    details = convolved(tensors, "conv_last", leaky(convolved(tensors, "conv_hr", features), 0.1))
    return details + functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2)])
def test_an_msrresnet_is_known(factors: tuple[int, ...], older: bool) -> None:
    torch.manual_seed(0)
    tensors = msrresnet_tensors(factors)
    renamed = {
        key.replace("body", "recon_trunk").replace("conv_hr", "HRconv") if older else key: value
        for key, value in tensors.items()
    }
    agrees(basicsr.msrresnet(stored(renamed)), tensors, msrresnet_image, 7)


# ------------------------------------------------------------------ SRVGGNetCompact


def srvgg_tensors(scale: int, *, prelu: bool = True) -> Tensors:
    made: Tensors = {}
    for number in range(4):
        convolution(made, f"body.{2 * number}", 8 if number else 3, 8)
        if prelu:
            made[f"body.{2 * number + 1}.weight"] = torch.rand(8) / 2
    convolution(made, "body.8", 8, 3 * scale**2)
    return made


def srvgg_image(tensors: Tensors, image: Tensor) -> Tensor:
    features = image
    for number in range(4):
        features = convolved(tensors, f"body.{2 * number}", features)
        features = functional.prelu(features, tensors[f"body.{2 * number + 1}.weight"])
    last = convolved(tensors, "body.8", features)
    scale = round((last.shape[1] / 3) ** 0.5)
    return functional.pixel_shuffle(last, scale) + image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_an_srvggnet_is_known(scale: int) -> None:
    torch.manual_seed(0)
    tensors = srvgg_tensors(scale)
    agrees(basicsr.srvgg(stored(tensors)), tensors, srvgg_image, 5)


# ------------------------------------------------------------------ what is none of them


def test_weights_in_half_precision_are_read() -> None:
    torch.manual_seed(0)
    tensors = {key: value.half() for key, value in rrdb_tensors().items()}
    found = basicsr.rrdb(stored(tensors))
    agrees(found, {key: value.float() for key, value in tensors.items()}, rrdb_image, 3)


EDSR = {"conv_first", "body.0.conv1", "body.0.conv2", "conv_after_body", "upsample.0", "conv_last"}
OTHERS: dict[str, dict[str, tuple[int, ...]]] = {
    "nothing": {},
    "EDSR": {f"{name}.weight": (64, 64, 3, 3) for name in EDSR},
    "a U-Net discriminator": {"conv0.weight": (64, 3, 3, 3), "conv1.weight_orig": (128, 64, 4, 4)},
    "a VGG discriminator": {"conv0_0.weight": (64, 3, 3, 3), "bn0_1.weight": (64,), "linear1.weight": (100, 8192)},
    "a VGG": {"features.0.weight": (64, 3, 3, 3), "classifier.0.weight": (4096, 25088)},
    "SwinIR": {"conv_first.weight": (180, 3, 3, 3), "conv_last.weight": (3, 64, 3, 3)},
    "DnCNN": {f"model.{2 * number}.weight": (64, 64, 3, 3) for number in range(17)},
    "numbers": {"body.0.weight": (), "body.4.weight": (), "conv_first.weight": (), "conv_last.weight": ()},
    "a line": {"body.0.weight": (3,), "body.1.weight": (3,), "body.2.weight": (3,), "body.4.weight": (3,)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_networks_are_none_of_them(what: str) -> None:
    state = shapes(**OTHERS[what])
    assert [family.found(state) for family in basicsr.FAMILIES] == [None, None, None]


def test_esrgan_plus_is_left_to_others() -> None:
    tensors: dict[str, Any] = rrdb_tensors()
    tensors["body.0.rdb1.conv1x1.weight"] = torch.zeros(4, 8, 1, 1)
    assert basicsr.rrdb(stored(tensors)) is None


def wide(tensors: Tensors, **sizes: tuple[int, ...]) -> dict[str, Stored]:
    return {**shapes(**{key: tuple(value.shape) for key, value in tensors.items()}), **shapes(**sizes)}


@pytest.mark.parametrize(
    ("state", "found", "message"),
    [
        (wide(rrdb_tensors(), conv_first__weight=(8, 4, 3, 3)), basicsr.rrdb, "takes 4 channels"),
        (wide(rrdb_tensors(), conv_first__weight=(10**9, 3, 3, 3)), basicsr.rrdb, "none with channels 1000000000"),
        (wide(rrdb_tensors(), conv_first__weight=(0, 3, 3, 3)), basicsr.rrdb, "none with channels 0"),
        (wide(rrdb_tensors(), conv_last__weight=(0, 8, 3, 3)), basicsr.rrdb, "makes 0 channels"),
        (wide(rrdb_tensors(inputs=48, doublings=1)), basicsr.rrdb, "1 doublings after cells of 4"),
        (wide(rrdb_tensors(doublings=5)), basicsr.rrdb, "5 doublings"),
        (wide(msrresnet_tensors((5,))), basicsr.msrresnet, "1 enlargements widen 25 times"),
        (wide(msrresnet_tensors((2,)), conv_last__weight=(1, 8, 3, 3)), basicsr.msrresnet, "in_channels and out_chan"),
        (wide(srvgg_tensors(2, prelu=False)), basicsr.srvgg, "does not tell ReLU from LeakyReLU"),
        (wide(srvgg_tensors(2), body__8__weight=(13, 8, 3, 3)), basicsr.srvgg, "13 samples of 3 channels"),
    ],
)
def test_near_misses_are_refused_before_any_tensor_is_read(
    state: dict[str, Stored], found: Callable[[Any], Found | None], message: str
) -> None:
    with pytest.raises(ModelFileError, match=message) as raised:
        found(state)
    assert "\n" not in str(raised.value)


def test_names_of_two_codes_at_once_are_refused() -> None:
    tensors = rrdb_tensors()
    tensors["trunk_conv.bias"] = torch.zeros(8)
    with pytest.raises(ModelFileError, match="twice"):
        basicsr.rrdb(stored(tensors))


@pytest.mark.parametrize("missing", ["conv_hr.bias", "body.1.rdb3.conv2.weight"])
def test_a_missing_tensor_is_named(missing: str) -> None:
    tensors = rrdb_tensors()
    del tensors[missing]
    found = basicsr.rrdb(stored(tensors))
    assert found is not None
    with pytest.raises(ModelFileError, match="lacks"):
        found.network()
