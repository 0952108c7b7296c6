"""A process of its own for the jobs, which are done one at a time; one that is cancelled ends at once."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from gantools.errors import GantoolsError, UsageError

Report: TypeAlias = Callable[[int, int, str], None]
"""Gets how much is done, of how much, and of what."""

Job: TypeAlias = Callable[..., Any]
"""A function of a module, called with ``report`` and what it is given by name."""

_PRELOADED = ["torch"]


class Cancelled(GantoolsError):
    """The job's owner stopped it."""


class Worker:
    """Does jobs in a process, in the order of ``run``. ``stop`` ends the owner's job, and its process with it."""

    def __init__(self) -> None:
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:  # so that a process after the first one has torch at once
            self._context.set_forkserver_preload(_PRELOADED)
        self._turn, self._owner, self._stopped = threading.Lock(), "", False
        self._starting = threading.Thread(target=self._start, daemon=True)  # torch takes seconds; nobody waits here
        self._starting.start()

    def _start(self) -> None:
        self._channel, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, owner: str, report: Report, job: Job, **given: Any) -> Any:
        """Do a job after those before it; what it returns.

        Raises Cancelled when it is stopped, and GantoolsError for whatever it raises.
        """
        with self._turn:
            self._starting.join()
            self._owner, self._stopped = owner, False
            try:
                self._channel.send((job, given))
                while True:
                    kind, value = self._channel.recv()
                    if kind == "progress":
                        report(*value)
                    elif kind == "done":
                        return value
                    else:
                        raise UsageError(value)
            except (EOFError, OSError) as error:
                self._process.join()
                code = self._process.exitcode
                self._start()
                if self._stopped:
                    raise Cancelled("cancelled") from error
                raise GantoolsError(f"the job's process ended ({code}); there may be too little memory") from error
            finally:
                self._owner = ""

    def stop(self, owner: str) -> None:
        """End the job that is being done, if it is this owner's."""
        if owner == self._owner:
            self._stopped = True
            self._process.kill()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._starting.join()
        self._process.kill()
        self._process.join()


def _serve(channel: Connection) -> None:
    """What runs in the process: one job after the other until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the page's decides
    while True:
        try:
            job, given = channel.recv()
        except (EOFError, OSError):
            return
        try:
            channel.send(("done", job(lambda *progress: channel.send(("progress", progress)), **given)))
        except GantoolsError as error:
            channel.send(("refused", str(error)))
        except Exception as error:
            traceback.print_exc()
            channel.send(("refused", f"{type(error).__name__}: {error}"))
