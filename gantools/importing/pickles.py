"""Pickles of networks, read without running anything that they ask for.

A pickle is a program that names functions and calls them. Here the few names that a network's file needs stand for
records of ours, the few instructions that build plain values are carried out, and everything else is refused. Long
runs of bytes stay in the file until a tensor is asked for, so that what is not wanted costs no memory.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

LONGEST_NAME = 200
"""Bytes of a name that a pickle asks for."""

_INSTRUCTIONS = (  # that make numbers, text and containers of what is there already
    *(
        pickle.PROTO,
        pickle.STOP,
        pickle.MARK,
        pickle.POP,
        pickle.POP_MARK,
        pickle.NONE,
        pickle.NEWTRUE,
        pickle.NEWFALSE,
    ),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_SET, pickle.ADDITEMS),
    *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL),  # which ask ``find_class``
)


@dataclass(frozen=True)
class Stored:
    """A tensor that still lies in a file: its shape, and what reads it."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]

    def changed(self, shape: Sequence[int], change: Callable[[Tensor], Tensor]) -> Stored:
        """The same tensor with a ``change`` to be made when it is read, of ``shape`` then."""
        return Stored(tuple(shape), lambda: change(self.read()))


@dataclass(frozen=True)
class Module:
    """A module that NVIDIA's code stored: the name of its class, and its state. The class's source is left out."""

    class_name: str
    state: dict[str, Any]


@dataclass
class TensorflowNetwork:
    """A network that NVIDIA's TensorFlow code stored."""

    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Bytes:
    """Where bytes lie in the file."""

    start: int
    length: int


@dataclass(frozen=True)
class _Storage:
    content: _Bytes


@dataclass
class _Type:
    """A NumPy type of plain numbers."""

    code: str
    order: str = "<"

    def build(self) -> np.dtype[Any]:
        if not isinstance(self.code, str) or not re.fullmatch("[fiu][1248]|b1", self.code) or self.order not in "<>|=":
            raise pickle.UnpicklingError("has an array that is not of numbers")
        return np.dtype(self.order + self.code)


@dataclass
class _Array:
    """A NumPy array; its state follows in the pickle."""

    shape: tuple[int, ...] = ()
    type: _Type | None = None
    by_column: bool = False
    content: _Bytes | None = None


class _Arguments:
    """Stands for the command line that checkpoints hold beside their networks."""


