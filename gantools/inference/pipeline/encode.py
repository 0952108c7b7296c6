"""Pictures that were made → files, encoded and written in threads; results come back in the order of the jobs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeAlias

from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.images.io.writer import WriteOptions
from gantools.inference.options import Settings
from gantools.inference.plan import Job
from gantools.jobs.result import Result, Stages, failed

Size: TypeAlias = tuple[int, int]

BEHIND_BYTES = 256 << 20
"""Made pictures that may wait to be written; a larger one is written before the network goes on."""

_THREADS = 2
BEHIND_PICTURES = 32


@dataclass(frozen=True, eq=False)
class Made:
    """What the network made of a job's picture of ``size``, or what went wrong on the way, and how long it took."""

    job: Job
    picture: Image | None
    error: Exception | None
    size: Size | None
    stages: Stages


class Encoding:
    """Writes pictures behind the network's back. For use by one thread, within ``with``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, "encode")
        self._line: deque[tuple[Future[Result], int]] = deque()

    def __enter__(self) -> Encoding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # Whoever stops early gets no files beyond those that are just being written, and those whole.
        self._threads.shutdown(wait=True, cancel_futures=True)

    def submit(self, made: Made) -> None:
        """Encode and write the next job's picture, and hold it until that is done."""
        size = 0 if made.picture is None else made.picture.nbytes
        self._line.append((self._threads.submit(finish, made, self.settings), size))

    def append(self, result: Result) -> None:
        """Put a job in line for which nothing is to be done."""
        future: Future[Result] = Future()
        future.set_result(result)
        self._line.append((future, 0))

    def results(self, *, wait: bool) -> Iterator[Result]:
        """The results at the head of the line that are there; those that are not if ``wait`` or the line is long."""
        while self._line and (wait or self._line[0][0].done() or self._full()):
            yield self._line.popleft()[0].result()

    def _full(self) -> bool:
        return len(self._line) > BEHIND_PICTURES or sum(size for _, size in self._line) > BEHIND_BYTES


def finish(made: Made, settings: Settings) -> Result:
    """Encode and write one picture. Whatever it makes a library raise is this picture's failure."""
    started = time.perf_counter()
    try:
        if made.error is not None or made.picture is None:
            raise made.error or ImageError("nothing was made of it")
        size = (made.picture.width, made.picture.height)
        content = encode(made.picture, made.job, settings)
    except Exception as error:
        return failed(made.job, error, made.stages.seconds, made.size, made.stages)
    stages = replace(made.stages, encode=time.perf_counter() - started)
    return Result(
        made.job.input,
        made.job.output,
        "done",
        stages.seconds,
        input_size=made.size,
        output_size=size,
        content=content,
        stages=stages,
    )


def encode(picture: Image, job: Job, settings: Settings) -> bytes | None:
    """Write a job's picture to its file, or return the content where it has none. Raises ImageError or UsageError."""
    kind = job.format or picture.format
    given: WriteOptions = {
        "quality": settings.quality,
        "lossless": settings.lossless,
        "depth": settings.depth,
        "metadata": settings.metadata,
        "alpha": "drop" if settings.alpha == "drop" else "keep",
    }
    if job.output is None:
        return writer.encode(picture, kind, **given)
    try:
        writer.save(picture, job.output, format=kind, **given)
    except OSError as error:
        raise ImageError(f"{str(job.output)!r} cannot be written: {error.strerror or error}") from error
    return None
