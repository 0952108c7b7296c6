"""PyTorch-GAN's generators of pix2pix and CycleGAN: the same numbers as theirs, and what is not one of ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError
from gantools.importing import pytorch_gan
from tests.importing.states import difference, first_found, lively, outcome, state_of, unreadable


class Layers(nn.Module):
    """A module of theirs that holds its layers as ``model``."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.model(features)
        return made


class UNet(nn.Module):
    """Their U-Net of eight downs; what comes from below stands before what comes across."""

    def __init__(self, base: int = 2, bias: bool = False) -> None:
        super().__init__()
        wide = [3, *(base * min(8, 1 << level) for level in range(8))]
        for number in range(1, 9):
            norm = [nn.InstanceNorm2d(wide[number])] if number in range(2, 8) else []
            last = [nn.LeakyReLU(0.2), *[nn.Dropout(0.5)] * (number > 3)]
            down = nn.Conv2d(wide[number - 1], wide[number], 4, 2, 1, bias=bias)
            setattr(self, f"down{number}", Layers(down, *norm, *last))
        for number in range(1, 8):
            given, made = wide[9 - number] * (2 if number > 1 else 1), wide[8 - number]
            up = nn.ConvTranspose2d(given, made, 4, 2, 1, bias=bias)
            layers = [up, nn.InstanceNorm2d(made), nn.ReLU(), *[nn.Dropout(0.5)] * (number < 5)]
            setattr(self, f"up{number}", Layers(*layers))
        last_convolution = nn.Conv2d(2 * base, 3, 4, padding=1)
        self.final = nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 1, 0)), last_convolution, nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        scales = [image]
        for number in range(1, 9):
            scales.append(self.get_submodule(f"down{number}")(scales[-1]))
        made = scales.pop()
        for number in range(1, 8):
            made = torch.cat((self.get_submodule(f"up{number}")(made), scales.pop()), dim=1)
        return self.final(made)  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3) for _ in range(2)]
        first = [nn.ReflectionPad2d(1), convolutions[0], nn.InstanceNorm2d(channels), nn.ReLU()]
        self.block = nn.Sequential(*first, nn.ReflectionPad2d(1), convolutions[1], nn.InstanceNorm2d(channels))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.block(features)


def resnet(blocks: int = 2, channels: int = 3, base: int = 4) -> nn.Module:
    layers: list[nn.Module] = [nn.ReflectionPad2d(channels), nn.Conv2d(channels, base, 7)]
    layers += [nn.InstanceNorm2d(base), nn.ReLU()]
    for given in (base, 2 * base):
        layers += [nn.Conv2d(given, 2 * given, 3, 2, 1), nn.InstanceNorm2d(2 * given), nn.ReLU()]
    layers += [Block(4 * base) for _ in range(blocks)]
    for given in (4 * base, 2 * base):
        convolution = nn.Conv2d(given, given // 2, 3, 1, 1)
        layers += [nn.Upsample(scale_factor=2), convolution, nn.InstanceNorm2d(given // 2), nn.ReLU()]
    return Layers(*layers, nn.ReflectionPad2d(channels), nn.Conv2d(base, channels, 7), nn.Tanh())


@pytest.mark.parametrize(
    ("family", "theirs", "mode", "side_px"),
    [
        ("pix2pix (PyTorch-GAN)", UNet(), "train", 256),
        ("CycleGAN (PyTorch-GAN)", resnet(3), "eval", 32),
    ],
    ids=["unet", "resnet"],
)
def test_networks_come_across(family: str, theirs: nn.Module, mode: str, side_px: int) -> None:
    name, found = first_found(pytorch_gan.FAMILIES, state_of(lively(theirs)))
    assert found is not None
    assert (name, found.export.mode) == (family, mode)
    image = torch.rand(2, 3, side_px, 2 * side_px) * 2 - 1
    assert difference(theirs, found, image) <= 1e-5
    if mode == "train":  # with dropout at the same places
        ours = found.network().train()
        torch.manual_seed(1)
        expected = theirs.train()(image)
        torch.manual_seed(1)
        torch.testing.assert_close(ours(image), expected, atol=1e-5, rtol=0)


def shallow() -> dict[str, Any]:
    state = state_of(UNet())
    return {name: stored for name, stored in state.items() if not name.startswith(("down8", "up7"))}


def test_near_misses_are_named() -> None:
    with pytest.raises(ModelFileError, match=r"^looks like a U-Net of PyTorch-GAN, but has biases"):
        pytorch_gan.unet(state_of(UNet(bias=True)))
    with pytest.raises(ModelFileError, match=r"^looks like a U-Net of PyTorch-GAN, but halves 7 times"):
        pytorch_gan.unet(shallow())
    with pytest.raises(ModelFileError, match=r"with 1 channels, which pads by 1 px"):
        pytorch_gan.resnet(state_of(resnet(channels=1)))
    discriminator = Layers(nn.Conv2d(6, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4))
    assert first_found(pytorch_gan.FAMILIES, state_of(discriminator)) == (None, None)


@pytest.mark.parametrize("shape", [(), (0,), (1 << 40, 1, 1, 1), (65536, 65536, 4, 4)], ids=str)
def test_impossible_shapes_are_refused_unread(shape: tuple[int, ...]) -> None:
    for theirs in (UNet(1), resnet()):
        shapes = {name: stored.shape for name, stored in state_of(theirs).items()}
        for name in shapes:
            assert "\n" not in outcome(pytorch_gan.FAMILIES, unreadable({**shapes, name: shape}))
