"""ResNet encoders as torchvision builds them, so that its ImageNet weights fit: an image's features at five scales."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError, UsageError
from gantools.files import expanded
from gantools.images.imagenet import TO_NORMALISED
from gantools.models.strided import StridedConv2d
from gantools.pretrained.feature_weights import find_feature_weights, read_state

EncoderName: TypeAlias = Literal["resnet18", "resnet34"]

BLOCKS: Mapping[EncoderName, tuple[int, int, int, int]] = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
STANDARD_CHANNELS = 64
"""Channels of torchvision's stem; only this width has ImageNet weights."""


class ChannelAffine(nn.Module):
    """A fixed scale and shift per channel. They are saved with the weights, which makes a weights file complete."""

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: tuple[tuple[float, float], ...]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([scale for scale, _ in channels]).view(-1, 1, 1))
        self.register_buffer("shift", torch.tensor([shift for _, shift in channels]).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return image * self.scale + self.shift


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = StridedConv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                StridedConv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(features)).relu()))
        return cast(Tensor, (inner + self.downsample(features)).relu())


class ResNetEncoder(nn.Module):
    """What a ResNet sees of an image: ``early`` (stem, layers 1 and 2) and ``late`` (layers 3 and 4) may learn apart.

    Shapes: (N, 3, H, W), sides multiples of 32 → the ImageNet-normalised image, then maps of 1/2, 1/4, 1/8, 1/16 and
    1/32 of its sides with 1, 1, 2, 4 and 8 times ``base_channels``.
    Range: [-1, 1] in.
    Paper: He 2016, arXiv 1512.03385. Equal to torchvision's, without its mean over positions and its classes.
    """

    def __init__(self, name: EncoderName, base_channels: int) -> None:
        super().__init__()
        self.channels = [base_channels * factor for factor in (1, 1, 2, 4, 8)]
        layers = [
            _layer(inputs, outputs, blocks, stride=2 if number else 1)
            for number, ((inputs, outputs), blocks) in enumerate(
                zip(pairwise(self.channels), BLOCKS[name], strict=True)
            )
        ]
        self.early = nn.ModuleDict(
            {
                "normalise": ChannelAffine(TO_NORMALISED),
                "conv1": StridedConv2d(3, base_channels, 7, 2, 3, bias=False),
                "bn1": nn.BatchNorm2d(base_channels),
                "layer1": layers[0],
                "layer2": layers[1],
            }
        )
        self.late = nn.ModuleDict({"layer3": layers[2], "layer4": layers[3]})
        for module in self.modules():  # first weights for training from scratch, as torchvision draws them
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        normalised = self.early["normalise"](image)
        stem = self.early["bn1"](self.early["conv1"](normalised)).relu()
        maps = [normalised, stem]
        features = nn.functional.max_pool2d(stem, 3, 2, 1)
        for layer in (self.early["layer1"], self.early["layer2"], self.late["layer3"], self.late["layer4"]):
            features = layer(features)
            maps.append(features)
        return maps

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Take torchvision's weights. Raises KeyError for a missing tensor, RuntimeError for one of another shape."""
        for part in (self.early, self.late):
            own = part.state_dict()
            part.load_state_dict({key: own[key] if key.startswith("normalise") else state[key] for key in own})


def _layer(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride), *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
    )


def load_encoder_weights(encoder: ResNetEncoder, name: EncoderName, weights: str | None) -> None:
    """Give ``encoder`` its first weights: of a FILE in torchvision's layout, of the fetched file (None), or ``random``.

    Raises UsageError where there is no file, ModelFileError for an unfit one. Encoders on the meta device stay empty.
    """
    if weights == "random":
        return
    if encoder.channels[0] != STANDARD_CHANNELS:
        raise UsageError(
            f"encoder weights: ImageNet's are for base_channels {STANDARD_CHANNELS}, not {encoder.channels[0]};"
            " set `encoder_weights: random`"
        )
    path = find_feature_weights(name, "encoder_weights") if weights is None else expanded(weights)
    state = read_state(path, "encoder weights")
    if next(encoder.parameters()).is_meta:
        return
    try:
        with torch.no_grad():
            encoder.load_imagenet(state)
    except KeyError as error:
        raise ModelFileError(f"'{path}': no tensor {error.args[0]}; need torchvision's {name}") from error
    except RuntimeError as error:
        raise ModelFileError(f"'{path}': shapes are not those of torchvision's {name}") from error
