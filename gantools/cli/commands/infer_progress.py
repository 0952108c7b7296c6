"""How far a run over many pictures is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gantools.cli.output import console

PLAIN_PROGRESS_SECONDS = 30


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else a line every half minute; nothing for a single picture or under ``-q``."""
    if console.Settings.quiet or total == 1 or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield PlainProgress(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    screen = Console(stderr=True, no_color=not console.Settings.color or None)
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


class PlainProgress:
    """Says how far a run is, at most every half minute."""

    def __init__(self, total: int) -> None:
        self.total, self.finished = total, 0
        self.started = self.told = time.monotonic()

    def __call__(self) -> None:
        """Another picture is done."""
        self.finished += 1
        now = time.monotonic()
        if now - self.told >= PLAIN_PROGRESS_SECONDS and self.finished < self.total:
            self.told = now
            left = (now - self.started) / self.finished * (self.total - self.finished)
            console.message(f"{self.finished}/{self.total}, {left:.0f} s left")
