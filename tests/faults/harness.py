"""Rows of faults: what is promised, tried many times, and counted. ``scripts/faults`` prints them as a table."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """Where a row may work, how long its form is, and the seed that replays it."""

    folder: Path
    long: bool = False
    seed: int = 0

    def count(self, short: int, long: int) -> int:
        """How many cases this form of a row has."""
        return long if self.long else short

    def patience(self, seconds: float) -> float:
        """A limit of time: ten times as long in the short form, which runs on any machine and beside other tests."""
        return seconds if self.long else 10 * seconds

    def random(self) -> random.Random:
        """Numbers that are the same in every run of this seed."""
        return random.Random(self.seed)


@dataclass
class Outcome:
    """What came of a row: how many cases were tried, which broke the promise, and figures and lines to print."""

    cases: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)

    def case(self, kept: bool, told: str) -> None:
        """Count one case; ``told`` says which, should the promise not be kept."""
        self.cases += 1
        if not kept:
            self.broken.append(told)


@dataclass(frozen=True)
class Row:
    """One fault: its name, what gantools promises, and the function that tries it."""

    name: str
    promise: str
    attempt: Callable[[Trial], Outcome]


def tried(row: Row, trial: Trial) -> Outcome:
    """Try one row. What it raises, a hang that was cut short included, breaks its promise."""
    try:
        return row.attempt(trial)
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        return Outcome(1, [f"{type(error).__name__}: {error}", *told.splitlines()[-4:]])


def table(rows: Sequence[Row], base: Trial) -> tuple[list[str], bool]:
    """Try every row in a folder of its own. Returns lines to print and whether every promise was kept."""
    lines, kept = [], True
    for row in rows:
        folder = base.folder / row.name
        folder.mkdir(parents=True)
        started = time.monotonic()
        outcome = tried(row, Trial(folder, base.long, base.seed))
        sound = outcome.cases > 0 and not outcome.broken
        kept &= sound
        lines.append(_line(row, outcome, sound, time.monotonic() - started))
        lines += [f"    {line}" for line in outcome.details]
        lines += [f"    broken: {told}" for told in outcome.broken[:10]]
    return lines, kept


def find(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows called ``names``, or all. Raises KeyError for a name that no row has."""
    by_name: Mapping[str, Row] = {row.name: row for row in rows}
    return [by_name[name] for name in names] if names else list(rows)


def _line(row: Row, outcome: Outcome, sound: bool, seconds: float) -> str:
    told = ", ".join(f"{name} {value}" for name, value in outcome.figures.items())
    verdict = "ok  " if sound else "FAIL"
    counted = f"{outcome.cases - len(outcome.broken)}/{outcome.cases}"
    return f"{verdict} {row.name:<24} {counted:>11}  {seconds:6.1f} s  {row.promise}{': ' + told if told else ''}"
