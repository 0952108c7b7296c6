"""Folders of images packed into tar files, for sets larger than a file system likes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from gantools import files
from gantools.data.folders import layout, search, streamed
from gantools.errors import DataError
from gantools.images.io import shards

MEGABYTE = 2**20


@dataclass(frozen=True)
class Report:
    """What was packed."""

    images: int
    shards: int
    bytes: int


@dataclass(frozen=True)
class _Source:
    """A file and its name in the packed folder."""

    name: str
    path: Path

    @property
    def stem(self) -> str:
        """What WebDataset tells samples apart by: the path up to the first dot of the file's name."""
        name = PurePosixPath(self.name)
        return str(name.parent / name.name.split(".")[0])


def pack(
    folders: Sequence[Path],
    output: Path,
    shard_megabytes: float,
    progress: Callable[[int, int], None],
    *,
    stream: bool = False,
) -> Report:
    """Write the images of ``folders`` into tars of about ``shard_megabytes`` in ``output``.

    One folder's tree is kept; of several, each keeps its own under its name. The same images give the same bytes.
    Files of one stem stay in one shard. ``progress`` gets the numbers of images done and in all.
    For ``stream`` single images are packed in an order that their names decide, and the shards are listed, not the
    images (``folders.streamed``).
    Raises DataError for a folder without images or two of one name, OSError when nothing can be written.
    """
    if len({folder.resolve().name for folder in folders}) < len(folders):
        raise DataError("pack: two folders have the same name; pack the folder above them, or rename one")
    found = []
    for folder in folders:
        search.require_folder(folder)
        if stream:
            _require_single(folder)
        prefix = f"{folder.resolve().name}/" if len(folders) > 1 else ""
        paths = search.image_files(folder)
        found += [_Source(prefix + path.relative_to(folder).as_posix(), path) for path in paths]
    # those of one stem beside each other
    found.sort(key=lambda source: (_mixed(source.stem) if stream else "", source.stem, source.name))
    with files.staged_folder(output) as staged:
        done, listed = 0, []
        for number, group in enumerate(_divided(found, shard_megabytes * MEGABYTE)):
            tar = staged / f"{number:06d}.tar"
            with files.new_file(tar) as written:
                _write(written, group)
            if stream:
                shards.write_index_beside(tar)
                listed.append(streamed.Shard(tar.name, tar.stat().st_size, len(group), written.sha256))
            done += len(group)
            progress(done, len(found))
        if stream:
            streamed.write_list(staged, listed)
        else:
            shards.write_index(staged)
        tars = sorted(staged.glob("*.tar"))
        return Report(len(found), len(tars), sum(tar.stat().st_size for tar in tars))


def _require_single(folder: Path) -> None:
    """Raise DataError for a set of more than single images: two sides, or two splits."""
    both = layout.named_pair(folder)
    splits = [search.split_folder(folder, split) for split in ("training", "validation")]
    if found := both or (splits if all(splits) else None):
        names = " and ".join(f"'{each}'" for each in found)
        raise DataError(f"pack --stream: packs single images; pack {names} by themselves, or without --stream")


def _mixed(stem: str) -> str:
    """What sorts names at random, always in the same way: so a shard is a random part of the set."""
    return hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()


def _divided(found: Sequence[_Source], most_bytes: float) -> Iterator[list[_Source]]:
    """The images shard by shard."""
    group: list[_Source] = []
    held = 0
    for source in found:
        size = shards.size_bytes(source.path)
        if group and held + size > most_bytes and source.stem != group[-1].stem:
            yield group
            group, held = [], 0
        group.append(source)
        held += size
    yield group


def _write(stream: files.NewFile, group: Sequence[_Source]) -> None:
    """Headers say nothing of when and by whom: the same images give the same shard."""
    with tarfile.open(fileobj=cast(BinaryIO, stream), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for source in group:
            with shards.opened(source.path) as image:
                content = image.read()
            header = tarfile.TarInfo(source.name)
            header.size, header.mode = len(content), 0o644
            archive.addfile(header, io.BytesIO(content))
