"""Signals become a flag that the loop reads at a step's edge; a second signal stops at once."""

from __future__ import annotations

import signal
from types import FrameType


class Interruptions:
    """While entered, SIGINT and SIGTERM are noted in ``received`` instead of ending the process."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruptions:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        signal.signal(number, signal.SIG_DFL)
