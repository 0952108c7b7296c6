"""What an importer found in a file: a network of ours, and where each of its tensors comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from gantools.checkpoint import tensors as tensor_file
from gantools.checkpoint.weights import Export
from gantools.errors import ModelFileError
from gantools.importing.records import Stored

State: TypeAlias = Mapping[str, Stored]
"""The tensors of one network by their names in the file, without wrappers and without the prefix ``module.``."""

Names: TypeAlias = Iterable[tuple[str, Callable[..., str]]]
"""Patterns of a tensor's names, and what makes the other name of their groups."""

_SHOWN, _LONGEST_SHOWN = 3, 100


def renamed(names: Names, key: str) -> str:
    """The name of ``key`` by the first pattern that it matches as a whole; itself where it matches none."""
    matches = ((re.fullmatch(pattern, key), new) for pattern, new in names)
    return next((new(*match.groups()) for match, new in matches if match), key)


@dataclass(frozen=True)
class Found:
    """A network, how it is described, and its tensors by our names.

    ``complete`` adds what the file lacks once the rest is there. Buffers called ``drawn`` that the file lacks are drawn
    from N(0, 1), the same each time.
    """

    export: Export
    build: Callable[[], nn.Module]
    tensors: Mapping[str, Stored]
    complete: Callable[[nn.Module], None] | None = None
    drawn: str | None = None

    def network(self) -> nn.Module:
        """The network with its tensors, floats in float32. Raises ModelFileError unless the two agree, one by one."""
        with torch.device("meta"):
            network = self.build()
        types = {key: value.dtype for key, value in network.state_dict().items()}
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        planes = self._drawn({key: shape for key, shape in shapes.items() if key not in self.tensors})
        self._require({key: shape for key, shape in shapes.items() if key not in planes})
        state = {key: _read(key, stored, types[key]) for key, stored in self.tensors.items()}
        network.load_state_dict({**state, **planes}, assign=True)
        if self.complete is not None:
            self.complete(network)
        return network.eval().requires_grad_(False)

    def _drawn(self, missing: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        random = np.random.RandomState(0)
        wanted = {key: shape for key, shape in missing.items() if key.rpartition(".")[2] == self.drawn}
        return {key: torch.from_numpy(random.randn(*shape)).float() for key, shape in wanted.items()}

    def _require(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if missing := [key for key in shapes if key not in self.tensors]:
            raise ModelFileError(f"lacks {_some(missing)} of the network that it seems to hold")
        if unknown := [key for key in self.tensors if key not in shapes]:
            raise ModelFileError(f"has {_some(unknown)}, which the network that it seems to hold does not have")
        for key, shape in shapes.items():
            if self.tensors[key].shape != shape:
                raise ModelFileError(f"has {key} of the shape {self.tensors[key].shape}, where {shape} is expected")


def _read(key: str, stored: Stored, dtype: torch.dtype) -> Tensor:
    value = stored.read().to(dtype).contiguous()  # BatchNorm's number of batches is a whole number
    if not tensor_file.is_finite(value):
        raise ModelFileError(f"has NaN or infinite values in {key}; such weights are not written")
    return value


def _some(keys: list[str]) -> str:
    """The first names, each on one line whatever it holds."""
    shown = [repr(key[:_LONGEST_SHOWN])[1:-1] for key in keys[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")


@dataclass(frozen=True)
class Family:
    """Networks of another code that are networks of ours.

    ``found`` gets a network's tensors: None unless they are of this family. It raises ModelFileError for what is of
    this family beyond doubt and cannot be one of ours. ``licence`` is of the code and of the weights that its authors
    published. ``recipe`` is the recipe of ours that trains such networks.
    """

    name: str
    origin: str
    licence: str
    recipe: str
    found: Callable[[State], Found | None]
