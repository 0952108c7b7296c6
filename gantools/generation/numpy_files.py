"""NumPy files: those that a user gives, .npz and .npy, of which nothing is ever run, and those that are written."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from gantools import files
from gantools.errors import UsageError

ABOUT = "gantools"
"""Name of the array that holds, as JSON, what gantools noted in a file."""

DAMAGED = (OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, SyntaxError, zipfile.BadZipFile)
_BEGINNINGS = (b"PK", b"\x93NUMPY")


def read(path: Path, kind: str = "a NumPy file") -> dict[str, Any]:
    """The arrays of an .npz by name; that of a .npy is named ``""``. ``kind`` is what it should be.

    Raises UsageError for other files, and for objects instead of numbers.
    """
    try:
        with path.open("rb") as stream:
            if not stream.read(6).startswith(_BEGINNINGS):  # NumPy takes such a file for a pickle, and says so
                raise ValueError("it is no .npz or .npy")
            stream.seek(0)
            held = np.load(stream, allow_pickle=False)
            return dict(held) if isinstance(held, np.lib.npyio.NpzFile) else {"": held}
    except (*DAMAGED, zlib.error) as error:
        raise UsageError(f"'{path}': cannot be read as {kind} ({reason(error)})") from error


def write(path: Path, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write arrays as .npz, atomically, and ``about`` as JSON beside them. Raises OSError."""
    content = io.BytesIO()
    np.savez(content, **cast(Any, {**arrays, ABOUT: np.array(json.dumps(dict(about)))}))
    files.write_bytes(path, content.getvalue())


def reason(error: Exception) -> str:
    """The first line of what an error says, without the name of a file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
