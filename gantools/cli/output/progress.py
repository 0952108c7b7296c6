"""Progress on stderr, of folders and of trainings: a bar on a terminal, else a line every 30 seconds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from gantools.cli.output.console import Settings, message, result_json

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY_SECONDS = 30.0


class ProgressBar:
    """Progress of a known number of steps, of which ``done`` are done at the start; ``transient`` bars vanish."""

    def __init__(self, name: str, total: int, done: int = 0, *, transient: bool = False) -> None:
        self._name, self._total, self._first = name, total, done
        self._start = self._last_line = time.monotonic()
        self._bar = _rich_bar(transient) if animated() else None
        self._task = self._bar.add_task(name, total=total, completed=done, metrics="") if self._bar else None

    def update(self, done: int, metrics: str = "") -> None:
        """``done`` of the steps are done; ``metrics`` are shown beside them."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, metrics=metrics)
        elif time.monotonic() - self._last_line >= EVERY_SECONDS and done < self._total:
            self._last_line = time.monotonic()
            per_step = (time.monotonic() - self._start) / max(1, done - self._first)
            left = timedelta(seconds=round((self._total - done) * per_step))
            message(f"{self._name} {done}/{self._total}, eta {left}{', ' + metrics if metrics else ''}")

    def print(self, text: str) -> None:
        """Print a message without breaking the bar."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            message(text)

    def close(self) -> None:
        if self._bar:
            self._bar.stop()


def animated() -> bool:
    """Whether progress may be animated: stderr is a real terminal and there is no ``-q``."""
    return sys.stderr.isatty() and not Settings.quiet and os.environ.get("TERM") != "dumb"


def _rich_bar(transient: bool) -> Progress:
    """A started bar. Imports rich, which commands without progress do without."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    screen = Console(stderr=True, no_color=not Settings.color or None)
    bar = Progress(*columns, TextColumn("{task.fields[metrics]}", markup=False), console=screen, transient=transient)
    bar.start()
    return bar


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """``update(done, total)`` for work whose length is known with its first step. A single step shows nothing."""
    bars: list[ProgressBar] = []

    def update(done: int, total: int) -> None:
        if not bars and total > 1:
            bars.append(ProgressBar(name, total, transient=True))
        for bar in bars:
            bar.update(done)

    try:
        yield update
    finally:
        for bar in bars:
            bar.close()


class TrainingReporter:
    """Shows a training: a bar on a terminal, else a line every 30 seconds; log rows on stdout under ``--json``."""

    def __init__(self, *, rows_as_json: bool) -> None:
        self._rows_as_json = rows_as_json
        self._metrics = ""
        self._bar: ProgressBar | None = None

    def stage(self, name: str, steps: int, done: int) -> None:
        """A stage begins, or goes on at step ``done``."""
        self.close()
        self._bar = ProgressBar(name, steps, done)

    def step(self, done: int) -> None:
        if self._bar:
            self._bar.update(done, self._metrics)

    def metrics(self, row: Mapping[str, object]) -> None:
        """A row of the log. Rows of losses are shown beside the bar, those of validation as a line."""
        if self._rows_as_json:
            result_json({"event": "metrics", **row})
        shown = [
            f"{key.rpartition('/')[2] if key.startswith('validation') else key.partition('/')[2]} {value:.4g}"
            for key, value in row.items()
            if key.startswith(("loss/", "figure/", "validation/")) and isinstance(value, float)
        ]
        speed, wait = row.get("images_per_second"), row.get("data_wait_share")
        if isinstance(speed, float) and isinstance(wait, float):
            shown += [f"{speed:.0f} img/s", f"waiting for data {wait:.0%}"]
            self._metrics = ", ".join(shown)
        elif shown:
            self.message(f"step {row['step']}: {', '.join(shown)}")

    def message(self, text: str) -> None:
        if self._bar:
            self._bar.print(text)
        else:
            message(text)

    def close(self) -> None:
        if self._bar:
            self._bar.close()
            self._bar = None
