"""Work on many items in several processes, with the results in the order of the items."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from gantools.errors import GantoolsError

T = TypeVar("T")
R = TypeVar("R")

# Enough waiting items that no process idles, few enough that an interruption is soon over.
AHEAD = 4


def each(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """``function`` of every item, in their order; in this process where one worker or one item is all there is.

    ``function`` and items are pickled. Raises GantoolsError when a process dies.
    """
    count = min(workers, len(items))
    if count <= 1:
        yield from map(function, items)
        return
    # Spawned: a fork of a process with threads (OpenCV's, torch's) may hang.
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start)
    try:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise GantoolsError("a worker process died; if memory ran out, give fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Run in each process first: Ctrl-C is the parent's business, and without a parent there is no work."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = "1"  # for torch, should the work import it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """Let this worker end at once when the process that started it does, even by SIGKILL."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
