"""Rows of fault tests: a guarantee, tried many times and counted. ``scripts/faults`` prints them as a table."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """A row's folder, its form (short or long) and the seed that repeats it."""

    folder: Path
    long: bool = False
    seed: int = 0

    def count(self, short: int, long: int) -> int:
        """How many cases this form has."""
        return long if self.long else short

    def limit(self, seconds: float) -> float:
        """A time limit; ten times as long in the short form, which runs on any machine and beside other tests."""
        return seconds if self.long else 10 * seconds

    def random(self) -> random.Random:
        """Numbers that are the same in every run with this seed."""
        return random.Random(self.seed)


@dataclass
class Outcome:
    """How many cases a row tried, which failed, and numbers to print."""

    cases: int = 0
    failures: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)

    def check(self, passed: object, case: str) -> None:
        """Count one case; ``case`` describes it if it failed."""
        self.cases += 1
        if not passed:
            self.failures.append(case)


@dataclass(frozen=True)
class Row:
    """One fault: its name, the guarantee, and the function that tries it."""

    name: str
    promise: str
    attempt: Callable[[Trial], Outcome]


def run(row: Row, trial: Trial) -> Outcome:
    """Try one row. An exception, which may be that of a time limit, is a failure."""
    try:
        return row.attempt(trial)
    except Exception as error:
        trace = "".join(traceback.format_exception(error)).splitlines()
        return Outcome(1, [f"{type(error).__name__}: {error}", *trace[-4:]])


def table(rows: Sequence[Row], base: Trial) -> tuple[list[str], bool]:
    """Try every row in a folder of its own. Returns lines to print and whether every guarantee was kept."""
    lines, all_kept = [], True
    for row in rows:
        folder = base.folder / row.name
        folder.mkdir(parents=True)
        started = time.monotonic()
        outcome = run(row, Trial(folder, base.long, base.seed))
        kept = outcome.cases > 0 and not outcome.failures
        all_kept &= kept
        numbers = "".join(f", {name} {value}" for name, value in outcome.numbers.items())
        counted = f"{outcome.cases - len(outcome.failures)}/{outcome.cases}"
        seconds = time.monotonic() - started
        lines.append(f"{'ok  ' if kept else 'FAIL'} {row.name:<18} {counted:>11}  {seconds:6.1f} s{numbers}")
        lines += [f"    failed: {case}" for case in outcome.failures[:10]]
    return lines, all_kept


def find(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows called ``names``, or all. Raises KeyError for a name that no row has."""
    by_name = {row.name: row for row in rows}
    return [by_name[name] for name in names] if names else list(rows)
