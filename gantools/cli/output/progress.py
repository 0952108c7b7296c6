"""Progress on stderr: of folders, of trainings."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta

from gantools.cli.output.console import Settings, message, result_json


class Meter:
    """Progress of a known number of steps on stderr: animated on a terminal, else one plain line every 30 seconds."""

    EVERY_SECONDS = 30.0

    def __init__(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total, self._first = name, total, done
        self._start = self._told = time.monotonic()
        self._bar = _Bar(name, total, done) if animated() else None

    def update(self, done: int, figures: str = "") -> None:
        """``done`` of the steps are done."""
        if self._bar:
            self._bar.update(done, figures)
        elif time.monotonic() - self._told >= self.EVERY_SECONDS:
            self._told = time.monotonic()
            message(f"{self._name} {done}/{self._total}, eta {self._eta(done)}{', ' + figures if figures else ''}")

    def interrupt(self, text: str) -> None:
        """Print a line without tearing the bar."""
        if self._bar:
            self._bar.print(text)
        else:
            message(text)

    def close(self) -> None:
        if self._bar:
            self._bar.close()

    def _eta(self, done: int) -> str:
        per_step = (time.monotonic() - self._start) / max(1, done - self._first)
        return f"{timedelta(seconds=round((self._total - done) * per_step))}"


class _Bar:
    """The animated form, by rich; imported here only, so that commands without progress start without it."""

    def __init__(self, name: str, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, TextColumn("{task.fields[figures]}", markup=False), console=Console(stderr=True)
        )
        self._task = self._progress.add_task(name, total=total, completed=done, figures="")
        self._progress.start()

    def update(self, done: int, figures: str) -> None:
        self._progress.update(self._task, completed=done, figures=figures)

    def print(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self._progress.stop()


def animated() -> bool:
    """Whether progress may be animated: stderr is a real terminal and nobody asked for silence."""
    return sys.stderr.isatty() and not Settings.quiet and os.environ.get("TERM") != "dumb"


class TrainingReporter:
    """Shows a training: a bar on a terminal, else a line every 30 seconds; journal rows on stdout under ``--json``."""

    def __init__(self, *, rows_as_json: bool) -> None:
        self._rows_as_json = rows_as_json
        self._figures = ""
        self._meter: Meter | None = None

    def stage(self, name: str, steps: int, done: int) -> None:
        self.close()
        self._meter = Meter(name, steps, done)

    def step(self, done: int) -> None:
        if self._meter:
            self._meter.update(done, self._figures)

    def metrics(self, row: Mapping[str, object]) -> None:
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
            self._figures = ", ".join(shown)
        elif shown:
            self.message(f"step {row['step']}: {', '.join(shown)}")

    def message(self, text: str) -> None:
        if self._meter:
            self._meter.interrupt(text)
        else:
            message(text)

    def close(self) -> None:
        if self._meter:
            self._meter.close()
            self._meter = None
