"""Files that a command reads and writes, settled before any work; carried out in several processes.

Results come in the order of the tasks, the same for any number of processes. A bad image stops no other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from gantools.data.loading.workers import each
from gantools.errors import ImageError, UsageError
from gantools.images.formats import FORMATS, format_of
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.jobs import image_files, outputs
from gantools.jobs.outputs import Existing
from gantools.jobs.result import Result, failed, untouched

Size: TypeAlias = tuple[int, int]


class Made(NamedTuple):
    """What a task made, as the fields of ``Result`` say; sizes are those of what was read and written first."""

    input_size: Size | None = None
    output_size: Size | None = None
    more_outputs: tuple[Path, ...] = ()
    facts: Mapping[str, Any] | None = None
    note: str | None = None


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


Work: TypeAlias = Callable[[Task], Made]


def one_to_one(source: Path, output: Path, format: str | None, existing: Existing) -> tuple[Task, ...]:
    """Every image below a folder becomes one in the same place below ``output``; a single file becomes a file.

    ``format`` is a key of ``FORMATS``; None keeps each image's own.
    Raises UsageError: no images, two outputs are one, an output is an input or exists.
    """
    found = [Path(source.name)] if source.is_file() else places(source, output)
    folder = source.parent if source.is_file() else source
    if source.is_file() and not str(output).endswith(os.sep) and not output.is_dir():
        own = format_of(output)
        if format is not None and FORMATS[format] != own:
            raise UsageError(f"-o {str(output)!r} and --format {format} contradict each other")
        return settled([Task(source.name, (source,), (output,))], existing)
    tasks = [
        Task(place.as_posix(), (folder / place,), (output / renamed(folder / place, place, format),)) for place in found
    ]
    return settled(tasks, existing)


def places(source: Path, output: Path) -> list[Path]:
    """The images below a folder, as paths in it; ``output`` itself is not searched. Raises UsageError."""
    if not source.is_dir():
        raise UsageError(f"no such folder: {str(source)!r}")
    found = [path.relative_to(source) for path in image_files.walk(source, output, recursive=True)]
    if not found:
        raise UsageError(f"{str(source)!r}: no images in it ({', '.join(FORMATS)})")
    return found


def renamed(source: Path, place: Path, format: str | None) -> Path:
    """``place`` with the suffix of ``format``, or with its own."""
    return place.with_name(image_files.stem(place) + image_files.new_suffix(source, format))


def settled(tasks: Iterable[Task], existing: Existing) -> tuple[Task, ...]:
    """The tasks, those marked whose outputs exist and are left. Raises UsageError for outputs that cannot be."""
    planned = list(tasks)
    claims = [(task.input, output) for task in planned for output in task.outputs]
    kept = outputs.settle(claims, [source for task in planned for source in task.sources], existing)
    return tuple(replace(task, skip=kept.issuperset(task.outputs)) for task in planned)


def run(tasks: Sequence[Task], work: Work, *, workers: int) -> Iterator[Result]:
    """One result per task, in their order, the same for any number of workers. ``work`` is pickled."""
    wanted = [task for task in tasks if not task.skip]
    done = each(partial(carry_out, work), wanted, workers)
    for task in tasks:
        yield untouched(task) if task.skip else next(done)


def dry_run(tasks: Sequence[Task]) -> list[Result]:
    """What ``run`` would do."""
    return [untouched(task, "skipped" if task.skip else "planned") for task in tasks]


def carry_out(work: Work, task: Task) -> Result:
    """Do one task. Whatever it makes a library raise is this task's failure."""
    started = time.perf_counter()
    try:
        made = work(task)
    except Exception as error:
        return failed(task, error, time.perf_counter() - started, None)
    seconds = time.perf_counter() - started
    return Result(task.input, task.output, "done", seconds, **made._asdict())


def write(pixels: Pixels, task: Task, *, quality: int, which: int = 0) -> None:
    """Write uint8 [H, W, 3], or [H, W] as gray, to one of a task's outputs. Raises ImageError."""
    gray = pixels.ndim == 2
    rgb = pixels[..., None].repeat(3, axis=2) if gray else pixels
    writer.write(Image(rgb, gray=gray), task.outputs[which], quality=quality)


def read_same_size(task: Task) -> tuple[Pixels, Pixels]:
    """The two images of a task. Raises ImageError when their sizes differ."""
    a, b = (reader.read_rgb8(source) for source in task.sources)
    if a.shape != b.shape:
        one, other = (f"{width}×{height}" for width, height in (size_of(a), size_of(b)))
        raise ImageError(
            f"is {one} but {str(task.sources[1])!r} is {other}; the two images of a pair need the same size"
        )
    return a, b


def size_of(pixels: Pixels) -> Size:
    """(width, height)."""
    return int(pixels.shape[1]), int(pixels.shape[0])
