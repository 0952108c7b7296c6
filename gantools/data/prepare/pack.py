"""Folders of images packed into tar files, for sets larger than a file system likes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from gantools import files
from gantools.data.folders import search
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


def pack(folders: Sequence[Path], output: Path, shard_megabytes: float, progress: Callable[[int, int], None]) -> Report:
    """Write the images of ``folders`` into tars of about ``shard_megabytes`` in ``output``.

    One folder's tree is kept; of several, each keeps its own under its name. The same images give the same bytes.
    Files of one stem stay in one shard. ``progress`` gets the numbers of images done and in all.
    Raises DataError for a folder without images or two of one name, OSError when nothing can be written.
    """
    if len({folder.resolve().name for folder in folders}) < len(folders):
        raise DataError("pack: two folders have the same name; pack the folder above them, or rename one")
    found = []
    for folder in folders:
        search.require_folder(folder)
        prefix = f"{folder.resolve().name}/" if len(folders) > 1 else ""
        paths = search.image_files(folder)
        found += [_Source(prefix + path.relative_to(folder).as_posix(), path) for path in paths]
    found.sort(key=lambda source: (source.stem, source.name))  # those of one stem beside each other
    with files.staged_folder(output) as staged:
        done = 0
        for number, group in enumerate(_divided(found, shard_megabytes * MEGABYTE)):
            with files.new_file(staged / f"{number:06d}.tar") as stream:
                _write(stream, group)
            done += len(group)
            progress(done, len(found))
        shards.write_index(staged)
        tars = sorted(staged.glob("*.tar"))
        return Report(len(found), len(tars), sum(tar.stat().st_size for tar in tars))


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
