"""A|B images out of two folders, and two folders out of A|B images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantools.data.folders import layout, search
from gantools.data.prepare.tasks import Made, Task, places, read_same_size, renamed, settled, size_of, write
from gantools.errors import DataError, ImageError
from gantools.images.io import reader
from gantools.jobs.image_files import new_suffix
from gantools.jobs.outputs import Existing


@dataclass(frozen=True)
class Combine:
    """Two images of one size become the halves of one."""

    quality: int

    def __call__(self, task: Task) -> Made:
        a, b = read_same_size(task)
        both = np.hstack((a, b))
        write(both, task, quality=self.quality)
        return Made(size_of(a), size_of(both))


@dataclass(frozen=True)
class Divide:
    """The halves of one image become two."""

    quality: int

    def __call__(self, task: Task) -> Made:
        both = reader.read_rgb8(task.sources[0])
        width = both.shape[1]
        if width % 2:
            raise ImageError(f"is {width} pixels wide; an A|B image has two halves of the same width")
        for which, half in enumerate((both[:, : width // 2], both[:, width // 2 :])):
            write(half, task, quality=self.quality, which=which)
        return Made(size_of(both), (width // 2, both.shape[0]))


def combining(a: Path, b: Path, output: Path, format: str | None, existing: Existing) -> tuple[Task, ...]:
    """One task per pair of same-named files, by default in the format of A. Raises DataError for unmatched files."""
    items, unmatched = layout.match(a, b)
    if unmatched:
        raise DataError(
            f"{len(unmatched)} files have no partner: {search.first_names(unmatched)}; remove or rename them"
        )
    return settled(
        [Task(item.name, item.files, (output / (item.name + new_suffix(item.files[0], format)),)) for item in items],
        existing,
    )


def dividing(source: Path, output: Path, format: str | None, existing: Existing) -> tuple[Task, ...]:
    """One task per A|B image; its halves go to ``a`` and ``b`` below ``output``."""
    tasks = []
    for place in places(source, output):
        half = renamed(source / place, place, format)
        tasks.append(Task(place.as_posix(), (source / place,), (output / "a" / half, output / "b" / half)))
    return settled(tasks, existing)
