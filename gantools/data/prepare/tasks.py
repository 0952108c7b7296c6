"""What a workshop command reads and writes, settled before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from gantools.errors import UsageError
from gantools.images.formats import FORMATS, format_of
from gantools.jobs import outputs, pictures
from gantools.jobs.outputs import Existing


@dataclass(frozen=True)
class Task:
    """Files that are read together and the files they become. ``name``: the place below the folder that was given."""

    name: str
    sources: tuple[Path, ...]
    outputs: tuple[Path, ...]
    skip: bool = False

    @property
    def input(self) -> str:
        return str(self.sources[0])

    @property
    def output(self) -> Path:
        return self.outputs[0]


def one_to_one(source: Path, output: Path, format: str | None, existing: Existing) -> tuple[Task, ...]:
    """Every image below a folder becomes one in the same place below ``output``; a single file becomes a file.

    ``format`` is a key of ``FORMATS``; None keeps each image's own.
    Raises UsageError: no images, two outputs are one, an output is an input or exists.
    """
    if source.is_file():
        return settled([_single(source, output, format)], existing)
    tasks = [
        Task(place.as_posix(), (source / place,), (output / renamed(source / place, place, format),))
        for place in places(source, output)
    ]
    return settled(tasks, existing)


def places(source: Path, output: Path) -> list[Path]:
    """The images below a folder, as paths in it; ``output`` itself is not searched. Raises UsageError."""
    if not source.is_dir():
        raise UsageError(f"no such folder: {str(source)!r}")
    found = [path.relative_to(source) for path in pictures.walk(source, output, recursive=True)]
    if not found:
        raise UsageError(f"{str(source)!r}: no images in it ({', '.join(FORMATS)})")
    return found


def renamed(source: Path, place: Path, format: str | None) -> Path:
    """``place`` with the suffix of ``format``, or with its own."""
    return place.with_name(pictures.stem(place) + pictures.new_suffix(source, format))


def settled(tasks: Iterable[Task], existing: Existing) -> tuple[Task, ...]:
    """The tasks, those marked whose outputs exist and are left. Raises UsageError for outputs that cannot be."""
    planned = list(tasks)
    claims = [(task.input, output) for task in planned for output in task.outputs]
    kept = outputs.settle(claims, [source for task in planned for source in task.sources], existing)
    return tuple(replace(task, skip=kept.issuperset(task.outputs)) for task in planned)


def _single(source: Path, output: Path, format: str | None) -> Task:
    name = PurePath(source.name)
    if str(output).endswith(os.sep) or output.is_dir():
        return Task(name.as_posix(), (source,), (output / renamed(source, Path(name), format),))
    wanted = None if format is None else FORMATS[format]
    if wanted not in (None, format_of(output)):
        raise UsageError(f"-o {str(output)!r} and --format {format} contradict each other")
    return Task(name.as_posix(), (source,), (output,))
