"""Files elsewhere: what a user names by ``scheme://``, such as s3://, gs:// and https://, through fsspec. No torch.

Nothing here is done for a name without ``://``, and fsspec is imported for the first one with it. What stores and
their libraries raise becomes one line that names the URL, without what is secret in it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Literal, TypeAlias

from gantools.errors import GantoolsError, ImageError, UsageError
from gantools.files import STAGED_PREFIX
from gantools.images.formats import passed_over

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>]+")
_USER = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"[?#](?=\w[\w-]*(=|&|$)).*")
"""What follows a name; in a bucket ``what?.png`` is one."""

_WEB = frozenset({"http", "https"})
_EXTRA = frozenset({*_WEB, "s3", "s3a", "gs", "gcs"})
"""What is reached by the packages of the extra."""

_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Object stores: an object is put there whole or not at all. Elsewhere files are written beside and renamed."""


@dataclass(frozen=True)
class RemotePath:
    """A file or folder elsewhere. ``str`` is its name for messages: its URL without passwords and signatures."""

    url: str

    def __str__(self) -> str:
        return _QUERY.sub(lambda query: f"{query[0][0]}…", _USER.sub("…@", self.url))

    def __truediv__(self, place: PurePath) -> RemotePath:
        return RemotePath("/".join((self.url.rstrip("/"), *place.parts)))

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0].lower()

    @property
    def name(self) -> str:
        """The last part, which is empty for what ends with /."""
        return _QUERY.sub("", self.url).rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.url.rpartition("/")[0])


AGAIN = "--skip-existing does the rest"

Location: TypeAlias = Path | RemotePath


def is_remote(name: str) -> bool:
    """Whether this names something elsewhere: ``scheme://…``. A local file of that name is ``./scheme://…``."""
    return _SCHEME.match(name) is not None


def located(name: str) -> Location:
    """What a user's name stands for."""
    return RemotePath(name) if is_remote(name) else Path(name)


def kind(path: RemotePath) -> Literal["file", "folder"] | None:
    """What is there, as the store says; None: nothing. On the web all are files. Raises UsageError."""
    if path.scheme in _WEB:
        return "file"
    if path.url.endswith("/"):
        return "folder"
    with _asking(path, UsageError) as (store, name):
        try:
            return "folder" if store.info(name)["type"] == "directory" else "file"
        except FileNotFoundError:
            return None


def below(folder: RemotePath, output: Location, *, recursive: bool) -> list[PurePath]:
    """The places of the files below a folder, in the order of ``entries_below`` and without what that passes over.

    Nor are those in ``output`` found, and those whose names are no paths here, such as ``a//b``. Raises UsageError.
    """
    with _asking(folder, UsageError) as (store, name):
        if not recursive:
            found = [entry["name"] for entry in store.ls(name, detail=True) if entry["type"] != "directory"]
        elif folder.scheme in _WHOLE:  # a request for a thousand names, whatever the folders
            found = store.find(name)
        else:
            found = [path for _, _, files in store.walk(name, on_error="raise", detail=True) for path in _named(files)]
        prefix = name.rstrip("/") + "/"
        own = _opened(output)[1].rstrip("/") + "/" if isinstance(output, RemotePath) else ""
    if own.startswith(prefix) and own != prefix:
        found = [path for path in found if not path.startswith(own)]
    parts = [path.removeprefix(prefix).split("/") for path in found if path.startswith(prefix)]
    parts.sort(key=lambda names: [*((True, name) for name in names[:-1]), (False, names[-1])])
    return [PurePath(*names) for names in parts if all(map(_is_path_here, names))]


def _named(entries: dict[str, dict[str, Any]]) -> list[str]:
    return [entry["name"] for entry in entries.values()]


def _is_path_here(name: str) -> bool:
    """Whether a part of a name is one of a path, and not hidden; ``..`` and, on Windows, ``C:`` lead elsewhere."""
    return name != "" and not passed_over(name) and PurePath(name).name == name


def identity(path: RemotePath) -> tuple[str, str]:
    """What is equal for two names of one file. Raises UsageError."""
    store, name = _opened(path)
    return type(store).__name__ + str(store.storage_options), name


def existing(paths: Collection[RemotePath]) -> set[RemotePath]:
    """Those that are there, by a listing of each of their folders. Raises UsageError."""
    folders: dict[RemotePath, list[RemotePath]] = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    found = set()
    for folder, inside in folders.items():
        alone = inside[0] if len(inside) == 1 else folder  # of a single file only that is asked for
        with _asking(alone, UsageError) as (store, name), suppress(FileNotFoundError):
            entries = [store.info(name)] if alone is not folder else store.ls(name, detail=True)
            there = {entry["name"].rstrip("/") for entry in entries if entry["type"] != "directory"}
            found |= {path for path in inside if _opened(path)[1] in there}
    return found


