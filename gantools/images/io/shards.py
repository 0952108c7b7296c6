"""Folders packed into tar files, and ZIP files: images are read out of them as if they lay in a folder.

A packed folder holds tar files and nothing else to look at (WebDataset's layout: plain uncompressed members; the files
of one sample have one stem and follow each other). ``DIR/trainA/3.png`` then names a member of one of ``DIR``'s tars.
Where members lie is kept in ``shards.json``; without it, or when a tar has another size, the tars are scanned once.
A ZIP file is a folder by itself: ``set.zip/00/3.png`` names a member of it. So is a tar: ``000017.tar/3.png``.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from gantools import files
from gantools.errors import DataError
from gantools.images.formats import passed_over

INDEX = "shards.json"
STREAM = "stream.json"
"""The list of shards, but not of images, of a set that is read shard by shard."""
SCHEMA = 1
OPEN_TARS = 512
_BESIDE = {".tar", ".json", ".txt", ".md"}
"""Suffixes of what may lie in a packed folder; with anything else it is an ordinary one that happens to hold tars."""


@dataclass(frozen=True)
class Member:
    """Where a file's bytes lie."""

    shard: Path
    offset: int
    size_bytes: int
    name: str | None = None
    """Its name within a ZIP file, by which it is read, compressed or not; None in a tar."""


@dataclass(frozen=True)
class Packed:
    """A packed folder: its files by their path within it, and the folders that they lie in ("" for itself)."""

    root: Path
    members: Mapping[str, Member]

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that members lie in; "" is the packed one itself."""
        folders = {parent.as_posix() for name in self.members for parent in PurePosixPath(name).parents}
        return frozenset(folders - {"."} | {""})


class TarMembers(Mapping[str, Member]):
    """The files of one tar by name, sorted, in arrays: of millions of images no object each."""

    def __init__(self, tar: Path, places: Mapping[str, Sequence[int]]) -> None:
        self._tar = tar
        named = sorted((os.fsencode(name), *place) for name, place in places.items())
        self._names = np.array([name for name, *_ in named], np.bytes_)
        self._places: npt.NDArray[np.int64] = np.array([place for _, *place in named], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return map(self.name, range(len(self)))

    def __getitem__(self, name: str) -> Member:
        wanted = os.fsencode(name)
        at = int(np.searchsorted(self._names, wanted)) if len(self) else 0
        if at == len(self) or self._names[at] != wanted:
            raise KeyError(name)
        return Member(self._tar, *self._places[at].tolist())

    def name(self, number: int) -> str:
        """The name of a file by its place among the sorted names."""
        return os.fsdecode(bytes(self._names[number]))


def find(path: Path) -> tuple[Packed, str] | None:
    """The packed folder that ``path`` is or lies in, and the name within it ("" for itself)."""
    for folder in (path, *path.parents):
        opener = _OPENERS.get(folder.suffix.lower())
        if opener is None or not folder.is_file():
            opener = _opened if folder.is_dir() else None
        if opener is not None:
            packed = opener(folder, folder.stat().st_mtime_ns)
            name = path.relative_to(folder).as_posix()
            return (packed, "" if name == "." else name) if packed else None
    return None


def exists(path: Path) -> bool:
    """Whether there is such a file or folder, packed or not."""
    return path.exists() or is_folder(path) or _member(path) is not None


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder, packed or not."""
    if path.is_dir():
        return True
    found = find(path)
    return found is not None and found[1] in found[0].folders


def folders_in(folder: Path) -> list[Path]:
    """The visible folders in ``folder``, sorted."""
    found = find(folder)
    if found:
        packed, name = found
        inner = packed.folders - {""}
        return sorted(packed.root / each for each in inner if str(PurePosixPath(each).parent) == (name or "."))
    return sorted(child for child in folder.iterdir() if child.is_dir() and not passed_over(child.name))


def files_below(folder: Path) -> Iterator[Path] | None:
    """Every file below a folder that is packed; None for an ordinary one."""
    found = find(folder)
    if found is None:
        return None
    packed, name = found
    start = f"{name}/" if name else ""
    return (packed.root / member for member in sorted(packed.members) if member.startswith(start))


def size_bytes(path: Path) -> int:
    """The size of a file, packed or not. Raises OSError when there is none."""
    member = None if path.is_file() else _member(path)
    return member.size_bytes if member else path.stat().st_size


