"""``metrics.jsonl``: one JSON object per logged step or event, appended line by line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantools import files

# Rows that a full disk keeps back: hours of them, and no more than a few megabytes.
MOST_WAITING = 10_000


class MetricsLog:
    """Appends rows to a JSON Lines file. Rows that cannot be written now are written before the next one.

    ``report`` gets one line when a row cannot be written, and one when the rows are written after all.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = lambda _line: None) -> None:
        self._path, self._report = path, report
        self._stream = path.open("ab", buffering=0)
        self._length = os.fstat(self._stream.fileno()).st_size
        self._waiting: list[bytes] = []
        self._failing = False

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        self._waiting = [*self._waiting[-MOST_WAITING + 1 :], (json.dumps(row) + "\n").encode()]
        self._flush()

    def sync(self) -> None:
        """Make the rows durable, as the checkpoint of their step is about to be."""
        self._flush()
        try:
            files.notify("sync", self._path)
            os.fsync(self._stream.fileno())
        except OSError as error:
            self._report(f"{self._path.name}: {error.strerror or error}; its last rows may not outlive a power cut")

    def close(self) -> None:
        self._flush()
        self._stream.close()

    def _flush(self) -> None:
        content = b"".join(self._waiting)
        if not content:
            return
        try:
            self._append(content)
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(self._length)  # half a row would spoil the next one
            self._report_state(failing=True, why=error.strerror or str(error))
            return
        self._length, self._waiting = self._length + len(content), []
        self._report_state(failing=False, why="written again")

    def _append(self, content: bytes) -> None:
        files.notify("write", self._path)
        rest = memoryview(content)
        while rest:
            rest = rest[self._stream.write(rest) :]

    def _report_state(self, *, failing: bool, why: str) -> None:
        if failing != self._failing:
            self._failing = failing
            self._report(f"{self._path.name}: {why}{'; its rows wait' if failing else ''}")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a line cut short by a kill is left out."""
    return [row for _, row in _rows(path.read_bytes())]


def rewind(path: Path, step: int) -> None:
    """Drop what was written after ``step``: those rows are about to come again. So is a line that was cut short."""
    if not path.exists():
        return
    whole = path.read_bytes()
    kept = b"".join(line.rstrip(b"\n") + b"\n" for line, row in _rows(whole) if row.get("step", 0) <= step)
    if kept != whole:
        files.write_bytes(path, kept)


def _rows(content: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each whole line with its row."""
    for line in content.splitlines(keepends=True):
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield line, row
