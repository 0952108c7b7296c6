"""Opening files of other codes: what they hold as plain values and tensors. Nothing in them is executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open

from gantools.checkpoint import foreign
from gantools.errors import ModelFileError
from gantools.importing.pickles import PickledFile, reason
from gantools.importing.records import Stored

LONGEST_REASON = 300
"""Letters of a message about a file, which may hold words of the file."""

_HEAD_BYTES = 64
_EXPORTED = "is what gantools export wrote for other programs; give the run or the weights that it is of"
_NEITHER = "is neither a pickle, nor a checkpoint of PyTorch, nor a safetensors file"


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file: its tensors by name."""

    content: dict[str, Stored]


@contextmanager
def opened(path: Path) -> Iterator[PickledFile | TensorFile]:
    """What a file holds, whose tensors can be read in the context.

    Raises ModelFileError, with the file's name, also for whatever goes wrong with the file in the context.
    """
    with path.open("rb") as stream:
        try:
            yield _read(path, stream)
        except Exception as error:  # whatever foreign bytes lead to
            why = " ".join((str(error) if isinstance(error, ModelFileError) else reason(error)).split())
            shown = "".join(letter if letter.isprintable() else "?" for letter in why)
            raise ModelFileError(f"'{path}': {shown[:LONGEST_REASON]}") from error


def _read(path: Path, stream: BinaryIO) -> PickledFile | TensorFile:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if head.startswith((foreign.PICKLE, foreign.ZIP)):
        return PickledFile(stream, path.stat().st_size)
    if not foreign.is_safetensors(head):
        raise ModelFileError(foreign.not_the_file(head) or _NEITHER)
    try:
        file: Any = safe_open(path, framework="pt")
        metadata = file.metadata() or {}
        if "gantools" in metadata:
            raise ModelFileError("is a weights file of gantools already; infer, export and train take it as it is")
        if "gantools_export" in metadata:
            raise ModelFileError(_EXPORTED)
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    except SafetensorError as error:
        raise ModelFileError(f"is damaged, or no safetensors file ({error})") from error
    return TensorFile(
        {key: Stored(tuple(each.get_shape()), partial(file.get_tensor, key)) for key, each in slices.items()}
    )
