"""Signals become a flag that the loop reads at a step's edge; a second signal stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def known(*names: str) -> tuple[signal.Signals, ...]:
    """Those of the named signals that this system has: Windows has no SIGHUP."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


NOTED = known("SIGINT", "SIGTERM", "SIGHUP")


class Interruptions:
    """While entered, SIGINT, SIGTERM and SIGHUP are noted in ``received`` instead of ending the process.

    After the first one they have their usual effect again. What was ignored (as SIGHUP is under nohup) stays ignored.
    Threads other than the main one get no signals, so there nothing is changed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            for number in NOTED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, received: int, _frame: FrameType | None) -> None:
        self.received = received
        for number in self._previous:
            signal.signal(number, signal.SIG_DFL)
