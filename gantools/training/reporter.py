"""What the loop tells while it works. The command line prints it; from Python it is silent unless one is passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Receives a run's progress; all calls come from the loop's own thread."""

    def stage(self, name: str, steps: int, done: int) -> None:
        """A stage of ``steps`` steps begins (or goes on) with ``done`` of them done."""

    def step(self, done: int) -> None:
        """``done`` steps of the stage are done."""

    def metrics(self, row: Mapping[str, object]) -> None:
        """A journal row was written."""

    def message(self, text: str) -> None:
        """One line worth telling."""


class Silent:
    """Tells nothing."""

    def stage(self, name: str, steps: int, done: int) -> None:
        pass

    def step(self, done: int) -> None:
        pass

    def metrics(self, row: Mapping[str, object]) -> None:
        pass

    def message(self, text: str) -> None:
        pass
