"""Weights whose effect is known: networks that change nothing, or enlarge in a known way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.models import GENERATORS
from gantools.models.options import CompactSROptions, GeneratorOptions
from gantools.training.recipe import describe_generator

SaveWeights = Callable[..., Path]


def _save(path: Path, options: GeneratorOptions, network: nn.Module, **given: Any) -> Path:
    export = describe_generator("generator", network, options, 64, given.pop("mode", "eval"))
    weights.save(path, "demo", {"generator": export}, {"generator": network}, {}, **given)
    return path


@pytest.fixture
def save_weights(tmp_path: Path) -> SaveWeights:
    """Write fresh weights of the given generator options and return their path."""

    def save(options: GeneratorOptions, name: str = "weights.safetensors", seed: int = 0, **given: Any) -> Path:
        torch.manual_seed(seed)
        return _save(tmp_path / name, options, GENERATORS.build(options), **given)

    return save


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that returns its input exactly."""
    options = CompactSROptions(scale=1, channels=4, blocks=1)
    return _save(tmp_path_factory.mktemp("identity") / "identity.safetensors", options, GENERATORS.build(options))


@pytest.fixture(scope="session")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that enlarges bilinearly by two."""
    options = CompactSROptions(scale=2, channels=4, blocks=1)
    return _save(tmp_path_factory.mktemp("doubling") / "doubling.safetensors", options, GENERATORS.build(options))


@pytest.fixture
def two_exports(tmp_path: Path) -> Path:
    """Weights that hold two networks, ``a2b`` and ``b2a``."""
    options = CompactSROptions(scale=1, channels=4, blocks=1)
    networks = {name: GENERATORS.build(options) for name in ("a2b", "b2a")}
    exports: dict[str, Export] = {
        name: describe_generator(name, network, options, 64) for name, network in networks.items()
    }
    weights.save(tmp_path / "two.safetensors", "demo", exports, networks, {})
    return tmp_path / "two.safetensors"
