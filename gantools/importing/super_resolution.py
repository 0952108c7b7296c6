"""What the importers of super-resolution networks share: sizes from shapes, and the description of what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from gantools.checkpoint.weights import Export
from gantools.errors import ModelFileError
from gantools.importing.found import Found, Names, State, renamed
from gantools.models import GENERATORS
from gantools.models.options import MSRResNetOptions, RRDBOptions, SRResNetOptions, SRVGGOptions

Enlarger: TypeAlias = RRDBOptions | MSRResNetOptions | SRVGGOptions | SRResNetOptions

_OPTIONS: TypeAdapter[Enlarger] = TypeAdapter(Annotated[Enlarger, Field(discriminator="name")])


def described(options: Enlarger, tensors: State, names: Names, *, size_multiple: int = 1) -> Found:
    """A network of ours that images go through, and its tensors by our names."""
    export = Export("generator", options.model_dump(), options.scale, size_multiple, minimum_size_px=size_multiple)
    ours = {renamed(names, key): stored for key, stored in tensors.items()}
    return Found(export, partial(GENERATORS.build, options), ours)


def checked(what: str, **values: int | bool | str) -> Enlarger:
    """The options of a network. Raises ModelFileError where they are beyond what ours can be."""
    try:
        options = _OPTIONS.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][-1]}: " if len(first["loc"]) > 1 else ""
        raise ModelFileError(f"looks like {what}, but {where}{first['msg']}") from error
    for side, count in (("takes", options.in_channels), ("makes", options.out_channels)):
        if count not in (1, 3):
            raise ModelFileError(f"looks like {what}, but {side} {count} channels; images have 1 or 3")
    return options


def shape_of(tensors: State, key: str) -> tuple[int, ...]:
    """A tensor's shape, without axes where there is no such tensor."""
    return tensors[key].shape if key in tensors else ()


def count_of(tensors: Iterable[str], pattern: str) -> int:
    """How many different numbers stand at the group of ``pattern`` in the names."""
    return len({match[1] for key in tensors if (match := re.fullmatch(pattern, key))})
