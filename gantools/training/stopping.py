"""Why a run stops before its configuration's end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gantools.training.distributed.rank_info import Ranks
from gantools.training.interruptions import Interruptions

Ending = Literal["finished", "limit", "interrupted"]


@dataclass(frozen=True)
class Limits:
    """When to stop before the configuration's end; the run can be resumed afterwards."""

    max_steps: int | None = None
    max_seconds: float | None = None


class Stopping:
    """Looks out for limits and signals from now on. ``signal`` is the one that was received, of any rank."""

    def __init__(self, limits: Limits, interruptions: Interruptions, ranks: Ranks, tell: Callable[[str], None]) -> None:
        self._limits, self._interruptions, self._ranks, self._tell = limits, interruptions, ranks, tell
        self._began = time.monotonic()
        self.signal: int | None = None

    def reason(self, step: int) -> Ending | None:
        """Why to stop at the edge after ``step`` steps: the same for all ranks, whichever of them was told."""
        received, out_of_time = divmod(
            self._ranks.largest(2 * (self._interruptions.received or 0) + self._is_late()), 2
        )
        if received:
            self.signal = received
            if self._ranks.place.is_first:
                self._tell(f"{signal.Signals(received).name}: saving at step {step}, then stopping")
            return "interrupted"
        out_of_steps = self._limits.max_steps is not None and step >= self._limits.max_steps
        return "limit" if out_of_steps or out_of_time else None

    def _is_late(self) -> bool:
        limit = self._limits.max_seconds
        return limit is not None and time.monotonic() - self._began >= limit
