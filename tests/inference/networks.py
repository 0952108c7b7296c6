"""Small networks as after a training, images for them, and a memory with a limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gantools.images.image import Pixels
from gantools.inference.model import Model, open_model
from gantools.models import GENERATORS
from gantools.models.options import ContextEncoderOptions, ResNetUNetOptions
from gantools.training.recipe import describe_generator

CPU = torch.device("cpu")
SEES_EVERYTHING: list[Any] = [
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ContextEncoderOptions(downs=2, base_channels=4, bottleneck_channels=8),
    ContextEncoderOptions(region="full", downs=2, base_channels=4, bottleneck_channels=8),
]
"""Networks of which every output pixel depends on the whole image."""


def label(options: Any) -> str:
    return f"{options.name}-{getattr(options, 'norm', '')}-{getattr(options, 'upsampling', '')}"


def build_network(options: Any) -> Any:
    """A network with lively statistics, slopes and last layers, in evaluation mode."""
    torch.manual_seed(0)
    network: Any = GENERATORS.build(options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.5, 0.5)
    if options.name.startswith("compact"):
        nn.init.normal_(network.last.weight, std=0.05)
    return network.requires_grad_(False).eval()


def build_model(options: Any, autocast: torch.dtype | None = None, *, mode: str = "eval") -> Model:
    network = build_network(options).train(mode == "train")
    return Model("demo", describe_generator("generator", network, options, 64, mode), options, network, autocast)


def opened(path: Path, **given: Any) -> Model:
    """The model of a weights file, on the CPU."""
    return open_model(path, **{"export": None, "device": CPU, **given})


def image(width: int, height: int, dtype: Any = np.uint8, seed: int = 0) -> Pixels:
    """Noise on a slope. Shapes: [height, width, 3]."""
    largest = np.iinfo(dtype).max
    noise = np.random.default_rng(seed).integers(0, largest + 1, (height, width, 3))
    slope = np.linspace(0, largest, width)[None, :, None]
    return ((noise + 3 * slope) / 4).astype(dtype)


@dataclass
class LimitedMemory:
    """A memory with a limit: ``preferred`` may promise more than there is, which shows when it is claimed."""

    limit_bytes: int
    unchecked_px: int = 0
    preferred: int | None = None
    refused: list[int] = field(default_factory=list)
    released: int = 0

    def preferred_bytes(self) -> int:
        return self.limit_bytes if self.preferred is None else self.preferred

    def free_bytes(self) -> int:
        return self.limit_bytes

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.limit_bytes:
            self.refused.append(wanted_bytes)
            raise MemoryError

    def release(self) -> None:
        self.released += 1
