"""NumPy files that a user gives: .npz and .npy. What is in them is never run."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from gantools.errors import UsageError

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
        raise UsageError(f"{path}: cannot be read as {kind} ({reason(error)})") from error


def reason(error: Exception) -> str:
    """The first line of what an error says, without the name of a file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
