"""Feature pyramids of DeblurGAN-v2: the same numbers as theirs, and what is not one of ours."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.errors import ModelFileError
from gantools.importing import deblurgan_v2
from tests.importing.states import difference, first_found, lively, outcome, state_of, unreadable

TRACKED = partial(nn.InstanceNorm2d, track_running_stats=True)
MOBILE, INCEPTION = "mobilenet_v2", "inception_resnet_v2"


class Inverted(nn.Module):
    """Their block of MobileNetV2."""

    def __init__(self, given: int, made: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide, self.adds = given * expansion, stride == 1 and given == made
        widen = [nn.Conv2d(given, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()] * (expansion > 1)
        by_channel = [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        self.conv = nn.Sequential(*widen, *by_channel, nn.Conv2d(wide, made, 1, bias=False), nn.BatchNorm2d(made))

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.conv(features)
        return features + made if self.adds else made


class Basic(nn.Module):
    """A convolution of Inception with its norm; BatchNorm has TensorFlow's epsilon."""

    def __init__(self, given: int, made: int, kernel: Any, stride: int = 1, padding: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(made, eps=0.001)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.bn(self.conv(features))
        return made.relu()


class Mixed(nn.Module):
    """Branches beside each other; with a ``scale`` they are added to their input."""

    def __init__(self, *branches: nn.Module, widths: tuple[int, int] = (1, 1), scale: float = 0) -> None:
        super().__init__()
        self.count, self.scale = len(branches), scale
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)
        if scale:
            self.conv2d = nn.Conv2d(*widths, 1)

    def forward(self, features: Tensor) -> Tensor:
        made = torch.cat([self.get_submodule(f"branch{number}")(features) for number in range(self.count)], dim=1)
        return (features + self.scale * self.conv2d(made)).relu() if self.scale else made


def line(*layers: Any) -> nn.Sequential:
    return nn.Sequential(*(Basic(*layer) if isinstance(layer, tuple) else layer for layer in layers))


def mobile_levels() -> tuple[list[nn.Module], list[int]]:
    layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6())]
    given, stages = 32, ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
    for expansion, made, count, stride in stages:
        for number in range(count):
            layers.append(Inverted(given, made, expansion, 1 if number else stride))
            given = made
    ends = (0, 2, 4, 7, 11, 16)
    levels = [nn.Sequential(*layers[start:stop]) for start, stop in pairwise(ends)]
    return levels, [16, 24, 32, 64, 160]


def inception_levels() -> tuple[list[nn.Module], list[int]]:
    pool, same = nn.AvgPool2d(3, 1, 1, count_include_pad=False), partial(Basic, kernel=3, padding=1)
    five = Mixed(
        Basic(192, 96, 1),
        line((192, 48, 1), (48, 64, 5, 1, 2)),
        line((192, 64, 1), same(64, 96), same(96, 96)),
        line(pool, (192, 64, 1)),
    )

    def block_35() -> nn.Module:
        second, third = line((320, 32, 1), same(32, 32)), line((320, 32, 1), same(32, 48), same(48, 64))
        return Mixed(Basic(320, 32, 1), second, third, widths=(128, 320), scale=0.17)

    def block_17() -> nn.Module:
        crossed = line((1088, 128, 1), (128, 160, (1, 7), 1, (0, 3)), (160, 192, (7, 1), 1, (3, 0)))
        return Mixed(Basic(1088, 192, 1), crossed, widths=(384, 1088), scale=0.1)

    six = Mixed(Basic(320, 384, 3, 2), line((320, 256, 1), same(256, 256), (256, 384, 3, 2)), nn.MaxPool2d(3, 2))
    seven = Mixed(
        line((1088, 256, 1), (256, 384, 3, 2)),
        line((1088, 256, 1), (256, 288, 3, 2)),
        line((1088, 256, 1), same(256, 288), (288, 320, 3, 2)),
        nn.MaxPool2d(3, 2),
    )
    return [
        Basic(3, 32, 3, 2),
        line((32, 32, 3), same(32, 64), nn.MaxPool2d(3, 2)),
        line((64, 80, 1), (80, 192, 3), nn.MaxPool2d(3, 2)),
        nn.Sequential(five, nn.Sequential(*(block_35() for _ in range(10))), six),
        nn.Sequential(nn.Sequential(*(block_17() for _ in range(20))), seven),
    ], [32, 64, 192, 1088, 2080]


