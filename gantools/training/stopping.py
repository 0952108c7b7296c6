"""Why a run stops before its configuration's end: limits, and signals, which are noted until a step is done. No torch.

A second signal ends the process at once.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gantools.training.distributed.communicator import ProcessGroup

Ending = Literal["finished", "limit", "interrupted"]


def existing_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Those of the named signals that this system has: Windows has no SIGHUP."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


@dataclass(frozen=True)
class Limits:
    """When to stop before the configuration's end; the run can be resumed afterwards."""

    max_steps: int | None = None
    max_seconds: float | None = None


class Stopping:
    """While entered, watches limits and signals. ``signal`` is the one that was received, by any rank.

    SIGINT, SIGTERM and SIGHUP are noted instead of ending the process; after the first one they have their usual effect
    again. What was ignored (as SIGHUP is under nohup) stays ignored. Threads other than the main one get no signals, so
    there nothing is changed.
    """

    def __init__(self, limits: Limits, ranks: ProcessGroup, report: Callable[[str], None]) -> None:
        self._limits, self._ranks, self._report = limits, ranks, report
        self._began = time.monotonic()
        self._received = 0
        self._previous: dict[signal.Signals, object] = {}
        self.signal: int | None = None

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for number in existing_signals("SIGINT", "SIGTERM", "SIGHUP"):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, received: int, _frame: FrameType | None) -> None:
        self._received = received
        for number in self._previous:
            signal.signal(number, signal.SIG_DFL)

    def reason(self, step: int) -> Ending | None:
        """Why to stop after ``step`` steps: the same for all ranks, whichever of them got a signal."""
        received, out_of_time = divmod(self._ranks.all_reduce_max(2 * self._received + self._is_late()), 2)
        if received:
            self.signal = received
            if self._ranks.is_main:
                self._report(f"{signal.Signals(received).name}: saving at step {step}, then stopping")
            return "interrupted"
        out_of_steps = self._limits.max_steps is not None and step >= self._limits.max_steps
        return "limit" if out_of_steps or out_of_time else None

    def _is_late(self) -> bool:
        limit = self._limits.max_seconds
        return limit is not None and time.monotonic() - self._began >= limit
