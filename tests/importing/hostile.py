"""Files that want something executed, or more memory than there is.

As a program (``hostile.py FOLDER``): try to import each file of the folder under an audit hook, and print as JSON what
became of each and which events there were.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

MARK = "executed"
"""The folder for what is imported, and for the file that a payload makes when it runs."""
EVENTS = ("exec", "compile", "import", "open", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.")


FILTER = [a * b / 64 for a in (1, 3, 3, 1) for b in (1, 3, 3, 1)]


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def stored(content: bytes) -> bytes:
    return b"B" + len(content).to_bytes(4, "little") + content


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def called(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def whole(content: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + content + b"."


def storage(values: Sequence[float] = (0.0, 1.0, 2.0, 3.0), count: int | None = None) -> bytes:
    """A stored storage; it says that it has ``count`` values."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the classes that such files are made of
        torch.save(torch.TypedStorage(list(values), dtype=torch.float32), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    return content if count is None else content.replace(b"K\x04", b"\x8a\x08" + count.to_bytes(8, "little"))


def module(parameters: bytes = b"}", modules: bytes = b"}") -> bytes:
    """A module that NVIDIA's code stored."""
    state = b"}(" + text("_parameters") + parameters + text("_buffers") + b"}" + text("_modules") + modules + b"u"
    meta = b"}(" + text("class_name") + text("Generator") + text("state") + state + b"u"
    return called("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


def network(parameters: bytes = b"}", modules: bytes = b"}") -> bytes:
    """A snapshot whose G_ema has these parameters and modules."""
    return b"}" + text("G_ema") + module(parameters, modules) + b"s"


def shared(depth: int, parameters: bytes = b"}") -> bytes:
    """Modules that are each twice in the next one: small in the file, 2 to the power of ``depth`` when walked."""
    inner = module(parameters)
    for number in range(depth):
        inner += b"q" + bytes([number]) + b"0"  # remembered, and taken from the stack
        again = b"h" + bytes([number])
        inner += module(modules=b"}(" + text("a") + again + text("b") + again + b"u")
    return inner


def within(depth: int, times: int, put: Callable[[bytes], bytes], inner: bytes) -> bytes:
    """``put`` makes one value of ``times`` references to the one before it, ``depth`` times."""
    for number in range(depth):
        place = bytes([number])
        inner = inner + b"q" + place + b"0" + put((b"h" + place) * times)
    return inner


def in_dict(values: bytes) -> bytes:
    return b"}(" + b"".join(text(str(at)) + values[at : at + 2] for at in range(0, len(values), 2)) + b"u"


def shape_only(shape: bytes) -> bytes:
    """A tensor of a shape, without a storage."""
    return called("torch._utils", "_rebuild_tensor_v2", b"K\x00K\x00", shape, b")")


def tensor(content: bytes, name: str = "resample_filter", side: bytes = b"K\x04", stride: bytes = b"K\x00") -> bytes:
    """A square parameter with its storage. Filters are read before anything else."""
    loaded = called("torch.storage", "_load_from_bytes", stored(content))
    shape, strides = side * 2 + b"\x86", stride + (b"K\x01" if stride != b"K\x00" else stride) + b"\x86"
    value = called("torch._utils", "_rebuild_tensor_v2", loaded, b"K\x00", shape, strides, b"\x89", b"}")
    return b"}" + text(name) + value + b"s"


def endless() -> bytes:
    """A module that is its own part."""
    return module(modules=b"}q\x05") + b"q\x06h\x05" + text("again") + b"h\x06s0"


def array(kind: bytes, content: bytes) -> bytes:
    made = called("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), b"K\x00\x85", stored(b"b"))
    typed = called("numpy", "dtype", text("O8"), b"\x89\x88") if kind == b"O" else kind
    return made + b"(K\x01K\x01\x85" + typed + b"\x89" + content + b"tb"


def pickles(good: bytes, mark: Path) -> dict[str, bytes]:
    """Hostile pickles by name; ``good`` is one of a network, ``mark`` the file that a payload would make."""
    source = f"open({str(mark)!r}, 'w')"
    command = f"touch {mark}"
    touch = called("os", "system", text(command))
    inner = io.BytesIO()
    torch.save(Call(exec, source), inner, _use_new_zipfile_serialization=False)
    zipped = io.BytesIO()
    torch.save(Call(exec, source), zipped)
    long = b"\x8a\xff" + b"\xff" * 254 + b"\x7f"
    many_modules = within(6, 40, lambda values: module(modules=in_dict(values)), module())
    deep = b"(" * 50_000 + b"t" * 50_000
    return {
        "system": pickle.dumps(Call(__import__("os").system, command), protocol=2),
        "system in a network": whole(network(b"}" + text("weight") + touch + b"s")),
        "posix": whole(called("posix", "system", text(command))),
        "eval": whole(called("builtins", "eval", text(source))),
        "exec": pickle.dumps(Call(exec, source), protocol=4),
        "old exec": b"c__builtin__\nexec\n(S" + repr(source).encode() + b"\ntR.",
        "getattr": whole(called("builtins", "getattr", name("os", "system"), text("__call__"))),
        "attribute by dots": whole(text("dnnlib.util") + text("EasyDict.__init__.__globals__") + b"\x93"),
        "import": whole(called("builtins", "__import__", text("antigravity"))),
        "subprocess": whole(called("subprocess", "check_output", text(command))),
        "partial": whole(called("functools", "partial", name("os", "system"))),
        "loads": whole(called("pickle", "loads", stored(whole(touch)))),
        "torch.load": whole(called("torch", "load", text("x.pt"))),
        "pickle for a storage": whole(network(tensor(whole(touch)))),
        "old checkpoint for a storage": whole(network(tensor(inner.getvalue()))),
        "archive for a storage": whole(network(tensor(zipped.getvalue()))),
        "objects in an array": whole(b"(" + array(b"O", b"]" + touch + b"a") + b"t"),
        "type of objects": whole(
            called("numpy.core.multiarray", "scalar", called("numpy", "dtype", text("O8")), stored(bytes(8)))
        ),
        "persistent id": whole(text(command) + b"Q"),
        "persistent id as text": f"P{command}\n.".encode(),
        "type": whole(called("builtins", "type", text("X"), b")", b"}")),
        "instance": f"(S'{command}'\nios\nsystem\n.".encode(),
        "object": whole(b"(" + name("os", "system") + text(command) + b"o"),
        "extension": whole(b"\x82\x01"),
        "call of a value": whole(text("x") + b")R"),
        "new object of a function": whole(name("torch._utils", "_rebuild_tensor_v2") + b")\x81"),
        "state of a class": whole(name("dnnlib.util", "EasyDict") + b"N}" + text("get") + text("x") + b"s\x86b"),
        "setstate": whole(b"}}" + text("__setstate__") + name("os", "system") + b"sb"),
        "endless bytes": whole(b"\x8e" + (1 << 60).to_bytes(8, "little")),
        "endless text": whole(b"\x8d" + (1 << 50).to_bytes(8, "little")),
        "endless number": whole(b"\x8b" + (1 << 30).to_bytes(4, "little")),
        "endless tensor": whole(network(tensor(storage(), "mapping.fc0.weight", b"J\x00\x00\x00\x40"))),
        "tensor beyond its storage": whole(network(tensor(storage()))),
        "endless storage": whole(network(tensor(storage(count=1 << 50)))),
        "deep": whole(deep),
        "module in itself": whole(b"}" + text("G_ema") + endless() + b"s"),
        "shared without end": whole(b"}" + text("G_ema") + shared(60) + b"s"),
        "bytes of many tensors": whole(
            b"}" + text("G_ema") + shared(8, tensor(storage(FILTER), stride=b"K\x04")) + b"s"
        ),
        "key without end": whole(b"}" + within(60, 2, lambda values: values + b"\x86", b"K\x01") + b"K\x01s"),
        "set without end": whole(
            called("builtins", "set", b"]" + within(60, 2, lambda values: values + b"\x86", b"K\x01") + b"a")
        ),
        "copies of text": whole(
            text("a" * 5000) + b"q\x01]q\x02(" + called("_codecs", "encode", b"h\x01K\x00") * 99 + b"e"
        ),
        "copies of items": whole(b"]q\x01(" + b"N" * 5000 + b"e](" + called("torch", "Size", b"h\x01") * 99 + b"e"),
        "dicts in dicts": whole(within(6, 60, in_dict, b"}")),
        "modules in modules": whole(b"}" + text("G_ema") + many_modules + b"s"),
        "shape of many sides": whole(
            b"}" + text("a.b") + shape_only(b"(" + long + b"q\x00" + b"h\x00" * 9999 + b"t") + b"s"
        ),
        "side of many digits": whole(b"}" + text("a.b") + shape_only(long + b"\x85") + b"s"),
        "long name": whole(text("a" * 5000) + text("b") + b"\x93"),
        "cut short": good[: len(good) // 2],
        "no end": good[:-1],
        "noise": b"\x80\x04" + bytes(range(256)) * 8,
    }


def checkpoints(mark: Path, state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Hostile checkpoints of PyTorch: what ``torch.save`` gets. ``state`` is that of a large generator."""
    evil = Call(exec, f"open({str(mark)!r}, 'w')")
    shrunk = {key: each if "kernel" in key else torch.zeros(()).expand(each.shape) for key, each in state.items()}
    return {
        "exec in a checkpoint": {"g_ema": {"input.input": evil}},
        "exec in the arguments": {"g_ema": {"input.input": torch.ones(1)}, "args": argparse.Namespace(path=evil)},
        "bytes of many values": {"g_ema": shrunk},
        "module in a checkpoint": {"generator": torch.nn.Linear(2, 2)},
    }


def main(folder: Path) -> None:
    """Import each file of ``folder``: ``warm*`` first and unwatched, so that modules that are imported late are there.

    That a file itself is opened to be read is no event. Warnings about a file are errors, those of imports are not.
    """
    from gantools.errors import ModelFileError
    from gantools.importing import run
    from gantools.importing.options import ImportOptions

    events: list[str] = []
    watching, path = False, folder

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.startswith(EVENTS) and not (event == "open" and arguments[:2] == (str(path), "r")):
            events.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(watch)
    answers = {}
    for path in sorted(
        (each for each in folder.iterdir() if each.is_file()), key=lambda each: not each.name.startswith("warm")
    ):
        watching = not path.name.startswith("warm")
        try:
            with warnings.catch_warnings(action="error" if watching else "ignore"):
                run.import_weights(path, ImportOptions(output=str(folder / MARK / f"{path.name}.safetensors")))
            answers[path.name] = "imported"
        except ModelFileError as error:
            answers[path.name] = f"refused: {error}"
        except BaseException as error:
            answers[path.name] = f"{type(error).__name__}: {error}"
        watching = False
    print(json.dumps({"answers": answers, "events": events}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