def require_writable(paths: Collection[RemotePath]) -> None:
    """Raise UsageError for what is on the web, and for buckets that do not exist or cannot be reached."""
    for path in paths:
        if path.scheme in _WEB:
            raise UsageError(f"{str(path)!r}: nothing is written to {path.scheme}://; give a file, a folder or s3://…")
    buckets = {RemotePath("/".join(path.url.split("/")[:3])) for path in paths if path.scheme in _WHOLE}
    for bucket in buckets:
        with _asking(bucket, UsageError) as (store, name), suppress(PermissionError):  # some may only write
            store.info(name)


def read(path: RemotePath, end: int | None = None, then: str = AGAIN) -> bytes:
    """The content of a file, or its first bytes up to ``end``. Raises ImageError, and UsageError as for any name.

    ``then`` says in messages what goes on where a connection fails.
    """
    with _asking(path, ImageError, then) as (store, name):
        content: bytes = store.cat_file(name, start=None if end is None else 0, end=end)
        return content


def fetch(path: RemotePath, target: Path, then: str) -> None:
    """Copy a file to a local one, part by part. Raises ImageError, and UsageError as for any name."""
    with _asking(path, ImageError, then) as (store, name):
        store.get_file(name, str(target))


def write(path: RemotePath, content: bytes) -> None:
    """Write a file whole or, where that fails, not at all. Raises ImageError, and UsageError as for any name."""
    with _asking(path, ImageError) as (store, name):
        if path.scheme in _WHOLE:
            store.pipe_file(name, content)
            return
        folder, _, last = name.rpartition("/")
        staged = f"{folder}/{STAGED_PREFIX}{os.urandom(8).hex()}{PurePosixPath(last).suffix}"
        store.makedirs(folder, exist_ok=True)
        try:
            store.pipe_file(staged, content)
            store.mv(staged, name)
        except BaseException:
            with suppress(Exception):
                store.rm_file(staged)
            raise


@contextmanager
def _asking(path: RemotePath, failure: type[GantoolsError], then: str = AGAIN) -> Iterator[tuple[Any, str]]:
    """The store of ``path`` and its name there, with nothing remembered; what goes wrong with it is a ``failure``."""
    store, name = _opened(path)
    store.invalidate_cache()
    try:
        yield store, name
    except GantoolsError:
        raise
    except Exception as error:  # each library has its own
        secret = str(path) != path.url  # which a traceback would show
        raise failure(f"{str(path)!r}: {_reason(error, path, then)}") from (None if secret else error)


def _opened(path: RemotePath) -> tuple[Any, str]:
    """A file system of fsspec and a path in it; nothing is sent. Raises UsageError."""
    if "::" in path.url:
        raise UsageError(f"{str(path)!r}: names with :: are not read; give the URL of an image or a folder")
    install = "pip install 'gantools[remote]'"
    try:
        from fsspec.core import url_to_fs

        store, name = url_to_fs(path.url)
    except ImportError as error:
        how = install if path.scheme in _EXTRA else "install what it names"
        raise UsageError(f"{str(path)!r}: {path.scheme}:// needs more packages ({_line(error)}): {how}") from error
    except ValueError as error:
        raise UsageError(f"{str(path)!r}: {_line(error)}; known are s3://, gs://, https://, …") from error
    return store, str(name)


def _reason(error: Exception, path: RemotePath, then: str) -> str:
    """What went wrong with a file and what to do, in one line."""
    said, text = type(error).__name__, _line(error)
    if isinstance(error, FileNotFoundError):
        return "is not there: no such file, folder or bucket"
    if isinstance(error, PermissionError) or "Credential" in said or re.match("40[13]\\b", text):
        return f"no permission ({text}); give credentials that have it, as for the store's own tools"
    if isinstance(error, ConnectionError | TimeoutError) or re.search("Connect|Timeout", said):
        return f"the connection to {path.scheme}:// failed ({text or said}); try again{then and ', '}{then}"
    return f"{said}: {text}"


def _line(error: Exception) -> str:
    """An error's text in one line, without secrets of URLs."""
    return _IN_TEXT.sub(lambda url: str(RemotePath(url[0])), " ".join(str(error).split()))
