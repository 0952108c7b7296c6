"""Jobs → decoded images, in the order of the jobs, decoded ahead by several processes. No torch."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from gantools.cores import usable_cores
from gantools.inference.options import InferOptions
from gantools.inference.pipeline import ipc
from gantools.inference.pipeline.decoder import DecodedJob, Decoder, ProcessDecoder
from gantools.jobs.plan import Job
from gantools.jobs.remote import RemotePath

AHEAD_IMAGES = 32
AHEAD_BYTES = 256 << 20
_MOST_DECODERS = 8
_LEAST_FETCHING = 4
_PATIENCE_SECONDS = 0.5


class Closed(Exception):
    """Nobody wants the image any more."""


class DecodePool:
    """Decodes in threads, each with a decoder of its own, from the moment it is made; to be iterated once and closed.

    Nothing here imports torch, so that images are decoded while the program still starts. It runs ahead of the one who
    iterates by at most so many images and bytes; the image that is next in line always gets the memory it asks for, so
    that one larger than the whole budget passes alone and nobody waits for ever.
    """

    def __init__(self, jobs: Sequence[Job], options: InferOptions) -> None:
        self.jobs = jobs
        self._numbers = itertools.count()
        self._changed = threading.Condition()  # guards what follows
        self._decoded: dict[int, DecodedJob] = {}
        self._bytes: dict[int, int] = {}
        self._first, self._closed = 0, False
        self._decoders = _decoders(options, jobs)
        self._threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in self._decoders]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[DecodedJob]:
        """Each job in turn, as soon as it is decoded; its decoder's warnings are issued first."""
        for number in range(len(self.jobs)):
            with self._changed:
                while number not in self._decoded:
                    self._changed.wait()
                decoded = self._decoded.pop(number)
                self._bytes.pop(number, None)
                self._first = number + 1
                self._changed.notify_all()
            for text in decoded.warnings:
                warnings.warn(text, stacklevel=2)
            yield decoded
            del decoded  # while the next is awaited only its user holds the image

    def close(self) -> None:
        """Stop decoding and end the decoders. A thread that waits for standard input is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for decoder in self._decoders:
            decoder.interrupt()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def _work(self, decoder: Decoder) -> None:
        try:
            with suppress(Closed):
                while (number := next(self._numbers)) < len(self.jobs):
                    self._reserve(number, 0)
                    decoded = self._decode(number, decoder)
                    with self._changed:
                        self._bytes[number] = 0 if decoded.image is None else decoded.image.nbytes
                        self._decoded[number] = decoded
                        self._changed.notify_all()
                    del decoded
        finally:
            decoder.close()

    def _reserve(self, number: int, size: int) -> None:
        """Wait until there is room for ``size`` bytes of image ``number``. Raises Closed once the pool is."""

        def has_room() -> bool:
            held = sum(self._bytes.values()) - self._bytes.get(number, 0)
            ahead = number - self._first < AHEAD_IMAGES and held + size <= AHEAD_BYTES
            return self._closed or number == self._first or ahead

        with self._changed:
            self._changed.wait_for(has_room)
            if self._closed:
                raise Closed
            self._bytes[number] = size

    def _decode(self, number: int, decoder: Decoder) -> DecodedJob:
        job, started = self.jobs[number], time.perf_counter()
        try:
            return decoder.decode(job, partial(self._reserve, number))
        except Exception as error:  # whatever an image makes a library raise is this image's failure
            return DecodedJob(job, None, error, time.perf_counter() - started)


def _decoders(options: InferOptions, jobs: Sequence[Job]) -> list[Decoder]:
    wanted = options.io_workers
    if wanted == 0 or not ipc.POSSIBLE:
        return [Decoder(options)]
    # The network wants the processors too: half of them decode, and none that would have nothing to do is started.
    # Those that wait for a store most of the time are more.
    least = _LEAST_FETCHING if any(isinstance(job.source, RemotePath) for job in jobs) else 1
    count = max(least, min(usable_cores() // 2, _MOST_DECODERS)) if wanted is None else wanted
    return [ProcessDecoder(options) for _ in range(min(count, len(jobs)))]