class _Part:
    """A file that never gives more than it has, however much it is asked for."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size = stream, size

    def read(self, count: int) -> bytes:
        if count > self.size - self.stream.tell():
            raise EOFError
        return self.stream.read(count)

    def readline(self) -> bytes:
        return self.stream.readline(LONGEST_NAME)


class _Reader(pickle._Unpickler):
    """Builds records from a pickle; ``tensor`` and ``array`` read what they stand for, later."""

    stack: list[Any]
    read: Callable[[int], bytes]

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__(_Part(stream, size))
        self.stream, self.size, self.bytes_read = stream, size, 0
        self.names: dict[tuple[str, str], Any] = {
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): _module,
            ("dnnlib.util", "EasyDict"): dict,
            ("collections", "OrderedDict"): dict,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("torch.storage", "_load_from_bytes"): _Storage,
            ("dnnlib.tflib.network", "Network"): TensorflowNetwork,
            ("numpy", "dtype"): lambda code, *_: _Type(code),
            ("numpy", "ndarray"): None,
        }
        for package in ("numpy.core", "numpy._core"):
            self.names[f"{package}.multiarray", "_reconstruct"] = lambda *_: _Array()
            self.names[f"{package}.multiarray", "scalar"] = self.number

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.names:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which no network of a known format needs")
        return self.names[module, name]

    def content(self, place: object) -> bytes:
        """Bytes that were left in the file. In all no more than the file has: none are read twice."""
        if not isinstance(place, _Bytes):
            raise pickle.UnpicklingError("has no bytes where a tensor's are expected")
        self.bytes_read += place.length
        if self.bytes_read > self.size:
            raise pickle.UnpicklingError("has tensors that share their bytes")
        self.stream.seek(place.start)
        return self.stream.read(place.length)

    def tensor(self, storage: _Storage, start: int, shape: Sequence[int], stride: Sequence[int], *_: Any) -> Stored:
        """What PyTorch's ``_rebuild_tensor_v2`` would make."""

        def read() -> Tensor:
            values = _storage_values(self.content(storage.content))
            if math.prod(shape) > len(values):
                raise pickle.UnpicklingError("has a tensor that is larger than its bytes")
            return values.as_strided(tuple(shape), tuple(stride), start)

        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("has a tensor without a storage")
        return Stored(_sizes(shape), read)

    def array(self, array: _Array | float) -> Stored:
        """A NumPy array as a tensor, or a number, as which arrays without axes are stored."""
        if isinstance(array, int | float):
            return Stored((), lambda: torch.tensor(float(array)))

        def read() -> Tensor:
            kind = cast(_Type, array.type).build()
            values = np.frombuffer(self.content(array.content), kind).astype(kind.newbyteorder("="))
            return torch.from_numpy(values.reshape(array.shape, order="F" if array.by_column else "C"))

        return Stored(_sizes(array.shape), read)

    def number(self, kind: _Type, content: _Bytes) -> float | int:
        position = self.stream.tell()
        value = np.frombuffer(self.content(content), kind.build())[0].item()
        self.stream.seek(position)
        return cast(float, value)

    def call(self) -> None:
        arguments = self.stack.pop()
        asked = self.stack[-1]
        if not any(asked is known for known in self.names.values()):
            raise pickle.UnpicklingError("calls what is not a part of a network")
        self.stack[-1] = asked(*arguments)

    def new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if kind not in (dict, TensorflowNetwork):
            raise pickle.UnpicklingError("makes an object that is not a part of a network")
        self.stack.append(kind(*arguments))

    def restore(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, TensorflowNetwork) and isinstance(state, dict):
            made.state = state
        elif isinstance(made, _Type):
            made.order = state[1]
        elif isinstance(made, _Array):
            _, made.shape, made.type, made.by_column, made.content = state
        else:
            raise pickle.UnpicklingError("sets the state of what is not a part of a network")

    def leave(self, length: int) -> None:
        """Put the place of bytes in place of the bytes."""
        start = self.stream.tell()
        if length > self.size - start:
            raise EOFError
        self.stream.seek(length, io.SEEK_CUR)
        self.stack.append(_Bytes(start, length))

    def refuse(self) -> None:
        raise pickle.UnpicklingError("is a pickle with an instruction that no network needs")

    dispatch: ClassVar[dict[int, Any]] = {
        **dict.fromkeys(pickle._Unpickler.dispatch, refuse),
        **{code[0]: pickle._Unpickler.dispatch[code[0]] for code in _INSTRUCTIONS},
        pickle.FRAME[0]: lambda self: self.read(8),  # a hint for readers that read ahead
        pickle.SHORT_BINBYTES[0]: lambda self: self.leave(self.read(1)[0]),
        pickle.BINBYTES[0]: lambda self: self.leave(*struct.unpack("<I", self.read(4))),
        pickle.BINBYTES8[0]: lambda self: self.leave(*struct.unpack("<Q", self.read(8))),
        pickle.REDUCE[0]: call,
        pickle.NEWOBJ[0]: new,
        pickle.BUILD[0]: restore,
    }


class PickledFile:
    """An open pickle: its ``content`` as plain values and records, whose tensors can be read while it is open.

    Raises any exception for damaged bytes, which ``reason`` explains, and UnpicklingError for what is refused.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.reader = _Reader(stream, size)
        self.content = self.reader.load()


def reason(error: Exception) -> str:
    """Why a pickle was not read."""
    if isinstance(error, pickle.UnpicklingError):
        return str(error)
    if isinstance(error, EOFError):
        return "is cut short"
    return f"is damaged, or no file of a network ({type(error).__name__}: {' '.join(str(error).split())[:100]})"


def _module(meta: dict[str, Any]) -> Module:
    """What NVIDIA's loader would execute ``meta["module_src"]`` for."""
    name, state = meta["class_name"], meta["state"]
    if not isinstance(name, str) or not isinstance(state, dict):
        raise pickle.UnpicklingError("has a module without a class or a state")
    return Module(name, state)


def _sizes(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise pickle.UnpicklingError("has a tensor without a shape")
    return shape


def _storage_values(content: bytes) -> Tensor:
    """All values of a storage that PyTorch saved in its older, uncompressed format."""
    if content.startswith(b"PK"):
        raise pickle.UnpicklingError("has an archive in place of a storage")
    storage = load_tensors(io.BytesIO(content))
    if not isinstance(storage, torch.TypedStorage):
        raise pickle.UnpicklingError("has no storage where a tensor's is expected")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that PyTorch no longer recommends
        return torch.empty(0, dtype=storage.dtype).set_(storage)


def load_tensors(file: Path | BinaryIO, *, mmap: bool = False) -> Any:
    """What ``torch.save`` wrote: tensors and plain values. With ``mmap`` only what is used is read.

    Raises UnpicklingError, in our words, for anything else.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([(_Arguments, "argparse.Namespace")]):
            warnings.simplefilter("ignore")  # of old files
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|class) ([\w.]+) was not an allowed", str(error))
        name = asked[1] if asked else "something else than tensors and plain values"
        raise pickle.UnpicklingError(f"asks for {name}, which no network of a known format needs") from error
