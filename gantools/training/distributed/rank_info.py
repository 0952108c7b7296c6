"""What ``torchrun`` or ``--nproc`` sets in the environment, and the error file it reads. No torch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
LAUNCHED = "GANTOOLS_LAUNCHED"
"""Set by ``--nproc``, whose launcher prints the one line that says why a training failed."""


@dataclass(frozen=True)
class RankInfo:
    """Which process of how many this is, in the whole run and on this computer."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Rank 0 writes and reports; the others only compute."""
        return self.rank == 0


def current(environment: Mapping[str, str] = os.environ) -> RankInfo:
    """The rank that ``torchrun`` or ``--nproc`` wrote into the environment; rank 0 of 1 without them."""
    if not all(environment.get(name) for name in VARIABLES):
        return RankInfo()
    rank, world_size, local_rank = (int(environment[name]) for name in VARIABLES[:3])
    return RankInfo(rank, world_size, local_rank, int(environment.get("LOCAL_WORLD_SIZE", world_size)))


def may_restart(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether ``torchrun --max-restarts`` will start these processes again when one of them fails."""
    return int(environment.get("TORCHELASTIC_MAX_RESTARTS") or 0) > 0


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """How often ``torchrun --max-restarts`` has started these processes again."""
    return int(environment.get("TORCHELASTIC_RESTART_COUNT") or 0)


def is_launched() -> bool:
    """Whether ``--nproc`` started this process."""
    return LAUNCHED in os.environ


def write_error(line: str) -> None:
    """Leave the reason why this process fails where torch's launchers look for it."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        extra = {"py_callstack": "", "timestamp": str(int(time.time()))}
        content = {"message": {"message": line, "extraInfo": extra}}
        Path(path).write_text(json.dumps(content), encoding="utf-8")