def opened(path: Path) -> BinaryIO:
    """A file, packed or not, for reading. Raises OSError when there is none."""
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        member = _member(path)
        if member is None:
            raise
    if member.name is not None:
        return io.BytesIO(_zip(member.shard, os.getpid()).read(member.name))
    with member.shard.open("rb") as stream:
        stream.seek(member.offset)
        return io.BytesIO(stream.read(member.size_bytes))


def _member(path: Path) -> Member | None:
    found = find(path)
    return found[0].members.get(found[1]) if found else None


@lru_cache(maxsize=64)
def _opened(folder: Path, _changed: int) -> Packed | None:
    """What a folder's tars hold; None where it is no packed folder."""
    tars = _tars(folder)
    if not tars:
        return None
    if (folder / STREAM).is_file():
        raise DataError(
            f"'{folder}' was packed with --stream, for recipes that learn from single images; "
            "for this, pack the images without --stream"
        )
    places = _stored(folder, tars)
    if places is None:
        places = {tar.name: places_in(tar) for tar in tars}
        with suppress(OSError):
            write_index(folder)  # for the next time, where the folder can be written
    members = {name: Member(folder / tar, *place) for tar, held in places.items() for name, place in held.items()}
    return Packed(folder, members)


@lru_cache(maxsize=64)
def _opened_zip(path: Path, _changed: int) -> Packed:
    """What a ZIP file holds. Raises DataError when it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [each for each in archive.infolist() if not each.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"'{path}': not an intact ZIP file ({error})") from error
    members = {
        each.filename: Member(path, each.header_offset, each.file_size, each.filename)
        for each in infos
        if not any(map(passed_over, each.filename.split("/")))
    }
    return Packed(path, members)


@lru_cache(maxsize=OPEN_TARS)
def _opened_tar(tar: Path, _changed: int) -> Packed:
    """What a tar holds, by the index beside it, or scanned. Raises DataError when it is none."""
    places = None
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(tar.with_suffix(".json").read_bytes())
        places = stored["files"] if stored["bytes"] == tar.stat().st_size else None
    return Packed(tar, TarMembers(tar, places_in(tar) if places is None else places))


_OPENERS: dict[str, Callable[[Path, int], Packed | None]] = {".zip": _opened_zip, ".tar": _opened_tar}


@lru_cache(maxsize=8)
def _zip(path: Path, _process: int) -> zipfile.ZipFile:
    """An open ZIP file; each process has its own, for they would share its position."""
    return zipfile.ZipFile(path)


def _tars(folder: Path) -> list[Path]:
    """The tars of a folder that holds nothing else; of an ordinary one not even all names are looked at."""
    tars = []
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = "" if passed_over(entry.name) else PurePosixPath(entry.name).suffix
            if suffix not in _BESIDE and not passed_over(entry.name):
                return []
            tars += [folder / entry.name] if suffix == ".tar" else []
    return sorted(tars)


def write_index(folder: Path) -> None:
    """Write where the members of the tars in ``folder`` lie."""
    tars = sorted(folder.glob("*.tar"))
    index = {tar.name: {"bytes": tar.stat().st_size, "files": places_in(tar)} for tar in tars}
    files.write_bytes(folder / INDEX, json.dumps({"schema": SCHEMA, "shards": index}).encode())


def write_index_beside(tar: Path) -> None:
    """Write where the files of one tar lie into a JSON file of its name."""
    places = places_in(tar)
    files.write_bytes(tar.with_suffix(".json"), json.dumps({"bytes": tar.stat().st_size, "files": places}).encode())


def places_in(tar: Path) -> dict[str, tuple[int, int]]:
    """Offset and size of every visible file in a tar. Raises DataError when it is none, or compressed."""
    try:
        with tarfile.open(tar, "r:") as archive:
            members = [member for member in archive if member.isreg()]
    except tarfile.TarError as error:
        raise DataError(f"'{tar}': not an uncompressed tar file ({error}); unpack it, or remove it") from error
    found = {member.name.removeprefix("./"): (member.offset_data, member.size) for member in members}
    return {name: place for name, place in found.items() if not any(map(passed_over, name.split("/")))}


def _stored(folder: Path, tars: list[Path]) -> Mapping[str, Mapping[str, tuple[int, int]]] | None:
    """The index, if it is of these very tars."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        sizes = {tar: shard["bytes"] for tar, shard in index["shards"].items()}
        if index["schema"] != SCHEMA or sizes != {tar.name: tar.stat().st_size for tar in tars}:
            return None
        return {
            tar: {name: (at, size) for name, (at, size) in shard["files"].items()}
            for tar, shard in index["shards"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
