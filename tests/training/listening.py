"""What tests of runs share: a reporter that remembers, and a disk that is full for a while."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from gantools.training.reporter import Silent

DISK_FULL = "No space left on device"


class Listener(Silent):
    """Remembers its messages. ``act`` is called with the number of steps done, before what is periodic happens."""

    def __init__(self, act: Callable[[int], object] | None = None) -> None:
        self.lines: list[str] = []
        if act is not None:
            self.step = act  # type: ignore[method-assign, assignment]

    def message(self, text: str) -> None:
        self.lines.append(text)


class FullDisk:
    """While ``full``, every write to a file whose path begins with ``part`` fails."""

    def __init__(self, part: Path | str = "", *, full: bool = True) -> None:
        self.part, self.full = str(part), full

    def __call__(self, event: str, path: object) -> None:
        if self.full and event in ("create", "write") and str(path).startswith(self.part):
            raise OSError(errno.ENOSPC, DISK_FULL)
