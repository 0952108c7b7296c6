"""A folder becomes train, val and test folders: the same files on the same side for the same seed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantools import files
from gantools.data.folders import domains, search
from gantools.data.folders.layout import Item
from gantools.data.folders.split import ranked
from gantools.data.prepare.recognise import Kind, undivided
from gantools.data.prepare.tasks import Made, Task, settled
from gantools.errors import ImageError, UsageError
from gantools.images.io import reader
from gantools.jobs.outputs import Existing


@dataclass(frozen=True)
class Place:
    """Copy the files of an example, or link to them, once their headers have been found sound."""

    link: bool

    def __call__(self, task: Task) -> Made:
        headers = [reader.probe(source) for source in task.sources]
        for source, output in zip(task.sources, task.outputs, strict=True):
            if output.exists() and output.samefile(source):  # renaming a link over its own file does nothing
                continue
            try:
                with files.staged_file(output) as temporary:
                    if self.link:
                        os.link(source.resolve(), temporary)
                    else:
                        shutil.copyfile(source, temporary)
            except OSError as error:
                how = "linked; leave out --link to copy it" if self.link else "copied"
                raise ImageError(f"cannot be {how}: {error.strerror or error}") from error
        size = (headers[0].width, headers[0].height)
        return Made(size, size)


def plan(
    source: Path, output: Path, kind: Kind, *, val: float, test: float, seed: int, existing: Existing
) -> tuple[Task, ...]:
    """One task per example: its files keep their place, below ``train``, ``val`` or ``test`` of ``output``.

    With the loaders' seed ``val`` is the share that they set aside themselves. The two domains of an unpaired set are
    shared out each by itself. Raises UsageError for impossible shares, DataError for what is no data set.
    """
    if val < 0 or test < 0 or not 0 < val + test < 1:
        raise UsageError(f"--val {val:g} --test {test:g}: both are shares of 1, and leave some to train on")
    search.require_folder(source)
    inner = search.split_folder(source, "validation") or search.split_folder(source, "training")
    held_out = domains.of_split(source, "validation") if inner is None else None
    if found := inner or (held_out and held_out.a):
        raise UsageError(f"{str(source)!r} is split already: it has a folder {found.name!r}")
    tasks = []
    for side in undivided(source, kind).sides:
        for name, item in _named_shares(side, val, test, seed):
            outputs = tuple(output / name / path.relative_to(source) for path in item.files)
            tasks.append(Task(f"{name}/{item.name}", item.files, outputs))
    return settled(tasks, existing)


def _named_shares(items: Sequence[Item], val: float, test: float, seed: int) -> Iterator[tuple[str, Item]]:
    """Every example with the name of its share, in the given order."""
    wanted = sum(share > 0 for share in (val, test)) + 1
    if len(items) < wanted:
        raise UsageError(f"{len(items)} examples cannot be split into {wanted} parts")
    vals = min(max(round(len(items) * val), int(val > 0)), len(items) - 1 - int(test > 0))
    tests = min(max(round(len(items) * test), int(test > 0)), len(items) - 1 - vals)
    order = ranked(items, seed)
    aside = {item.name: "val" for item in order[:vals]} | {item.name: "test" for item in order[vals : vals + tests]}
    return ((aside.get(item.name, "train"), item) for item in items)
