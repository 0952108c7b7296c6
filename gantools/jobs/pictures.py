"""Picture files: found by suffix, and named anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from gantools.files import STAGED_PREFIX
from gantools.images.formats import FORMATS, SUFFIXES, sniff

_HEAD_BYTES = 32


def walk(folder: Path, output: Path, *, recursive: bool) -> Iterator[Path]:
    """A folder's pictures, in order of name; hidden and half-written files and ``output`` itself are passed over."""
    written = os.path.realpath(output)
    for root, folders, names in os.walk(folder):
        wanted = sorted(name for name in folders if recursive and not _hidden(name))
        folders[:] = [name for name in wanted if os.path.realpath(os.path.join(root, name)) != written]
        yield from (Path(root, name) for name in sorted(names) if known(name) and not _hidden(name))


def known(name: str | PurePath) -> bool:
    """Whether the name ends as a picture's does."""
    return PurePath(name).suffix.lstrip(".").lower() in FORMATS


def stem(path: PurePath) -> str:
    """The name without its suffix, unless that is no picture's: ``scan.2024`` is a whole stem."""
    return path.stem if known(path) else path.name


def new_suffix(source: Path | None, format: str | None) -> str:
    """The suffix of what is made of ``source``, in ``format`` (a key of ``FORMATS``) or else its own.

    It stays as it is written if it names the wanted format; a file without one is asked for its content.
    """
    own = source.suffix if source is not None else ""
    kind = FORMATS.get(own.lstrip(".").lower())
    wanted = FORMATS[format] if format is not None else kind or _sniffed(source) or "png"
    return own if kind == wanted else SUFFIXES[wanted]


def _hidden(name: str) -> bool:
    return name.startswith((".", STAGED_PREFIX))


def _sniffed(source: Path | None) -> str | None:
    if source is None or not source.is_file():
        return None
    try:
        with source.open("rb") as stream:
            return sniff(stream.read(_HEAD_BYTES))
    except OSError:
        return None  # decoding will fail and say why