class Head(nn.Module):
    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.block0 = nn.Conv2d(given, made, 3, padding=1, bias=False)
        self.block1 = nn.Conv2d(made, made, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.block1(self.block0(features).relu()).relu()  # type: ignore[no-any-return]


class Pyramid(nn.Module):
    """Their FPN under their names, in which every encoder layer is twice."""

    def __init__(self, encoder: str, norm: Any = TRACKED, pyramid: int = 8) -> None:
        super().__init__()
        levels, widths = mobile_levels() if encoder == MOBILE else inception_levels()
        self.pads = [(0, 0)] * 5 if encoder == MOBILE else [(0, 1), (1, 1), (1, 2), (1, 1), (1, 1)]
        head = pyramid // 2
        self.fpn = nn.Module()
        if encoder == MOBILE:  # with two layers more, which do not run
            self.fpn.features = nn.Sequential(*(layer for level in levels for layer in level), Inverted(160, 320, 6, 1))
        else:
            self.fpn.inception = nn.Module()
            self.fpn.inception.conv2d_1a, self.fpn.inception.last_linear = levels[0], nn.Linear(4, 4)
        for number, (level, width) in enumerate(zip(levels, widths, strict=True)):
            setattr(self.fpn, f"enc{number}", level)
            setattr(self.fpn, f"lateral{number}", nn.Conv2d(width, pyramid if number else head, 1, bias=False))
        for number in (1, 2, 3):
            setattr(self.fpn, f"td{number}", self.smoothing(pyramid, pyramid, norm))
        for number in (1, 2, 3, 4):
            setattr(self, f"head{number}", Head(pyramid, head))
        self.smooth, self.smooth2 = self.smoothing(4 * head, head, norm), self.smoothing(head, head // 2, norm)
        self.final = nn.Conv2d(head // 2, 3, 3, padding=1)

    @staticmethod
    def smoothing(given: int, made: int, norm: Any) -> nn.Module:
        return nn.Sequential(nn.Conv2d(given, made, 3, padding=1), norm(made), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        features, sides = image, []
        for number, (before, after) in enumerate(self.pads):
            features = self.fpn.get_submodule(f"enc{number}")(features)
            side = self.fpn.get_submodule(f"lateral{number}")(features)
            sides.append(functional.pad(side, (before, after, before, after), "reflect"))
        maps = [sides[4]]
        for number in (1, 2, 3):
            merged = sides[4 - number] + functional.interpolate(maps[0], scale_factor=2)
            maps.insert(0, self.fpn.get_submodule(f"td{number}")(merged))
        heads = [self.get_submodule(f"head{number}")(maps[number - 1]) for number in (4, 3, 2, 1)]
        quarter = torch.cat([functional.interpolate(made, size=maps[0].shape[2:]) for made in heads], dim=1)
        half = functional.interpolate(self.smooth(quarter), scale_factor=2)
        full = functional.interpolate(self.smooth2(half + sides[0]), scale_factor=2)
        return (torch.tanh(self.final(full)) + image).clamp(-1, 1)


@pytest.mark.parametrize(
    ("encoder", "norm", "size", "lacks"),
    [
        (MOBILE, TRACKED, (128, 160), "nothing"),
        (MOBILE, TRACKED, (128, 128), "num_batches_tracked"),  # PyTorch before 0.4
        (MOBILE, nn.BatchNorm2d, (160, 128), "num_batches_tracked"),
        (MOBILE, nn.InstanceNorm2d, (128, 128), "nothing"),
        (INCEPTION, TRACKED, (128, 160), "nothing"),
    ],
)
def test_networks_come_across(encoder: str, norm: Any, size: tuple[int, int], lacks: str) -> None:
    """Their script tests in training mode. Layers that are there twice are taken once, what does not run not at all."""
    theirs = lively(Pyramid(encoder, norm))
    state = state_of(theirs, without=lacks)
    name, found = first_found(deblurgan_v2.FAMILIES, state)
    assert found is not None
    assert (name, found.export.mode) == ("DeblurGAN-v2", "train")
    assert found.export.options["encoder"] == encoder
    assert difference(theirs, found, torch.rand(2, 3, *size) * 2 - 1) <= 1e-5


def changed(**shapes: tuple[int, ...]) -> dict[str, Any]:
    """The shapes of a pyramid on MobileNetV2, some changed and those that are empty left out."""
    given = {name: stored.shape for name, stored in state_of(Pyramid(MOBILE)).items()}
    new = {**given, **{f"fpn.{name.replace('_', '.')}": shape for name, shape in shapes.items()}}
    return unreadable({name: shape for name, shape in new.items() if shape})


def test_near_misses_are_named() -> None:
    with pytest.raises(ModelFileError, match="ends with 1024 channels; gantools has MobileNetV2"):
        deblurgan_v2.found(changed(lateral4_weight=(8, 1024, 1, 1)))
    with pytest.raises(ModelFileError, match=r"^looks like a feature pyramid .* no convolutions between its scales"):
        deblurgan_v2.found(changed(td1_0_weight=()))
    assert deblurgan_v2.found(changed(lateral4_weight=())) is None
    found = deblurgan_v2.found(changed(td1_0_weight=(9, 8, 3, 3)))
    assert found is not None
    with pytest.raises(ModelFileError, match=r"^has smooth_pyramid\.0\.0\.weight of the shape"):
        found.network()


@pytest.mark.parametrize("shape", [(), (0,), (1 << 40, 1, 1, 1), (65536, 65536, 3, 3)], ids=str)
def test_impossible_shapes_are_refused_unread(shape: tuple[int, ...]) -> None:
    shapes = {name: stored.shape for name, stored in state_of(Pyramid(MOBILE)).items()}
    for name in [name for name in shapes if name.startswith(("fpn.enc", "head"))][::40]:
        if shapes[name] != shape:
            assert "\n" not in outcome(deblurgan_v2.FAMILIES, unreadable({**shapes, name: shape}))
