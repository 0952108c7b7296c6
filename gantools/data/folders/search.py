"""Image files below a folder, packed or not, in an order that never depends on the disk.

Hidden files and folders are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from gantools.errors import DataError, ImageError
from gantools.images import formats
from gantools.images.io import reader, shards
from gantools.jobs.image_files import entries_below

T = TypeVar("T")

SUFFIXES = frozenset(f".{suffix}" for suffix in formats.FORMATS)
Split = Literal["training", "validation"]
SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {
    "training": ("train", "training"),
    "validation": ("val", "valid", "validation", "test"),
}

CHECKED_FILES = 200
"""Headers read before training: enough to find a wrong layout, few enough to take well under a second."""


def require_folder(folder: Path) -> None:
    """Raise DataError when ``folder`` is none."""
    if not shards.exists(folder):
        raise DataError(f"data.dir: '{folder}' does not exist; give a folder with --data DIR")
    if not shards.is_folder(folder):
        raise DataError(f"data.dir: '{folder}' is a file; give a folder of images with --data DIR")


def image_files(folder: Path) -> list[Path]:
    """All image files below ``folder``, sorted by relative path; links to folders are followed, once each.

    Raises DataError when there is none.
    """
    seen = 0
    found = []
    try:
        packed = shards.files_below(folder)
        for path in packed if packed is not None else (Path(e.path) for e in entries_below(folder) if e.is_file()):
            seen += 1
            if path.suffix.lower() in SUFFIXES:
                found.append(path)
    except OSError as error:
        raise DataError(f"data.dir: '{error.filename}' cannot be read: {error.strerror}") from error
    if not found:
        suffixes = " ".join(sorted(SUFFIXES))
        raise DataError(f"data.dir: '{folder}' holds no images: {seen} files seen, none ends in {suffixes}")
    return sorted(found, key=lambda path: os.fsencode(path.relative_to(folder).as_posix()))


def split_folder(folder: Path, split: Split) -> Path | None:
    """The sub-folder that a ready-made set keeps this split in (train, val, test …), if it has one."""
    if not shards.is_folder(folder):
        return None
    present = {child.name.lower(): child for child in shards.folders_in(folder)}
    return next((present[name] for name in SPLIT_FOLDERS[split] if name in present), None)


def sampled(items: Sequence[T]) -> Sequence[T]:
    """At most CHECKED_FILES items, evenly spread."""
    return items[:: max(1, -(-len(items) // CHECKED_FILES))]


def by_stem(folder: Path) -> dict[str, Path]:
    """Relative path without suffix → file. Raises DataError for two files that differ in their suffix only."""
    stems: dict[str, Path] = {}
    for path in image_files(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in stems:
            raise DataError(f"data.dir: '{folder}': {stems[stem].name} and {path.name} have the same name; keep one")
        stems[stem] = path
    return stems


def first_names(paths: Sequence[Path]) -> str:
    """The first five files with the folder they lie in, for messages."""
    return ", ".join(f"{path.parent.name}/{path.name}" for path in paths[:5]) + (", …" if len(paths) > 5 else "")


def size_of(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header, or None where it cannot be read: training reports such files by name."""
    try:
        header = reader.probe(path)
    except ImageError:
        return None
    return header.width, header.height


def some_names(folders: Iterable[Path]) -> str:
    """Names of folders, each once, in order."""
    names = sorted({folder.name for folder in folders})
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
