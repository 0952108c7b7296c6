"""When a run's state is saved, and what is done where it cannot be: the run goes on for a while, the old one stays."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gantools import files
from gantools.checkpoint import state as checkpoints
from gantools.config.schema import TrainOptions
from gantools.errors import TrainingError

MOST_FAILURES = 3


def nothing() -> None:
    """No weights."""


class Keeper:
    """Saves checkpoints and the weights of each, by steps and by time.

    A failed save is told in one line and tried again when the next one is due. After three in a row, or where the run
    ends with one, TrainingError is raised: steps that nobody can keep are not worth computing.
    """

    def __init__(self, folder: Path, options: TrainOptions, tell: Callable[[str], None]) -> None:
        self.folder, self.options, self._tell = folder, options, tell
        self._tried_at, self._failures = time.monotonic(), 0

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is due at the edge after ``step`` steps."""
        overdue = time.monotonic() - self._tried_at > 60 * self.options.checkpoint_every_minutes
        return overdue or step % self.options.checkpoint_every_steps == 0

    def save(self, step: int, state: Any, export: Callable[[], object] = nothing, *, final: bool = False) -> bool:
        """Write the checkpoint of ``step`` (none where ``state`` is None), then its weights by ``export``.

        So weights are never newer than the newest checkpoint. False where that failed and the run may go on.
        Raises TrainingError.
        """
        self._tried_at = time.monotonic()
        try:
            if state is not None:
                self._write(step, state)
        except OSError as error:
            self._failed(f"checkpoint of step {step} not saved: {self._reason(error, state)}", final)
            return False
        try:
            export()
        except OSError as error:
            self._failed(f"weights of step {step} not saved: {error.strerror or error}", final)
            return False
        self._failures = 0
        return True

    def _write(self, step: int, state: Any) -> None:
        self._require_room(state)
        checkpoints.save(self.folder, step, state, self.options.keep_checkpoints)

    def _require_room(self, state: Any) -> None:
        if files.free_bytes(self.folder) < checkpoints.stored_bytes(state):
            raise OSError(errno.ENOSPC, "not enough room on the disk")

    def _reason(self, error: OSError, state: Any) -> str:
        """What went wrong, with need and room in megabytes."""
        need, free = checkpoints.stored_bytes(state) / 1e6, files.free_bytes(self.folder) / 1e6
        return f"{error.strerror or error} ('{self.folder}': {need:,.1f} MB needed, {free:,.1f} MB free)"

    def _failed(self, what: str, final: bool) -> None:
        self._failures += 1
        kept = checkpoints.steps(self.folder)
        newest = f"the newest checkpoint is of step {kept[-1]}" if kept else "there is no checkpoint yet"
        if final or self._failures >= MOST_FAILURES:
            times = "" if final else f", {self._failures} times in a row"
            raise TrainingError(f"{what}{times}; {newest}; make room, then go on with --resume")
        self._tell(f"{what}; {newest}; training goes on")
