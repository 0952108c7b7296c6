"""What the loop reports. The command line prints it; from Python nothing is printed unless a reporter is passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Receives a run's progress; all calls come from the loop's own thread."""

    def stage(self, name: str, steps: int, done: int) -> None:
        """A stage of ``steps`` steps begins (or is resumed) with ``done`` of them done."""

    def step(self, done: int) -> None:
        """``done`` steps of the stage are done."""

    def metrics(self, row: Mapping[str, object]) -> None:
        """A log row was written."""

    def message(self, text: str) -> None:
        """One line for the user."""


class Silent:
    """Reports nothing."""

    def stage(self, name: str, steps: int, done: int) -> None:
        pass

    def step(self, done: int) -> None:
        pass

    def metrics(self, row: Mapping[str, object]) -> None:
        pass

    def message(self, text: str) -> None:
        pass
