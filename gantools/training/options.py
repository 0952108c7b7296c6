"""The options of ``gantools train``, ``api.train`` and ``api.resume``, each declared once. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from gantools.config.command import CommandOptions, Option
from gantools.errors import UsageError

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def parse_duration(text: str) -> float:
    """``2h``, ``1h30m``, ``90s`` or ``90`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise UsageError(f"--max-time {text}: write a time such as 2h, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


@dataclass(frozen=True)
class TrainingOptions(CommandOptions):
    """Where a run is trained and how far; what it learns is in its settings."""

    run_dir: Annotated[str | None, Option("Folder of the run [runs/RECIPE/TIME].", metavar="DIR")] = None
    init_from: Annotated[str | None, Option("Fine-tune these weights.", metavar="WEIGHTS")] = None
    device: Annotated[str, Option("auto, cpu, cuda[:N] or mps.", environment="GANTOOLS_DEVICE")] = "auto"
    max_steps: Annotated[int | None, Option("Stop after this many steps; --resume continues.", min=1)] = None
    max_seconds: Annotated[
        float | None,
        Option("Stop after this time; --resume continues.", "--max-time", "2h30m", parse=parse_duration),
    ] = None
