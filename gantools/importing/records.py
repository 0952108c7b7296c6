"""What stands for the objects in files of other codes: tensors that are read last, names, modules, networks, arrays."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Stored:
    """A tensor that still lies in a file: its shape, and what reads it."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]

    def changed(self, shape: Sequence[int], change: Callable[[Tensor], Tensor]) -> Stored:
        """The same tensor with a ``change`` to be made when it is read, of ``shape`` then."""
        return Stored(tuple(shape), lambda: change(self.read()))


@dataclass(frozen=True)
class Name:
    """The name of a class or function of another code; nothing but a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Module:
    """A module that was stored whole: the name of its class, and its attributes."""

    class_name: str
    state: dict[str, Any] = field(default_factory=dict)


class NvidiaModule(Module):
    """A module that NVIDIA's code stored. The source of its class, which is stored with it, is left out."""


@dataclass
class TensorflowNetwork:
    """A network that NVIDIA's TensorFlow code stored."""

    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where bytes lie in the file; those of a storage may lie in another stream than the pickle."""

    start: int
    length: int
    of_storage: bool = False


@dataclass
class Storage:
    """Values of one type, one after the other; where they lie in the file is known last."""

    type: torch.dtype
    count: int
    start: int = -1


@dataclass
class NumberType:
    """A NumPy type of plain numbers."""

    code: str
    order: str = "<"

    def build(self) -> np.dtype[Any]:
        if not isinstance(self.code, str) or not re.fullmatch("[fiu][1248]|b1", self.code) or self.order not in "<>|=":
            raise pickle.UnpicklingError("has an array that is not of numbers")
        return np.dtype(self.order + self.code)


@dataclass
class Array:
    """A NumPy array; its state follows in the pickle."""

    shape: tuple[int, ...] = ()
    type: NumberType | None = None
    by_column: bool = False
    content: Place | bytes | None = None
