"""Image files: found by suffix, and named anew."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from gantools.errors import ImageError
from gantools.images.formats import FORMATS, INPUT_ONLY, SUFFIXES, passed_over, sniff
from gantools.jobs import remote
from gantools.jobs.remote import Location, RemotePath

MOST_COUNTED = 100_000
"""Files below a folder that are looked at to say what is not read."""

_HEAD_BYTES = 32
_SUFFIXES_SHOWN = 5


def entries_below(
    folder: Path | str,
    *,
    recursive: bool = True,
    without: Path | None = None,
    refused: Callable[[OSError], object] | None = None,
) -> Iterator[os.DirEntry[str]]:
    """What lies below a folder and is no folder, in order of name, before what lies in its sub-folders.

    Links are followed, a folder is entered once, ``without`` not at all; hidden files and folders and ``CLUTTER`` are
    passed over. ``refused`` is given the error of a sub-folder that cannot be read. Raises OSError where it is None.
    """
    return _entries(folder, {os.path.realpath(without)} if without else set(), recursive, refused)


def _entries(
    folder: Path | str, entered: set[str], recursive: bool, refused: Callable[[OSError], object] | None
) -> Iterator[os.DirEntry[str]]:
    entered.add(os.path.realpath(folder))
    try:
        with os.scandir(folder) as found:
            visible = sorted((entry for entry in found if not passed_over(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        if refused is None:
            raise
        refused(error)
        return
    yield from (entry for entry in visible if not entry.is_dir())
    for entry in visible if recursive else ():
        if entry.is_dir() and os.path.realpath(entry.path) not in entered:
            yield from _entries(entry.path, entered, recursive, refused)


def walk(folder: Path, output: Path, *, recursive: bool) -> Iterator[Path]:
    """A folder's images, as ``entries_below`` finds them, but for those in ``output``."""
    found = entries_below(folder, recursive=recursive, without=output, refused=lambda _error: None)
    return (Path(entry.path) for entry in found if known(entry.name))


@dataclass
class LeftOut:
    """What lies in folders and is not read: files that are no images, images in sub-folders, unreadable sub-folders."""

    others: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    refused: list[OSError] = field(default_factory=list)
    whole: bool = True

    def lines(self) -> list[str]:
        """A line for each kind of what was left out."""
        said = [f"{str(error.filename)!r} cannot be read: {error.strerror}" for error in self.refused]
        if self.images:
            images = f"{self.images.total()} image{'s' * (self.images.total() > 1 or not self.whole)}"
            count = f"{'' if self.whole else 'more than '}{images} in {len(self.images)}"
            said.append(f"{count} sub-folder{'s' * (len(self.images) > 1)} not read; -r reads them")
        if self.others:
            kinds = ", ".join(f"{suffix} {count}" for suffix, count in self.others.most_common(_SUFFIXES_SHOWN))
            more = ", …" * (len(self.others) > _SUFFIXES_SHOWN)
            said.append(f"{self.others.total()} other file{'s' * (self.others.total() > 1)} left out: {kinds}{more}")
        return said

    def facts(self) -> dict[str, Any]:
        """The same as values for JSON; nothing where nothing was left out."""
        not_read = {"images": self.images.total(), "sub_folders": len(self.images)} if self.images else None
        refused = [str(error.filename) for error in self.refused]
        found = {"left_out": dict(self.others.most_common()), "not_read": not_read, "unreadable_folders": refused}
        return {name: value for name, value in found.items() if value}


def left_out(folders: Iterable[Path], output: Path, *, recursive: bool) -> LeftOut:
    """What ``walk`` does not find in these folders. Without ``recursive`` ``MOST_COUNTED`` files are looked at."""
    left = LeftOut()
    for folder in folders:
        found = entries_below(folder, without=output, refused=left.refused.append)
        for number, entry in enumerate(found):
            parent = os.path.dirname(entry.path)
            inside = recursive or parent == str(folder)
            if number >= MOST_COUNTED and not recursive:
                left.whole = False
                break
            if known(entry.name) and not inside:
                left.images[parent] += 1
            elif not known(entry.name) and inside:
                left.others[PurePath(entry.name).suffix.lower() or "without suffix"] += 1
    return left


def known(name: str | PurePath) -> bool:
    """Whether the name ends as an image's does."""
    return PurePath(name).suffix.lstrip(".").lower() in FORMATS


def stem(path: PurePath) -> str:
    """The name without its suffix, unless that is no image's: ``scan.2024`` is a whole stem."""
    return path.stem if known(path) else path.name


def new_suffix(source: Location | None, format: str | None) -> str:
    """The suffix of what is made of ``source``, in ``format`` (a key of ``FORMATS``) or else its own.

    It stays as it is written if it names the wanted format (photo.JFIF, but not scan.pbm, which is black and white); a
    file without one is asked for its content.
    """
    own = source.suffix if source is not None else ""
    kind = FORMATS.get(own.lstrip(".").lower())
    wanted = FORMATS[format] if format is not None else kind or _sniffed(source) or "png"
    fits = kind == wanted and own.lstrip(".").lower() not in INPUT_ONLY
    return own if fits else SUFFIXES[wanted]


def _sniffed(source: Location | None) -> str | None:
    try:
        if isinstance(source, RemotePath):
            return sniff(remote.read(source, _HEAD_BYTES))
        if source is None or not source.is_file():
            return None
        with source.open("rb") as stream:
            return sniff(stream.read(_HEAD_BYTES))
    except (OSError, ImageError):
        return None  # decoding will fail and say why
