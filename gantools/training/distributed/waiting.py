"""Says what a process waits for in calls that no signal interrupts, and lets signals end it there. No torch."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gantools.training.interruptions import NOTED

POLL_SECONDS = 0.5


@dataclass
class Wait:
    """What is waited for. After ``said_after_seconds`` it is said; the ``ends_at``-th signal ends the process."""

    what: str
    said_after_seconds: float
    ends_at: int
    since: float = field(default_factory=time.monotonic)
    said: bool = False


class Watch:
    """A thread that looks after the main thread's waits until ``stop``.

    Python's handlers of signals run in the main thread, between two of its instructions, so never while it waits in
    the C++ of ``torch.distributed``; the number of a signal is written to a pipe all the same, which is read here.
    Started in another thread than the main one it only says what is waited for.
    """

    def __init__(self) -> None:
        self._wait: Wait | None = None
        self._received = 0
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._hears = threading.current_thread() is threading.main_thread()
        self._previous = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False) if self._hears else -1
        if self._hears:
            os.register_at_fork(after_in_child=_hear_nothing)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @contextmanager
    def waiting(self, what: str, *, said_after_seconds: float, ends_at: int) -> Iterator[None]:
        """Within the context the main thread waits for ``what``."""
        self._wait = Wait(what, said_after_seconds, ends_at)
        try:
            yield
        finally:
            self._wait = None

    def stop(self) -> None:
        """Give the pipe of signals back to whoever had it, and end the thread."""
        if self._hears:
            signal.set_wakeup_fd(self._previous)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _look(self) -> None:
        while True:
            ready, _, _ = select.select([self._read], [], [], POLL_SECONDS)
            numbers = os.read(self._read, 64) if ready else b""
            if ready and not numbers:
                return  # the writing end is closed
            ending = [number for number in numbers if number in NOTED]
            self._received += len(ending)
            wait = self._wait
            if wait and ending and self._received >= wait.ends_at:
                os._exit(128 + ending[-1])  # an exception would wait for the main thread
            if wait and not wait.said and time.monotonic() - wait.since > wait.said_after_seconds:
                wait.said = True
                warnings.warn(f"waiting for {wait.what}; Ctrl-C stops", stacklevel=1)


def _hear_nothing() -> None:
    """A forked process must not write its own signals into the pipe of the one it comes from."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
