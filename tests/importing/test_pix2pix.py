"""Generators of pix2pix, CycleGAN, CUT and DeblurGAN files: the same numbers as theirs, and what is not one of ours."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.errors import ModelFileError
from gantools.importing import pix2pix
from gantools.models.discriminators.patchgan import PatchGan
from tests.importing.states import difference, first_found, lively, outcome, state_of, unreadable

Norm = Any
BATCH: Norm = nn.BatchNorm2d
INSTANCE: Norm = nn.InstanceNorm2d
TRACKED: Norm = partial(nn.InstanceNorm2d, track_running_stats=True)


def no_norm(channels: int) -> nn.Module:
    return nn.Identity()


class Level(nn.Module):
    """One level of their U-Net around the next. It activates its input in place, and puts what it got first."""

    def __init__(self, outer: int, inner: int, norm: Norm, inside: nn.Module | None, **ends: Any) -> None:
        super().__init__()
        bias = norm in (INSTANCE, TRACKED)
        self.outputs = ends.get("outputs")
        down = nn.Conv2d(ends.get("inputs", outer), inner, 4, 2, 1, bias=bias)
        wide, last_bias = (2 if inside else 1) * inner, bias or bool(self.outputs)
        up = nn.ConvTranspose2d(wide, self.outputs or outer, 4, 2, 1, bias=last_bias)
        if self.outputs:
            layers = [down, inside, nn.ReLU(), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(), up, norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, norm(inner), inside, nn.ReLU(), up, norm(outer)]
            layers += [nn.Dropout(0.5)] * bool(ends.get("dropout"))
        self.model = nn.Sequential(*layers)

    def forward(self, given: Tensor) -> Tensor:
        made: Tensor = self.model(given)
        return made if self.outputs else torch.cat((given, made), dim=1)


class Named(nn.Module):
    """A network under the name that they give it."""

    def __init__(self, model: nn.Module, residual: bool = False) -> None:
        super().__init__()
        self.model, self.residual = model, residual

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.model(image)
        return (image + made).clamp(-1, 1) if self.residual else made


def unet(downs: int, norm: Norm, base: int = 2, channels: tuple[int, int] = (3, 3)) -> nn.Module:
    inside: nn.Module = Level(8 * base, 8 * base, norm, None)
    for _ in range(downs - 5):
        inside = Level(8 * base, 8 * base, norm, inside, dropout=norm is BATCH)
    for factor in (4, 2, 1):
        inside = Level(factor * base, 2 * factor * base, norm, inside)
    return Named(Level(base, base, norm, inside, inputs=channels[0], outputs=channels[1]))


class Block(nn.Module):
    """x + two convolutions of x; with dropout the second one has a higher number."""

    def __init__(self, channels: int, norm: Norm, dropout: bool, bias: bool) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels), nn.ReLU()]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels)]
        self.conv_block = nn.Sequential(*first, *[nn.Dropout(0.5)] * dropout, *second)

    def forward(self, given: Tensor) -> Tensor:
        return given + self.conv_block(given)


class Blur(nn.Module):
    """Their depthwise blurs: 3×3 before every other sample is left out, 4×4 with zeros between samples."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self.up = up
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4 if up else torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(taps, taps).expand(channels, 1, -1, -1).clone())

    def forward(self, given: Tensor) -> Tensor:
        filt, groups = self.get_buffer("filt"), given.shape[1]
        if not self.up:
            return functional.conv2d(functional.pad(given, (1, 1, 1, 1), "reflect"), filt, stride=2, groups=groups)
        padded = functional.pad(given, (1, 1, 1, 1), "replicate")
        return functional.conv_transpose2d(padded, filt, stride=2, padding=2, groups=groups)[:, :, 1:-1, 1:-1]


