"""Pickles of networks, read without running anything that they ask for.

A pickle is a program that names functions and calls them. Here the few functions that a network's file needs stand for
records of ours, any other name is only a name, which can stand for a module's class but cannot be called, the few
instructions that build plain values are carried out, and everything else is refused. Long runs of bytes stay in the
file until a tensor is asked for, so that what is not wanted costs no memory.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from gantools.checkpoint.foreign import ZIP
from gantools.importing.archive import Archive
from gantools.importing.records import (
    Array,
    Module,
    Name,
    NumberType,
    NvidiaModule,
    Place,
    Storage,
    Stored,
    TensorflowNetwork,
)

LONGEST_NAME = 200
"""Bytes of a name that a pickle asks for."""
MOST_AXES, LARGEST_SIDE = 16, 1 << 40
"""Of a tensor."""
LONGEST_KEY = 16
"""Parts of a tuple that is a key. To hash a tuple of tuples can take for ever: those within are not counted once."""

_CHECKPOINT = 0x1950A86A20F9469CFC6C
"""The number that checkpoints of PyTorch begin with."""
_STORAGES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
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
    *(pickle.BINSTRING, pickle.SHORT_BINSTRING),  # text of Python 2
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_SET, pickle.EMPTY_DICT),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL),  # which ask ``find_class``
)


_SIZED = (str, bytes, list, tuple, dict, set)


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
    """Builds records from a pickle; ``tensor`` and ``array`` read what they stand for, later.

    ``archive`` has the storages of a pickle that is a member of it.
    """

    stack: list[Any]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, stream: BinaryIO, size: int, archive: Archive | None = None) -> None:
        super().__init__(_Part(stream, size), encoding="latin1")
        self.stream, self.size, self.archive = stream, size, archive
        self.bytes_read = self.items_copied = 0
        self.names: dict[tuple[str, str], Any] = {
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): _module,
            ("dnnlib.util", "EasyDict"): _dict,
            ("collections", "OrderedDict"): _dict,
            ("collections", "Counter"): _dict,  # in the state of schedulers
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_tensor"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
            ("torch.nn.backends.thnn", "_get_thnn_function_backend"): lambda *_: None,
            ("torch", "device"): lambda *_: None,
            ("torch", "Size"): lambda sizes=(): tuple(sizes),
            ("builtins", "set"): _set,
            ("__builtin__", "set"): _set,
            ("collections", "defaultdict"): lambda *_: {},
            ("torch.storage", "_load_from_bytes"): lambda place: place,
            ("argparse", "Namespace"): _dict,
            ("_codecs", "encode"): lambda text, _: text.encode("latin1"),  # bytes in old pickles
            ("dnnlib.tflib.network", "Network"): TensorflowNetwork,
            ("numpy", "dtype"): lambda code, *_: NumberType(code),
            ("numpy", "ndarray"): None,
        }
        for package in ("numpy.core", "numpy._core"):
            self.names[f"{package}.multiarray", "_reconstruct"] = lambda *_: Array()
            self.names[f"{package}.multiarray", "scalar"] = self.number
        self.names |= {("torch", f"{name}Storage"): kind for name, kind in _STORAGES.items()}
        for kind in ("int", "double", "bool", "tensor"):  # of TorchScript
            self.names["torch.jit._pickle", f"build_{kind}list"] = lambda items: items
        self.storages: dict[str, Storage] = {}

    def whole(self) -> Any:
        """What the file holds, be it a pickle or a checkpoint of PyTorch from before its files were archives.

        The latter are five pickles (a number, a version, the machine, the content, names of storages), then the values
        of each storage behind their count.
        """
        if (first := self.load()) != _CHECKPOINT:
            return first
        _version, _machine, content, names = (self.load() for _ in range(4))
        for storage in (self.storages[name] for name in names):
            if int.from_bytes(self.read(8), "little") != storage.count:
                raise pickle.UnpicklingError("has a storage of another size than it says")
            storage.start = self.skip(storage.count * storage.type.itemsize)
        return content

    def load(self) -> Any:
        self.memo.clear()
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if len(module) + len(name) > 2 * LONGEST_NAME:
            raise pickle.UnpicklingError("asks for a name that is too long")
        return self.names.get((module, name), Name(module, name))

    def content(self, place: object) -> bytearray:
        """Bytes that were left in the file. In all no more than twice of what it has: few are read again."""
        if isinstance(place, bytes):
            return bytearray(place)
        if not isinstance(place, Place) or place.start < 0:
            raise pickle.UnpicklingError("has no bytes where a tensor's are expected")
        stream, size = self.stream, self.size
        if self.archive is not None and place.of_storage:
            stream, size = self.archive.stream, self.archive.size
        self.count_read(place.length, size)
        content = bytearray(place.length)
        stream.seek(place.start)
        if stream.readinto(content) != place.length:  # type: ignore[attr-defined]
            raise EOFError
        return content

    def count_read(self, length: int, size: int) -> None:
        """Refuse to read more than twice of what there is."""
        self.bytes_read += length
        if self.bytes_read > 2 * size:
            raise pickle.UnpicklingError("has tensors that share their bytes")

    def tensor(self, storage: object, start: int, shape: Sequence[int], stride: Sequence[int], *_: Any) -> Stored:
        """What PyTorch's ``_rebuild_tensor_v2`` would make."""

        def read() -> Tensor:
            held = self.inner(storage) if isinstance(storage, Place) else storage
            if not isinstance(held, Storage) or math.prod(shape) > held.count:
                raise pickle.UnpicklingError("has a tensor that is larger than its storage")
            content = self.content(Place(held.start, held.count * held.type.itemsize, of_storage=True))
            if not content:
                return torch.empty(tuple(shape), dtype=held.type)
            return torch.frombuffer(content, dtype=held.type).as_strided(tuple(shape), tuple(stride), start)

        return Stored(_sizes(shape), read)

    def inner(self, place: Place) -> Any:
        """What the bytes at a place hold, themselves a checkpoint."""
        self.count_read(place.length, self.size)
        self.stream.seek(place.start)
        return _Reader(self.stream, place.start + place.length).whole()

    def array(self, array: Array | float) -> Stored:
        """A NumPy array as a tensor, or a number, as which arrays without axes are stored."""
        if isinstance(array, int | float):
            return Stored((), lambda: torch.tensor(float(array)))

        def read() -> Tensor:
            kind = cast(NumberType, array.type).build()
            values = np.frombuffer(self.content(array.content), kind).astype(kind.newbyteorder("="))
            return torch.from_numpy(values.reshape(array.shape, order="F" if array.by_column else "C"))

        return Stored(_sizes(array.shape), read)

    def number(self, kind: NumberType, content: Place | bytes) -> float | int:
        position, type_ = self.stream.tell(), kind.build()
        length = len(content) if isinstance(content, bytes) else content.length
        if length != type_.itemsize:
            raise pickle.UnpicklingError("has a number of another size than its type")
        value = np.frombuffer(self.content(content), type_)[0].item()
        self.stream.seek(position)
        return cast(float, value)

    def call(self) -> None:
        arguments = self.stack.pop()
        asked = self.stack[-1]
        if isinstance(asked, Name):
            raise pickle.UnpicklingError(f"asks for {asked}, which no network of a known format needs")
        if not any(asked is known for known in self.names.values()):
            raise pickle.UnpicklingError("calls what is not a part of a network")
        self.stack[-1] = asked(*self.affordable(arguments))

    def affordable(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """Arguments of a call, which may copy what is in them: in all no more than the pickle can hold."""
        self.items_copied += sum(len(each) for each in arguments if isinstance(each, _SIZED))
        if self.items_copied > self.size:
            raise pickle.UnpicklingError("copies its own parts without end")
        return arguments

    def new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if isinstance(kind, Name) and not arguments:
            self.stack.append(Module(str(kind)))
            return
        if kind not in (_dict, TensorflowNetwork):
            raise pickle.UnpicklingError("makes an object that is not a part of a network")
        self.stack.append(kind(*self.affordable(arguments)))

    def restore(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, TensorflowNetwork | Module) and isinstance(state, dict):
            made.state = state
        elif isinstance(made, dict):
            pass  # attributes beside its items, such as versions of modules
        elif isinstance(made, NumberType):
            made.order = state[1]
        elif isinstance(made, Array):
            _, made.shape, made.type, made.by_column, made.content = state
        else:
            raise pickle.UnpicklingError("sets the state of what is not a part of a network")

    def fill(self) -> None:
        """Put items into a dict."""
        items, made = self.pop_mark(), self.stack[-1]
        self.set_items(made, items[::2], items[1::2])

    def fill_one(self) -> None:
        """Put one item into a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items(self.stack[-1], [key], [value])

    def set_items(self, made: object, keys: Sequence[Any], values: Sequence[Any]) -> None:
        if isinstance(made, Module):  # an object of a dict's class
            made = made.state
        if not isinstance(made, dict):
            raise pickle.UnpicklingError("puts items into what is no dict")
        made.update(_dict(zip(keys, values, strict=True)))

    def add(self) -> None:
        """Put items into a set."""
        items, made = self.pop_mark(), self.stack[-1]
        if not isinstance(made, set):
            raise pickle.UnpicklingError("puts items into what is no set")
        made.update(_set(items))

    def skip(self, length: int) -> int:
        """Go on behind the next bytes; where they start."""
        start = self.stream.tell()
        if length > self.size - start:
            raise EOFError
        self.stream.seek(length, io.SEEK_CUR)
        return start

    def leave(self, length: int) -> None:
        """Put the place of bytes in place of the bytes."""
        self.stack.append(Place(self.skip(length), length))

    def keep(self) -> None:
        """A storage of a checkpoint, by its description; one that several tensors share is described again.

        Old checkpoints refer to the class of a module with its source, of which the name is kept.
        """
        match self.stack.pop():
            case ("storage", torch.dtype() as kind, str() as name, _, int() as count, None) if count >= 0:
                self.stack.append(self.storages.setdefault(name, Storage(kind, count)))
            case ("storage", torch.dtype() as kind, str() as name, _, int() as count) if self.archive and count >= 0:
                start = self.archive.start(f"data/{name}", count * kind.itemsize)
                self.stack.append(self.storages.setdefault(name, Storage(kind, count, start)))
            case ("module", Name() as kind, _, _):
                self.stack.append(kind)
            case _:
                raise pickle.UnpicklingError("refers to something outside the file")

    def refuse(self) -> None:
        raise pickle.UnpicklingError("is a pickle with an instruction that no network needs")

    dispatch: ClassVar[dict[int, Any]] = {
        **dict.fromkeys(pickle._Unpickler.dispatch, refuse),
        **{code[0]: pickle._Unpickler.dispatch[code[0]] for code in _INSTRUCTIONS},
        pickle.FRAME[0]: lambda self: self.read(8),  # a hint for readers that read ahead
        pickle.SHORT_BINBYTES[0]: lambda self: self.leave(self.read(1)[0]),
        pickle.BINBYTES[0]: lambda self: self.leave(*struct.unpack("<I", self.read(4))),
        pickle.BINBYTES8[0]: lambda self: self.leave(*struct.unpack("<Q", self.read(8))),
        pickle.BINPERSID[0]: keep,
        pickle.REDUCE[0]: call,
        pickle.NEWOBJ[0]: new,
        pickle.BUILD[0]: restore,
        pickle.SETITEM[0]: fill_one,
        pickle.SETITEMS[0]: fill,
        pickle.ADDITEMS[0]: add,
    }


class PickledFile:
    """An open pickle or checkpoint: its ``content`` as plain values and records; tensors are read while it is open.

    Raises any exception for damaged bytes, which ``reason`` explains, and UnpicklingError for what is refused.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        zipped = stream.read(len(ZIP)) == ZIP
        stream.seek(0)
        archive = Archive(stream, size) if zipped else None
        self.reader = (
            _Reader(stream, size)
            if archive is None
            else _Reader(io.BytesIO(archive.pickle), len(archive.pickle), archive)
        )
        self.content = self.reader.whole()


def reason(error: Exception) -> str:
    """Why a pickle was not read."""
    if isinstance(error, pickle.UnpicklingError):
        return str(error)
    if isinstance(error, EOFError | zipfile.BadZipFile):
        return "is cut short" if isinstance(error, EOFError) else "is a damaged archive"
    return f"is damaged, or no file of a network ({type(error).__name__}: {' '.join(str(error).split())[:100]})"


def _module(meta: dict[str, Any]) -> NvidiaModule:
    """What NVIDIA's loader would execute ``meta["module_src"]`` for."""
    name, state = meta["class_name"], meta["state"]
    if not isinstance(name, str) or not isinstance(state, dict):
        raise pickle.UnpicklingError("has a module without a class or a state")
    return NvidiaModule(name, state)


def _sizes(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > MOST_AXES or not all(map(_is_side, shape)):
        raise pickle.UnpicklingError("has a tensor without a shape")
    return shape


def _is_side(size: object) -> bool:
    return isinstance(size, int) and 0 <= size <= LARGEST_SIDE


def _dict(items: Iterable[tuple[Any, Any]] | dict[Any, Any] = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {_require_key(key): value for key, value in pairs}


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return {_require_key(item) for item in items}


def _require_key(key: Any) -> Any:
    """The key of a dict, or a part of a set. Raises UnpicklingError for one that may have no end."""
    if isinstance(key, tuple) and (len(key) > LONGEST_KEY or any(isinstance(part, tuple) for part in key)):
        raise pickle.UnpicklingError("has a key that no network has")
    return key
