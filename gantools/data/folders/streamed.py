"""Packed sets that outgrow memory: their shards are listed, and what lies in one is looked up when it is needed.

``gantools data pack --stream`` writes them: tars, the index of each beside it, and ``stream.json``, a line per shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from gantools import files
from gantools.data.folders.layout import Item
from gantools.data.loading.sampler import Parts
from gantools.data.options.datasets import ShardOptions
from gantools.errors import DataError
from gantools.images.io import shards
from gantools.images.io.shards import STREAM, TarMembers

SCHEMA = 1


@dataclass(frozen=True)
class Shard:
    """What ``stream.json`` says of a tar, where it lies, and what the names of its images begin with."""

    file: str
    bytes: int
    images: int
    sha256: str
    folder: Path = Path()
    prefix: str = ""

    @property
    def name(self) -> str:
        """By which it falls to training or validation: the same wherever the set lies."""
        return self.sha256


class StreamedItems(Sequence[Item]):
    """The images of shards by number. An item is made when it is asked for; its shard is looked into then."""

    def __init__(self, listed: Sequence[Shard], options: ShardOptions) -> None:
        self.shards = listed
        self.parts = Parts(np.array([shard.images for shard in listed], np.int64), options.at_once)

    def __len__(self) -> int:
        return int(self.parts.firsts[-1])

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """Raises DataError where the shard cannot be read, or is not the one that was packed."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self.parts.shard_of(index)
        shard = self.shards[number]
        tar, members = _looked_into(shard.folder / shard.file, shard)
        name = members.name(index - int(self.parts.firsts[number]))
        return Item(shard.prefix + name, (tar / name,))

    def of_one_shard(self) -> Sequence[Item]:
        """The images of the first shard: what can be looked at without reading all shards."""
        return self[: self.shards[0].images]

    def fingerprint(self) -> str:
        """A digest of what was packed, wherever it lies."""
        listed = "\n".join(f"{shard.images} {shard.sha256}" for shard in self.shards)
        return hashlib.sha256(listed.encode()).hexdigest()


def _looked_into(tar: Path, shard: Shard) -> tuple[Path, TarMembers]:
    """A shard's file and what it holds. Raises DataError."""
    try:
        size_bytes = tar.stat().st_size
        found = shards.find(tar) if size_bytes == shard.bytes else None
    except OSError as error:
        raise DataError(f"data.dir: shard '{tar}' cannot be read: {error.strerror}") from error
    members = found[0].members if found else None
    if not isinstance(members, TarMembers) or len(members) != shard.images:
        raise DataError(f"data.dir: shard '{tar}' is not the one that was packed: it was changed, or cut off")
    return tar, members


def is_one(name: str | None) -> bool:
    """Whether a folder was written by ``data pack --stream``."""
    return name is not None and (files.expanded(name) / STREAM).is_file()


def listed(names: Sequence[str]) -> list[Shard]:
    """The shards of sets. Raises DataError for a list that cannot be read, and for a folder that is no such set."""
    if others := [name for name in names if not is_one(name)]:
        raise DataError(f"data.dir: '{others[0]}' was not packed with --stream, others were; train on one kind")
    return [shard for name in names for shard in _listed(name, f"{name}/" if len(names) > 1 else "")]


def _listed(name: str, prefix: str) -> list[Shard]:
    place = files.expanded(name) / STREAM
    try:
        stored = json.loads(place.read_bytes())
        if stored["schema"] != SCHEMA or not stored["shards"]:
            raise ValueError(f"schema {stored['schema']}, {len(stored['shards'])} shards")
        return [
            Shard(str(file), int(size_bytes), int(images), str(sha256), place.parent, prefix)
            for file, size_bytes, images, sha256 in stored["shards"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"data.dir: '{place}': not a list of shards ({error}); pack the images again") from error


def write_list(folder: Path, packed: Sequence[Shard]) -> None:
    """Write ``stream.json``, a line per shard: its file's name, bytes, images and SHA-256."""
    lines = [json.dumps([shard.file, shard.bytes, shard.images, shard.sha256]) for shard in packed]
    content = f'{{"schema": {SCHEMA}, "shards": [\n' + ",\n".join(lines) + "\n]}\n"
    files.write_bytes(folder / STREAM, content.encode())
