"""The folders that checkpoints lie in. No torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

NAME = re.compile(r"step-(\d{9})(?:\.(\d{1,9}))?")


class Saved(NamedTuple):
    """A checkpoint's place in time, and its folder; the newest is the largest."""

    step: int
    version: int
    folder: Path


def all_saved(checkpoints: Path) -> list[Saved]:
    """The checkpoints in a folder, oldest first, intact or not."""
    found = ((NAME.fullmatch(child.name), child) for child in checkpoints.glob("step-*"))
    return sorted(Saved(int(match[1]), int(match[2] or 0), child) for match, child in found if match)


def steps(checkpoints: Path) -> list[int]:
    """Step numbers of the checkpoints in a folder, oldest first."""
    return sorted({saved.step for saved in all_saved(checkpoints)})
