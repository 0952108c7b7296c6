"""Jobs → decoded pictures, in the order of the jobs, decoded ahead by several processes."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from gantools.images.image import Image
from gantools.inference.options import Settings
from gantools.inference.pipeline import ipc
from gantools.inference.pipeline.decoder import Decoded, Decoder, LocalDecoder
from gantools.inference.plan import Job

Prepare: TypeAlias = Callable[[Image], Image]

AHEAD_PICTURES = 32
AHEAD_BYTES = 256 << 20
_MOST_DECODERS = 8
_PATIENCE_SECONDS = 0.5


class Decodes(Protocol):
    """Something that decodes, one picture at a time."""

    def decode(self, job: Job, admit: Callable[[int], None]) -> Decoded: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Supplied:
    """A job with its picture or with what went wrong, and the seconds that decoding and preparing took."""

    job: Job
    picture: Image | None
    error: Exception | None
    seconds: float


class Supply:
    """Decodes in threads, each with a decoder of its own, from the moment it is made; to be iterated once and closed.

    Nothing here imports torch, so that pictures are decoded while the program still starts.
    """

    def __init__(self, jobs: Sequence[Job], settings: Settings) -> None:
        self.jobs = jobs
        self.prepare = settings.prepare if settings.prepare_at == "original" else None
        self._budget = Budget(AHEAD_PICTURES, AHEAD_BYTES)
        self._numbers, self._stopped = itertools.count(), False
        self._ready: dict[int, tuple[Supplied, tuple[str, ...]]] = {}
        self._arrived = threading.Condition()
        self._decoders = _decoders(settings, len(jobs))
        self._hands = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in self._decoders]
        for hand in self._hands:
            hand.start()

    def __iter__(self) -> Iterator[Supplied]:
        """Each job in turn, as soon as it is decoded; what its decoder warned of is told first."""
        for number in range(len(self.jobs)):
            supplied, told = self._awaited(number)
            self._budget.release(number)
            for text in told:
                warnings.warn(text, stacklevel=2)
            yield supplied
            del supplied  # while the next is awaited only its user holds the picture

    def _awaited(self, number: int) -> tuple[Supplied, tuple[str, ...]]:
        with self._arrived:
            self._arrived.wait_for(lambda: number in self._ready)
            return self._ready.pop(number)

    def close(self) -> None:
        """Stop decoding and end the decoders. A thread that waits for standard input is left behind."""
        self._stopped = True
        self._budget.close()
        for decoder in self._decoders:
            decoder.interrupt()
        for hand in self._hands:
            hand.join(_PATIENCE_SECONDS)

    def _work(self, decoder: Decodes) -> None:
        try:
            with suppress(Stopped):
                while not self._stopped and (number := next(self._numbers)) < len(self.jobs):
                    self._budget.admit(number, 0)
                    self._deliver(number, *self._supplied(number, decoder))
        finally:
            decoder.close()

    def _supplied(self, number: int, decoder: Decodes) -> tuple[Supplied, tuple[str, ...]]:
        job, started = self.jobs[number], time.perf_counter()
        try:
            decoded = decoder.decode(job, partial(self._budget.admit, number))
            began = time.perf_counter()
            picture = decoded.picture if self.prepare is None else self.prepare(decoded.picture)
        except Exception as error:  # whatever a picture makes a library raise is this picture's failure
            return Supplied(job, None, error, time.perf_counter() - started), ()
        seconds = decoded.seconds + time.perf_counter() - began
        return Supplied(job, picture, None, seconds), decoded.warnings

    def _deliver(self, number: int, supplied: Supplied, told: tuple[str, ...]) -> None:
        self._budget.charge(number, 0 if supplied.picture is None else supplied.picture.nbytes)
        with self._arrived:
            self._ready[number] = supplied, told
            self._arrived.notify_all()


def _decoders(settings: Settings, pictures: int) -> list[Decodes]:
    wanted = settings.io_workers
    if wanted == 0 or not ipc.POSSIBLE:
        return [LocalDecoder(settings)]
    # The network wants the processors too: half of them decode, and none that would have nothing to do is started.
    count = max(1, min(_processors() // 2, _MOST_DECODERS)) if wanted is None else wanted
    return [Decoder(settings) for _ in range(min(count, pictures))]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class Stopped(Exception):
    """Nobody wants the picture any more."""


class Budget:
    """Room for pictures that were decoded and not yet used, given out by their number in line.

    The first in line always gets what it asks for, so that one larger than the whole budget passes alone and nobody
    waits for ever.
    """

    def __init__(self, pictures: int, total_bytes: int) -> None:
        self.pictures, self.total_bytes = pictures, total_bytes
        self._used: dict[int, int] = {}
        self._first, self._closed = 0, False
        self._changed = threading.Condition()

    def admit(self, number: int, size: int) -> None:
        """Wait until there is room for ``size`` bytes of picture ``number``. Raises Stopped once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(number, size))
            if self._closed:
                raise Stopped
            self._used[number] = size

    def charge(self, number: int, size: int) -> None:
        """Note what a picture takes, without waiting."""
        with self._changed:
            self._used[number] = size

    def release(self, number: int) -> None:
        """Image ``number`` has been used, and all before it."""
        with self._changed:
            self._used.pop(number, None)
            self._first = number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, number: int, size: int) -> bool:
        if number == self._first:
            return True
        ahead = number - self._first < self.pictures
        return ahead and sum(self._used.values()) - self._used.get(number, 0) + size <= self.total_bytes
