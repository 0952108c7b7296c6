"""Which rows of styles an image's coarse, middle and fine features depend on. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gantools.errors import UsageError

COARSE_PX, MIDDLE_PX = 8, 32
SETS = ("coarse", "middle", "fine")


def side_of(row: int) -> int:
    """The side in pixels of the features that a row styles: two rows a size, from 4 px on."""
    return 4 << row // 2


def named(rows: int) -> dict[str, tuple[int, ...]]:
    """The rows of each set, of a model with so many.

    Coarse rows style up to 8 px (pose, shape), middle ones up to 32 px (features), fine ones the rest (colours). In
    images below 128 px that is an eighth and a quarter of the side at most: each set has rows from 32 px on.
    Paper: Karras 2019, arXiv 1812.04948, section 3.1, for 1024 px.
    """
    side = side_of(rows - 1)
    bounds = max(4, min(COARSE_PX, side // 8)), max(4, min(MIDDLE_PX, side // 4))
    sets: dict[str, list[int]] = {name: [] for name in SETS}
    for row in range(rows):
        sets[SETS[sum(side_of(row) > bound for bound in bounds)]].append(row)
    return {name: tuple(found) for name, found in sets.items()}


def parse(given: str, rows: int) -> tuple[int, ...]:
    """Read ``coarse``, ``0-3,8``, ``middle,fine`` or ``all``. Raises UsageError for rows that the model has not."""
    sets = {**named(rows), "all": tuple(range(rows))}
    chosen: set[int] = set()
    for part in (each.strip() for each in given.split(",")):
        found = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", part)
        if part in sets:
            chosen.update(sets[part])
        elif found:
            first, last = int(found[1]), int(found[2] or found[1])
            if last < first:
                raise UsageError(f"--rows {given}: {part} goes backwards; write {last}-{first}")
            chosen.update(range(first, last + 1))
        else:
            raise UsageError(f"--rows {given}: {part!r} is none of {', '.join(sets)} and no range such as 0-3")
    if not chosen or max(chosen) >= rows:
        raise UsageError(f"--rows {given}: the model has the rows 0-{rows - 1}: {described(rows)}")
    return tuple(sorted(chosen))


def described(rows: int) -> str:
    """``coarse 0-3, middle 4-7, fine 8-17``."""
    return ", ".join(f"{name} {ranges(found)}" for name, found in named(rows).items() if found)


def ranges(rows: Sequence[int]) -> str:
    """``0-3,8`` of sorted rows."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][-1] + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def sides(rows: Sequence[int]) -> str:
    """``4 to 8 px``."""
    first, last = side_of(rows[0]), side_of(rows[-1])
    return f"{first} px" if first == last else f"{first} to {last} px"
