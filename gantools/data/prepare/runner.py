"""Carrying tasks out: in several processes, results in the order of the tasks. A bad image stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from gantools.data.loading.workers import each
from gantools.data.prepare.tasks import Task
from gantools.errors import ImageError
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.jobs.result import Result, failed, untouched

Size: TypeAlias = tuple[int, int]


class Sizes(NamedTuple):
    """(width, height) of what was read first and of what was written first; None where nobody looked."""

    input: Size | None = None
    output: Size | None = None


Work: TypeAlias = Callable[[Task], Sizes]


def run(tasks: Sequence[Task], work: Work, *, workers: int) -> Iterator[Result]:
    """One result per task, in their order, the same for any number of workers. ``work`` is pickled."""
    wanted = [task for task in tasks if not task.skip]
    done = each(partial(carry_out, work), wanted, workers)
    for task in tasks:
        yield untouched(task) if task.skip else next(done)


def rehearse(tasks: Sequence[Task]) -> list[Result]:
    """What ``run`` would do."""
    return [untouched(task, "skipped" if task.skip else "planned") for task in tasks]


def carry_out(work: Work, task: Task) -> Result:
    """Do one task. Whatever it makes a library raise is this task's failure."""
    started = time.perf_counter()
    try:
        sizes = work(task)
    except Exception as error:
        return failed(task, error, time.perf_counter() - started, None)
    seconds = time.perf_counter() - started
    return Result(task.input, task.output, "done", seconds, input_size=sizes.input, output_size=sizes.output)


def write(pixels: Pixels, task: Task, *, quality: int, which: int = 0) -> None:
    """Write uint8 [H, W, 3], or [H, W] as gray, to one of a task's outputs. Raises ImageError."""
    gray = pixels.ndim == 2
    rgb = pixels[..., None].repeat(3, axis=2) if gray else pixels
    writer.write(Image(rgb, gray=gray), task.outputs[which], quality=quality)


def read_same_size(task: Task) -> tuple[Pixels, Pixels]:
    """The two images of a task. Raises ImageError when their sizes differ."""
    a, b = (reader.read_rgb8(source) for source in task.sources)
    if a.shape != b.shape:
        raise ImageError(
            f"is {_shown(size_of(a))} but {str(task.sources[1])!r} is {_shown(size_of(b))}; "
            "the two images of a pair need the same size"
        )
    return a, b


def size_of(pixels: Pixels) -> Size:
    """(width, height)."""
    return int(pixels.shape[1]), int(pixels.shape[0])


def _shown(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
