"""Layers of other codes' networks by the names of their tensors, computed without modules."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from gantools.importing.records import Stored

Tensors = dict[str, Tensor]


def stored(tensors: Mapping[str, Tensor]) -> dict[str, Stored]:
    return {key: Stored(tuple(value.shape), lambda value=value: value) for key, value in tensors.items()}


def shapes(**sizes: tuple[int, ...]) -> dict[str, Stored]:
    def unread() -> Tensor:
        raise AssertionError("a tensor was read")

    return {key.replace("__", "."): Stored(shape, unread) for key, shape in sizes.items()}


def convolution(made: Tensors, name: str, inputs: int, outputs: int, kernel: int = 3) -> None:
    made[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5
    made[f"{name}.bias"] = torch.randn(outputs) / 10


def convolved(tensors: Tensors, name: str, image: Tensor) -> Tensor:
    weight = tensors[f"{name}.weight"]
    return functional.conv2d(image, weight, tensors.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def leaky(image: Tensor, slope: float = 0.2) -> Tensor:
    return functional.leaky_relu(image, slope)


def batch_norm(made: Tensors, name: str, channels: int) -> None:
    for part in ("weight", "running_var"):
        made[f"{name}.{part}"] = torch.rand(channels) + 0.5
    for part in ("bias", "running_mean"):
        made[f"{name}.{part}"] = torch.randn(channels) / 10


def normed(tensors: Tensors, name: str, image: Tensor) -> Tensor:
    mean, deviation, weight, bias = (
        tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(image, mean, deviation, weight, bias)