def resnet(norm: Norm, *, blocks: int = 2, dropout: bool = False, blurs: str = "", up: str = "transposed",
           residual: bool = False, base: int = 4, downs: int = 2) -> nn.Module:  # fmt: skip
    bias = norm in (INSTANCE, TRACKED)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, base, 7, bias=bias), norm(base), nn.ReLU()]
    for level in range(downs):
        given, made = base << level, base << level + 1
        layers += [nn.Conv2d(given, made, 3, 1 if "down" in blurs else 2, 1, bias=bias), norm(made), nn.ReLU()]
        layers += [Blur(made, up=False)] * ("down" in blurs)
    layers += [Block(base << downs, norm, dropout, bias) for _ in range(blocks)]
    for level in reversed(range(downs)):
        given, made = base << level + 1, base << level
        convolution = nn.Conv2d(given, made, 3, padding=0 if up == "padded" else 1, bias=bias)
        if up == "transposed" and "up" not in blurs:
            layers += [nn.ConvTranspose2d(given, made, 3, 2, 1, 1, bias=bias), norm(made), nn.ReLU()]
        else:
            layers += [Blur(given, up=True) if "up" in blurs else nn.Upsample(scale_factor=2)]
            layers += [nn.ReflectionPad2d(1)] * (up == "padded") + [convolution, norm(made), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(base, 3, 7), nn.Tanh()]
    return Named(nn.Sequential(*layers), residual)


VARIANTS: list[tuple[str, nn.Module, str, dict[str, Any]]] = [
    ("pix2pix", unet(5, BATCH), "train", {"downs": 5, "dropout": 0.5, "dropout_ups": 0, "dropout_ups_from": 2}),
    ("pix2pix", unet(6, BATCH, 3, (1, 2)), "train", {"in_channels": 1, "out_channels": 2, "dropout_ups": 1}),
    ("pix2pix", unet(5, no_norm), "train", {"norm": "none", "bias": False}),
    ("CycleGAN", unet(5, INSTANCE), "eval", {"norm": "instance", "dropout": 0.0}),
    ("CycleGAN", unet(6, TRACKED), "eval", {"base_channels": 2, "max_channels": 16}),
    ("CycleGAN", resnet(INSTANCE, blocks=3), "eval", {"blocks": 3, "downs": 2, "dropout": 0.0, "bias": None}),
    ("CycleGAN", resnet(INSTANCE, dropout=True, downs=3), "train", {"dropout": 0.5, "downs": 3}),
    ("CycleGAN", resnet(TRACKED), "eval", {"global_residual": False}),
    ("CycleGAN", resnet(INSTANCE, up="resize"), "eval", {"upsampling": "resize"}),
    ("pix2pix", resnet(BATCH), "train", {"norm": "batch"}),
    ("pix2pix", resnet(no_norm, dropout=True), "train", {"norm": "none", "bias": False}),
    ("CUT", resnet(INSTANCE, blurs="down up"), "eval", {"downsampling": "blurred", "upsampling": "bilinear"}),
    ("CUT", resnet(INSTANCE, blurs="down"), "eval", {"downsampling": "blurred", "upsampling": "transposed"}),
    ("CUT", resnet(BATCH, blurs="up", dropout=True), "train", {"downsampling": "strided", "upsampling": "bilinear"}),
    ("DeblurGAN", resnet(TRACKED, dropout=True, residual=True), "train", {"global_residual": True}),
]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("family", "theirs", "mode", "options"), VARIANTS, ids=named)
@pytest.mark.parametrize("old", [False, True], ids=["", "before-0.4"])
def test_networks_come_across(family: str, theirs: nn.Module, mode: str, options: dict[str, Any], old: bool) -> None:
    """Their test scripts leave networks in training mode; dropout is left out here."""
    lively(theirs)
    state = state_of(theirs, without="num_batches_tracked" if old else "nothing")
    name, found = first_found(pix2pix.FAMILIES, state)
    assert name == family
    assert found is not None
    assert found.export.mode == mode
    assert options.items() <= found.export.options.items()
    image = torch.rand(2, found.export.options["in_channels"], 64, 128) * 2 - 1
    assert difference(theirs, found, image) <= 1e-5


def test_dropout_is_drawn_at_the_same_places() -> None:
    for theirs in (unet(7, BATCH), resnet(TRACKED, dropout=True, residual=True)):
        found = first_found(pix2pix.FAMILIES, state_of(lively(theirs)))[1]
        assert found is not None
        ours, image = found.network().train(), torch.rand(2, 3, 128, 128) * 2 - 1
        torch.manual_seed(1)
        expected = theirs.train()(image)
        torch.manual_seed(1)
        torch.testing.assert_close(ours(image), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "theirs",
    [
        PatchGan(in_channels=6, base_channels=4),
        Named(nn.Sequential(nn.Conv2d(6, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4))),
        Named(nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 8, 7), nn.ReLU(), nn.Conv2d(8, 3, 7))),
        nn.Conv2d(3, 3, 7),
    ],
    ids=["ours", "discriminator", "no-blocks", "layer"],
)
def test_other_networks_are_none_of_these(theirs: nn.Module) -> None:
    assert first_found(pix2pix.FAMILIES, state_of(theirs)) == (None, None)


