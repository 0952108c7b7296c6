"""How many processor cores this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: microseconds, or ``max``, in so many."""


def usable_cores() -> int:
    """Its affinity, or a container's quota where that is less; at least one."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = QUOTA.read_text().split() if QUOTA.is_file() else ["max"]
    return cores if quota[0] == "max" else max(1, min(cores, int(quota[0]) // int(quota[1])))
