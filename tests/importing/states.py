"""Other codes' networks as the importers see them: names and shapes, and tensors that are read last."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, State
from gantools.importing.records import Stored


def lively(network: nn.Module, seed: int = 0) -> Any:
    """The network with no two tensors alike, statistics and norms too; what a buffer ``filt`` holds stays."""
    source = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if not value.is_floating_point() or name.endswith("filt"):
            continue
        noise = torch.randn(value.shape, generator=source)
        if name.endswith("running_var"):
            value.copy_(noise.abs() + 0.5)
        elif value.ndim == 1:
            value.copy_(0.1 * noise + name.endswith("weight"))
        else:
            value.copy_(noise * value[0].numel() ** -0.5)
    return network.requires_grad_(False)


def state_of(network: nn.Module, without: str = "nothing") -> dict[str, Stored]:
    """What a file has of a network, but tensors with ``without`` in their names."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    tensors: dict[str, Tensor] = torch.load(file, weights_only=True)
    return {name: _stored(value) for name, value in tensors.items() if without not in name}


def _stored(value: Tensor) -> Stored:
    return Stored(tuple(value.shape), lambda: value)


def unreadable(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Stored]:
    """A state of which no tensor may be read."""

    def read() -> Tensor:
        raise AssertionError("was read before it was known to fit")

    return {name: Stored(shape, read) for name, shape in shapes.items()}


def first_found(families: Iterable[Family], state: State) -> tuple[str | None, Found | None]:
    """The first family that knows the tensors, and what it says."""
    matches = ((family.name, family.found(state)) for family in families)
    return next(((name, found) for name, found in matches if found), (None, None))


def outcome(families: Iterable[Family], state: State) -> str:
    """Nothing where no family knows the tensors, what was found, or why it is refused."""
    try:
        found = first_found(families, state)[1]
        return "" if found is None else type(found.network()).__name__
    except ModelFileError as error:
        return str(error)


def without_dropout(network: nn.Module) -> nn.Module:
    """A copy in which dropout does nothing."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return copied


def difference(theirs: nn.Module, found: Found, image: Tensor) -> float:
    """How far apart their network in training mode is from ours in the mode that it is exported with."""
    ours = found.network().train(found.export.mode == "train")
    made = without_dropout(ours)(image)
    expected = without_dropout(theirs).train()(image)
    assert made.shape == expected.shape
    return float((made - expected).abs().max())
