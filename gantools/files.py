"""The one way gantools writes a file or a folder: staged beside the target, synced, then renamed.

Whatever happens (a kill, a full disk, an exception in the writer), the final name holds the old content or the whole
new one, and the staged copy of a failed write is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STAGED_PREFIX = ".gantools-"


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically (stage, fsync, rename, fsync of the folder)."""
    with staged_file(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and becomes ``path``, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success every file in it is synced and it becomes ``path``.

    Raises FileExistsError when ``path`` exists: folders written this way are never overwritten.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for child in sorted(temporary.iterdir()):
            sync(child)
        sync(temporary)
        os.rename(temporary, path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_stale(folder: Path) -> None:
    """Remove staged folders that a killed process left in ``folder``."""
    for leftover in folder.glob(f"{STAGED_PREFIX}*"):
        shutil.rmtree(leftover)


def _beside(path: Path) -> Path:
    """A staged name in the same folder (same file system), short enough for a 255-byte name, with ``path``'s suffix."""
    token = f"{os.getpid():x}{os.urandom(4).hex()}"
    return path.with_name(f"{STAGED_PREFIX}{token}{path.suffix[:16]}")
