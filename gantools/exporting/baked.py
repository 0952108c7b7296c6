"""A generator as the plain layers that its exported file holds: norms, dropout, range and sample type fixed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.checkpoint.weights import DROPOUT_SEED
from gantools.errors import UsageError
from gantools.exporting.options import ExportOptions
from gantools.images import ranges
from gantools.inference.kernels.fuse import replace_children, without_parametrization

Dropout: TypeAlias = Literal["none", "off", "fixed"]
"""What became of a network's dropout: it had none, it was left out, or its noise is that of one size."""


class ImageStatistics(nn.Module):
    """Batch norm in training mode for one image, whatever is beside it in a batch: as ``infer`` computes it."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.channels, self.epsilon = norm.num_features, norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, features: Tensor) -> Tensor:
        return torch.group_norm(features, self.channels, self.weight, self.bias, self.epsilon)


class FixedDropout(nn.Module):
    """Dropout with the numbers that it draws in its first run, the same for each image of a batch."""

    kept: Tensor | None

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.register_buffer("kept", None)

    def forward(self, features: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = functional.dropout(torch.ones_like(features[:1]), self.probability, training=True)
        return features * self.kept


class Samples(nn.Module):
    """A network from samples to samples, or from floats to floats, that computes in float32 or float16.

    Shapes: floats (N, C, H, W) in [-1, 1] → (N, C', sH, sW); uint8 (N, H, W, C) → (N, sH, sW, C').
    """

    def __init__(self, network: nn.Module, *, uint8: bool, half: bool) -> None:
        super().__init__()
        self.network = network.half() if half else network
        self.uint8, self.half_precision = uint8, half

    def forward(self, image: Tensor) -> Tensor:
        values = ranges.batch_to_float(image) if self.uint8 else image
        output = cast(Tensor, self.network(values.half() if self.half_precision else values)).float()
        return ranges.batch_from_float(output) if self.uint8 else output


def baked(network: nn.Module, example: Tensor, options: ExportOptions) -> tuple[nn.Module, Dropout]:
    """A copy of a network in evaluation mode that computes what ``network`` does, and what became of its dropout.

    ``example`` is an input of the size that is exported; dropout that stays is fixed for it. Raises UsageError where
    dropout would stay and any size is to be exported.
    """
    if not network.training:
        return _plain(network), "none"
    drawing = [name for name, layer in network.named_modules() if _draws(layer)]
    if drawing and options.dropout == "keep" and options.size is None:
        raise UsageError(
            "this network keeps dropout after training: --size N fixes the noise that infer draws at that size, "
            "--dropout off leaves it out"
        )
    plain, kept = _plain(network), drawing if options.dropout == "keep" else []
    for name, layer in list(plain.named_modules()):
        if name in kept:
            plain.set_submodule(name, FixedDropout(cast(nn.Dropout, layer).p))
        elif isinstance(layer, nn.BatchNorm2d):
            plain.set_submodule(name, ImageStatistics(layer))
    with seeded():
        plain(example)  # draws what is kept
    return plain, "fixed" if kept else "off" if drawing else "none"


def without_dropout(network: nn.Module) -> nn.Module:
    """A copy that draws nothing, whose norms still do what they did."""
    quiet = copy.deepcopy(network)
    for layer in quiet.modules():
        if _draws(layer):
            layer.eval()
    return quiet


@contextmanager
def seeded() -> Iterator[None]:
    """Within the context dropout draws what it draws for every image of ``infer``."""
    with torch.random.fork_rng([]):
        torch.manual_seed(DROPOUT_SEED)
        yield


def _draws(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout) and layer.training and layer.p > 0


def _plain(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose weights are what spectral and weight norms make of them."""
    plain = copy.deepcopy(network).eval()
    replace_children(plain, without_parametrization)
    return plain.requires_grad_(False)
