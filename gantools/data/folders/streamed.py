"""Packed sets that outgrow memory: their shards are listed, and what lies in one is looked up when it is needed.

``gantools data pack --stream`` writes them: tars, the index of each beside it, and ``stream.json``, a line per shard.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import overload

import numpy as np

from gantools import files
from gantools.data.folders import search
from gantools.data.folders.fetched import KEPT, ShardCache
from gantools.data.folders.layout import Item
from gantools.data.loading.sampler import Parts, SampleKey, ShardOrder
from gantools.data.options.datasets import ShardOptions
from gantools.errors import DataError, ImageError
from gantools.images.io import shards
from gantools.images.io.shards import STREAM, TarMembers
from gantools.jobs import remote
from gantools.jobs.remote import Location, RemotePath, is_remote, located
from gantools.pretrained.catalogue import weights_folder

SCHEMA = 1
_DIGEST = re.compile("[0-9a-f]{64}")
SINGLE = "elsewhere only sets packed with --stream are read, by recipes that learn from single images"


@dataclass(frozen=True)
class Shard:
    """What ``stream.json`` says of a tar, where it lies, and what the names of its images begin with."""

    file: str
    bytes: int
    images: int
    sha256: str
    folder: Location = Path()
    prefix: str = ""

    @property
    def name(self) -> str:
        """By which it falls to training or validation: the same wherever the set lies."""
        return self.sha256


class StreamedItems(Sequence[Item]):
    """The images of shards by number. An item is made when it is asked for; its shard is looked into then."""

    def __init__(self, listed: Sequence[Shard], options: ShardOptions) -> None:
        self.shards = listed
        folder = files.expanded(options.folder) if options.folder else weights_folder().with_name("shards")
        self._cache = ShardCache(folder, options.gigabytes * 1e9)
        self._ahead: tuple[ShardOrder, set[int]] | None = None
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
        where = shard.folder / PurePath(shard.file)
        if isinstance(where, RemotePath):
            where = self._cache.local(where, shard.bytes, shard.sha256)
        tar, members = _looked_into(where, shard)
        name = members.name(index - int(self.parts.firsts[number]))
        return Item(shard.prefix + name, (tar / name,))

    def look_ahead(self, keys: Sequence[SampleKey], seed: int) -> None:
        """Begin to fetch the shards of these samples, and those that follow them in this epoch."""
        wanted: list[Shard] = []
        for key in keys:
            if self._ahead is None or self._ahead[0].epoch != key.epoch:
                self._ahead = ShardOrder(self.parts, seed, key.epoch), set()
            (order, begun), number = self._ahead, self.parts.shard_of(key.index)
            if number not in begun:
                begun.add(number)
                wanted += [self.shards[number], self.shards[order.after(number)]]
        self._cache.begin([(where, shard.bytes, shard.sha256) for shard, where in _elsewhere(wanted)])

    def require_room(self, ranks: int, sharing: int) -> None:
        """Raise DataError where what ``sharing`` of ``ranks`` processes read at a time is more than may be kept."""
        at_once = self.parts.at_once
        lanes = min(at_once, at_once // math.gcd(at_once, ranks) * sharing)
        sizes = [shard.bytes for shard, _ in _elsewhere(self.shards)]
        needed = min(KEPT * lanes * max(sizes, default=0), sum(sizes))
        if needed > self._cache.most_bytes:
            raise DataError(
                f"data.shards.gigabytes: {lanes} shards at a time, each with the ones before and after it, need "
                f"{needed / 1e9:.1f} GB; raise it from {self._cache.most_bytes / 1e9:g}, or lower data.shards.at_once"
            )

    def sampled(self) -> Sequence[Item]:
        """Some images of the first shard: what can be looked at without reading all shards."""
        return [self[index] for index in search.sampled(range(self.shards[0].images))]

    def fingerprint(self) -> str:
        """A digest of what was packed, wherever it lies."""
        listed = "\n".join(f"{shard.images} {shard.sha256}" for shard in self.shards)
        return hashlib.sha256(listed.encode()).hexdigest()


def _elsewhere(listed: Sequence[Shard]) -> list[tuple[Shard, RemotePath]]:
    placed = ((shard, shard.folder / PurePath(shard.file)) for shard in listed)
    return [(shard, where) for shard, where in placed if isinstance(where, RemotePath)]


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
    """Whether a folder was written by ``data pack --stream``, as all that lie elsewhere have to be."""
    return name is not None and (is_remote(name) or (files.expanded(name) / STREAM).is_file())


def listed(names: Sequence[str]) -> list[Shard]:
    """The shards of sets. Raises DataError for a list that cannot be read, and for a folder that is no such set."""
    if others := [name for name in names if not is_one(name)]:
        raise DataError(f"data.dir: '{others[0]}' was not packed with --stream, others were; train on one kind")
    return [shard for name in names for shard in _listed(name, f"{located(name)}/" if len(names) > 1 else "")]


def _listed(name: str, prefix: str) -> list[Shard]:
    folder = located(name) if is_remote(name) else files.expanded(name)
    place = folder / PurePath(STREAM)
    try:
        stored = json.loads(remote.read(place, then="") if isinstance(place, RemotePath) else place.read_bytes())
        if stored["schema"] != SCHEMA or not stored["shards"]:
            raise ValueError(f"schema {stored['schema']}, {len(stored['shards'])} shards")
        rows: list[tuple[str, int, int, str]] = stored["shards"]
        found = [Shard(file, size, images, sha256, folder, prefix) for file, size, images, sha256 in rows]
        for shard in found:
            if PurePath(shard.file).name != shard.file or not _DIGEST.fullmatch(shard.sha256) or shard.images < 1:
                raise ValueError(f"of shard {shard.file!r}")
        return found
    except ImageError as error:
        where = f" ({SINGLE})" if isinstance(error.__cause__, FileNotFoundError) else ""
        raise DataError(f"data.dir: {error}{where}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"data.dir: '{place}': not a list of shards ({error}); pack the images again") from error


def write_list(folder: Path, packed: Sequence[Shard]) -> None:
    """Write ``stream.json``, a line per shard: its file's name, bytes, images and SHA-256."""
    lines = [json.dumps([shard.file, shard.bytes, shard.images, shard.sha256]) for shard in packed]
    content = f'{{"schema": {SCHEMA}, "shards": [\n' + ",\n".join(lines) + "\n]}\n"
    files.write_bytes(folder / STREAM, content.encode())