def changed_block(*layers: nn.Module) -> nn.Module:
    theirs: Any = resnet(INSTANCE)
    for block in (10, 11):
        theirs.model[block].conv_block = nn.Sequential(*layers)
    return theirs


REFUSED = [
    (resnet(INSTANCE, up="padded"), "its file does not tell how it enlarges; gantools imports ups of 3 or 4 layers"),
    (resnet(partial(nn.InstanceNorm2d, affine=True)), "its norm has weights and no statistics"),
    (changed_block(nn.ReflectionPad2d(1), nn.Conv2d(16, 16, 3)), "its blocks have one convolution"),
    (changed_block(nn.Conv2d(16, 16, 3), *[nn.ReLU()] * 2, nn.Conv2d(16, 16, 3)), "its blocks pad with zeros"),
    (resnet(INSTANCE, downs=5, base=1), "gantools has none with downs 5"),
    (unet(11, BATCH, 1), "gantools has none with downs 11"),
]


@pytest.mark.parametrize(("theirs", "said"), REFUSED, ids=named)
def test_near_misses_are_named(theirs: nn.Module, said: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^looks like a (ResNet|U-Net) of pytorch-\S+ with .*, but .*{said}"):
        first_found(pix2pix.FAMILIES, state_of(theirs))


def test_names_of_two_codes_are_refused() -> None:
    state = state_of(resnet(INSTANCE))
    with pytest.raises(ModelFileError, match="under names of two codes"):
        first_found(pix2pix.FAMILIES, {**state, "stem.1.weight": state["model.1.weight"]})


def test_names_are_shown_on_one_line() -> None:
    state = state_of(resnet(INSTANCE))
    state[f"model.4.scale\n{'x' * 1000}"] = state["model.1.bias"]
    said = outcome(pix2pix.FAMILIES, state)
    assert said.startswith("has downs.0.scale\\nxxx")
    assert len(said) < 200


def test_another_blur_is_refused() -> None:
    theirs = lively(resnet(INSTANCE, blurs="down"))
    theirs.model[7].filt.fill_(1 / 9)
    found = pix2pix.cut(state_of(theirs))
    assert found is not None
    with pytest.raises(ModelFileError, match=r"^has a blur model\.7\.filt that is not binomial"):
        found.network()


@pytest.mark.parametrize("theirs", [unet(5, BATCH, 1), resnet(INSTANCE, blurs="down up")], ids=["unet", "resnet"])
@pytest.mark.parametrize("shape", [(), (0,), (1 << 40, 1, 1, 1), (65536, 65536, 7, 7), (1, 1, 1, 1)], ids=str)
def test_impossible_shapes_are_refused_unread(theirs: nn.Module, shape: tuple[int, ...]) -> None:
    shapes = {name: stored.shape for name, stored in state_of(theirs).items()}
    for name in (name for name in shapes if shapes[name] != shape):
        assert "\n" not in outcome(pix2pix.FAMILIES, unreadable({**shapes, name: shape}))


def test_numberless_and_endless_networks_are_refused_unread() -> None:
    block = {".conv_block.1.weight": (4, 4, 3, 3), ".conv_block.5.weight": (4, 4, 3, 3)}
    ends = {"model.1.weight": (1, 3, 7, 7), "model.9999.weight": (3, 1, 7, 7)}
    many = {f"model.{number}{name}": shape for number in range(10, 9990) for name, shape in block.items()}
    few = {f"model.{number}{name}": shape for number in range(10, 2000) for name, shape in block.items()}
    deep = {f"model.model.1.model.{'3.model.' * level}1.weight": (8, 8, 4, 4) for level in range(300)}
    assert outcome(pix2pix.FAMILIES, unreadable({**ends, **many})) == ""
    assert "not all of its layers" in outcome(pix2pix.FAMILIES, unreadable({**ends, **few}))
    ends = {"model.model.0.weight": (1, 3, 4, 4), "model.model.3.weight": (2, 3, 4, 4)}
    assert "none with downs 17" in outcome(pix2pix.FAMILIES, unreadable({**ends, **deep}))
    assert outcome(pix2pix.FAMILIES, {}) == ""
