"""The one way gantools writes a file or a folder: staged beside the target, synced, then renamed.

Whatever happens (a kill, a full disk, an exception in the writer), the final name holds the old content or the whole
new one, and the staged copy of a failed write is removed. Every step of a write is an event that can be watched: what
is promised about faults is tried at each of them (``observed``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Literal

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STAGED_PREFIX = ".gantools-"
CHUNK_BYTES = 1 << 22
LOCKED_BYTE = 1 << 30
ABANDONED_SECONDS = 900
"""No write pauses for so long that its staged file looks left behind."""

Event = Literal["create", "write", "sync", "rename", "sync folder", "remove"]
Observer = Callable[[Event, Path], None]

_observer: Observer | None = None


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Within the context ``observer`` is called for every file event of this process just before it happens.

    What it raises happens in place of the event: so the disk can be full, or the process end, at any one of them.
    """
    global _observer
    previous, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = previous


def notify(event: Event, path: Path) -> None:
    """Announce an event; for modules that write in a way of their own."""
    if _observer is not None:
        _observer(event, path)


def expanded(path: str | os.PathLike[str]) -> Path:
    """``path`` with ``~`` replaced by the user's home; as it is for a user without one, as in many containers."""
    return Path(os.path.expanduser(path))


class NewFile:
    """A file being written for the first time; ``close`` makes it durable, ``sha256`` is then its content's digest."""

    def __init__(self, path: Path) -> None:
        notify("create", path)
        self.path, self._digest, self._small = path, hashlib.sha256(), bytearray()
        self._stream = path.open("xb", buffering=0)

    def write(self, content: bytes | memoryview) -> None:
        """Append ``content``. What is small waits to be written with what follows; what is large is not copied."""
        whole = memoryview(content).cast("B")
        if len(self._small) + len(whole) < CHUNK_BYTES:
            self._small += whole
            return
        self._flush()
        for start in range(0, len(whole), CHUNK_BYTES):
            self._write(whole[start : start + CHUNK_BYTES])

    def _flush(self) -> None:
        if self._small:
            small, self._small = self._small, bytearray()
            self._write(memoryview(small))

    def _write(self, part: memoryview) -> None:
        notify("write", self.path)
        self._digest.update(part)
        try:
            while part:
                part = part[self._stream.write(part) :]
        except OSError as error:  # as of a full disk, which names no file
            error.filename = os.fspath(self.path)
            raise

    @property
    def sha256(self) -> str:
        """Hex digest of what was written, once the file is closed."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Sync the file and close it; it is closed also where syncing fails."""
        with self._stream:
            self._flush()
            notify("sync", self.path)
            os.fsync(self._stream.fileno())

    def abandon(self) -> None:
        """Close without syncing, after a failure."""
        self._stream.close()


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Yield a file to be written at ``path``, within a staged folder; on success it is synced."""
    stream = NewFile(path)
    try:
        yield stream
        stream.close()
    finally:
        stream.abandon()


@contextmanager
def whole_file(path: Path) -> Iterator[NewFile]:
    """Yield a file that becomes ``path`` once it is whole and synced."""
    with _staged(path) as temporary, new_file(temporary) as stream:
        yield stream


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically (stage, fsync, rename, fsync of the folder)."""
    with whole_file(path) as stream:
        stream.write(content)


def write_new(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically, unless something is there: raises FileExistsError then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with new_file(temporary) as stream:
            stream.write(content)
        notify("rename", path)
        os.link(temporary, path)
        sync_folder(path.parent)
    finally:
        discard(temporary)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and becomes ``path``, else it is removed."""
    with _staged(path) as temporary:
        yield temporary
        sync(temporary)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it is synced and becomes ``path``, else it is removed.

    Its files are to be written by ``new_file``. Raises FileExistsError when ``path`` exists: folders written this way
    are never overwritten.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    with _staged(path) as temporary:
        notify("create", temporary)
        temporary.mkdir()
        yield temporary
        sync_folder(temporary)


@contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path``; on success what was made there becomes ``path``, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        promote(temporary, path)
    except BaseException as error:
        discard(temporary)
        if isinstance(error, OSError) and error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)  # the name that a user knows
        raise


def promote(finished: Path, path: Path) -> None:
    """Give what is finished and synced its name, durably."""
    notify("rename", path)
    os.replace(finished, path)
    sync_folder(path.parent)


def lock(stream: IO[Any], *, shared: bool = False) -> bool:
    """Lock a file until it is closed or the process ends; False where another process has it.

    ``shared`` locks exclude exclusive ones only. Windows has no shared ones; there a byte far behind the content is
    locked, so that the content can be read. A Python that has neither module locks nothing.
    """
    try:
        if fcntl is None:
            _lock_byte(stream)
        else:
            fcntl.flock(stream, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_byte(stream: IO[Any]) -> None:
    try:
        windows: Any = import_module("msvcrt")
    except ModuleNotFoundError:
        return
    before = stream.tell()
    os.lseek(stream.fileno(), LOCKED_BYTE, os.SEEK_SET)
    try:
        windows.locking(stream.fileno(), windows.LK_NBLCK, 1)
    finally:
        os.lseek(stream.fileno(), before, os.SEEK_SET)


def sync(path: Path) -> None:
    """fsync a file."""
    notify("sync", path)
    _fsync(path)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that the names in it are durable."""
    notify("sync folder", path)
    if os.name != "nt":  # Windows opens no folders
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)  # Windows syncs what may be written to
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """How much this user may still write to the folder's file system."""
    return shutil.disk_usage(folder).free


def remove_folder(path: Path) -> None:
    """Remove a folder so that its name never stands for half of it."""
    leaving = _beside(path)
    notify("rename", path)
    os.rename(path, leaving)
    discard(leaving)


def discard(path: Path) -> None:
    """Remove a staged file or folder as far as that can be done: a failure to clean up is none of the write's."""
    with suppress(OSError):
        notify("remove", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove what a killed process left staged in ``folder``. Only who holds the folder may call it."""
    for leftover in folder.glob(f"{STAGED_PREFIX}*"):
        discard(leftover)


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove staged files that nobody has written to for long: they are those of killed processes."""
    for leftover in (found for folder in folders for found in folder.glob(f"{STAGED_PREFIX}*")):
        with suppress(OSError):
            if leftover.is_file() and time.time() - leftover.stat().st_mtime > ABANDONED_SECONDS:
                discard(leftover)


def _beside(path: Path) -> Path:
    """A staged name in the same folder (same file system), short enough for a 255-byte name, with ``path``'s suffix."""
    token = f"{os.getpid():x}{os.urandom(4).hex()}"
    return path.with_name(f"{STAGED_PREFIX}{token}{path.suffix[:16]}")
