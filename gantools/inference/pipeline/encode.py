"""Translated images → files, encoded and written in threads; results come back in the order of the jobs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from gantools.cores import usable_cores
from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.images.io.writer import WriteOptions
from gantools.inference.options import InferOptions
from gantools.jobs import remote
from gantools.jobs.plan import Job
from gantools.jobs.remote import RemotePath
from gantools.jobs.result import Result, Stages, failed

BEHIND_BYTES = 256 << 20
"""Images that may wait to be written; a larger one is written before the network goes on."""

BEHIND_IMAGES = 32
_THREADS, _UPLOADS, _MOST_THREADS = 2, 8, 16
"""Threads that encode at least; where each also waits for a store; and at most."""


@dataclass(frozen=True, eq=False)
class Translated:
    """What the network made of a job's image of ``size`` (width, height), or what went wrong, and how long it took."""

    job: Job
    image: Image | None
    error: Exception | None
    size: tuple[int, int] | None
    stages: Stages


class Encoder:
    """Encodes and writes images behind the network's back. For use by one thread, within ``with``."""

    def __init__(self, options: InferOptions, *, elsewhere: bool = False) -> None:
        """``elsewhere``: results are uploaded."""
        self.options = options
        # A GPU makes images faster than two threads write them. Encoding leaves Python's lock to others.
        least = _UPLOADS if elsewhere else _THREADS
        self._threads = ThreadPoolExecutor(max(least, min(usable_cores() // 2, _MOST_THREADS)), "encode")
        self._queue: deque[tuple[Future[Result], int]] = deque()

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # Whoever stops early gets no files beyond those that are just being written, and those whole.
        self._threads.shutdown(wait=True, cancel_futures=True)

    def submit(self, translated: Translated) -> None:
        """Encode and write the next job's image, and hold it until that is done."""
        size = 0 if translated.image is None else translated.image.nbytes
        self._queue.append((self._threads.submit(encode, translated, self.options), size))

    def append(self, result: Result) -> None:
        """Queue the result of a job for which nothing is to be done."""
        future: Future[Result] = Future()
        future.set_result(result)
        self._queue.append((future, 0))

    def results(self, *, wait: bool) -> Iterator[Result]:
        """The next results that are there; also those that are not, if ``wait`` or where too many images wait."""
        while self._queue:
            full = len(self._queue) > BEHIND_IMAGES or sum(size for _, size in self._queue) > BEHIND_BYTES
            if not (wait or full or self._queue[0][0].done()):
                return
            yield self._queue.popleft()[0].result()


def encode(translated: Translated, options: InferOptions) -> Result:
    """Encode and write one image. Whatever it makes a library raise is this image's failure."""
    job, started = translated.job, time.perf_counter()
    try:
        if translated.error is not None or translated.image is None:
            raise translated.error or ImageError("nothing was made of it")
        size = (translated.image.width, translated.image.height)
        content = write(translated.image, job, options)
    except Exception as error:
        return failed(job, error, translated.stages.seconds, translated.size, translated.stages)
    stages = replace(translated.stages, encode=time.perf_counter() - started)
    return Result(
        job.input,
        job.output,
        "done",
        stages.seconds,
        input_size=translated.size,
        output_size=size,
        content=content,
        stages=stages,
    )


def write(image: Image, job: Job, options: InferOptions) -> bytes | None:
    """Write a job's image to its file, or return the content where it has none. Raises ImageError or UsageError."""
    kind = job.format or image.format
    given: WriteOptions = {
        "quality": options.quality,
        "lossless": "keep" if options.lossless is None else options.lossless,
        "depth": options.depth,
        "metadata": options.metadata,
        "alpha": "drop" if options.alpha == "drop" else "keep",
    }
    if job.output is None:
        return writer.encode(image, kind, **given)
    if isinstance(job.output, RemotePath):
        remote.write(job.output, writer.encode(image, kind, **given))
        return None
    try:
        writer.save(image, job.output, format=kind, **given)
    except OSError as error:
        raise ImageError(f"{str(job.output)!r} cannot be written: {error.strerror or error}") from error
    return None
