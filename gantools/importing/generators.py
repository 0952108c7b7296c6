"""What the importers of generators share: shapes that a network can have, and a network of ours from its options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gantools.checkpoint.weights import Export
from gantools.config.options import Options
from gantools.errors import ModelFileError
from gantools.importing.found import Found, Names, State, renamed
from gantools.importing.records import Stored
from gantools.models import GENERATORS
from gantools.models.contract import Generator
from gantools.models.options import GeneratorOptions

Shape: TypeAlias = tuple[int, ...]
OptionsType = TypeVar("OptionsType", bound=Options)

MOST_TENSORS = 10_000
LARGEST_SIDE = 1 << 16
"""Above every number of channels; a tensor with a longer side is of no network."""


def shapes_of(state: State) -> dict[str, Shape]:
    """The shape of each tensor by name; empty for what no generator holds: too many, too long, without values."""
    shapes = {key: stored.shape for key, stored in state.items()}
    if len(shapes) > MOST_TENSORS:
        return {}
    sides = (side for shape in shapes.values() for side in shape)
    return shapes if all(1 <= side <= LARGEST_SIDE for side in sides) else {}


def kernel(shapes: Mapping[str, Shape], name: str) -> Shape:
    """The four sides of a convolution's weight; zeros where there is none of this name."""
    shape = shapes.get(name, ())
    return shape if len(shape) == 4 else (0, 0, 0, 0)


def shape_of(tensors: State, key: str) -> tuple[int, ...]:
    """A tensor's shape, without axes where there is no such tensor."""
    return tensors[key].shape if key in tensors else ()


def count_of(tensors: Iterable[str], pattern: str) -> int:
    """How many different numbers stand at the group of ``pattern`` in the names."""
    return len({match[1] for key in tensors if (match := re.fullmatch(pattern, key))})


def require_images(looks_like: str, inputs: int, outputs: int) -> None:
    """Raise ModelFileError for a network whose channels are not those of images."""
    for verb, channels in (("takes", inputs), ("makes", outputs)):
        if channels not in (1, 3):
            raise ModelFileError(f"looks like {looks_like}, but {verb} {channels} channels; images have 1 or 3")


def options_of(kind: type[OptionsType], looks_like: str, **values: Any) -> OptionsType:
    """The options of a network of ours. Raises ModelFileError for values that ours does not have."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelFileError(
            f"looks like {looks_like}, but gantools has none with {where} {first['input']}"
            if where
            else f"looks like {looks_like}, but {first['msg']}"
        ) from error


def found_generator(
    options: GeneratorOptions, tensors: State, complete: Callable[[nn.Module], None] | None = None, **about: Any
) -> Found:
    """A generator of ours with these tensors, by our names; ``about`` is what else its Export says."""
    build = partial(GENERATORS.build, options)
    with torch.device("meta"):
        network = cast(Generator, build())
    sizes = (network.scale, network.size_multiple, network.minimum_size_px)
    return Found(Export("generator", options.model_dump(mode="json"), *sizes, **about), build, tensors, complete)


def renamed_by(name: Callable[[str], str], state: State) -> dict[str, Stored]:
    """The tensors by the names that ``name`` makes of theirs. Raises ModelFileError where two become one."""
    made = {name(key): stored for key, stored in state.items()}
    if len(made) < len(state):
        raise ModelFileError("has some of its tensors twice, under names of two codes")
    return made


def by_names(names: Names, state: State) -> dict[str, Stored]:
    """The tensors by the names that the patterns make of theirs. Raises ModelFileError where two become one."""
    return renamed_by(partial(renamed, names), state)


def renamed_layers(layers: Mapping[str, str], state: State) -> dict[str, Stored]:
    """The tensors of ``layers`` (their names to ours) by our names, others by their own."""

    def name(key: str) -> str:
        layer, _, part = key.rpartition(".")
        return f"{layers.get(layer, layer)}.{part}"

    return renamed_by(name, state)


def with_batch_counts(tensors: State) -> dict[str, Stored]:
    """The tensors, and how many batches each BatchNorm has seen: 0 in files of PyTorch before 0.4, which lack it."""
    norms = [key.removesuffix("running_var") for key in tensors if key.endswith("running_var")]
    return {**{f"{norm}num_batches_tracked": Stored((), _no_batches) for norm in norms}, **tensors}


def _no_batches() -> Tensor:
    return torch.tensor(0)
