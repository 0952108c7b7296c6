"""Processor, memory and threads."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gantools.doctor.report import Finding

CPU_INFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def facts() -> dict[str, Any]:
    """What this computer is."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gigabytes": memory_gigabytes(),
        "threads_set": os.environ.get("OMP_NUM_THREADS"),
    }


def processor() -> str:
    """The processor's model."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> float:
    """Cores this process may use: its affinity, and a container's quota where there is one."""
    cores: float = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = CPU_QUOTA.read_text().split() if CPU_QUOTA.is_file() else ["max"]
    return cores if quota[0] == "max" else min(cores, round(int(quota[0]) / int(quota[1]), 1))


def memory_gigabytes() -> float | None:
    """The computer's memory, None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def findings(threads: int | None) -> Iterator[Finding]:
    """``threads`` is how many torch uses; more than there are cores for only wait for each other."""
    cores = max(1, int(usable_cores()))
    if threads is not None and threads > cores:
        what = f"torch uses {threads} threads, but only {cores} cores may be used here"
        yield Finding("warning", what, f"export OMP_NUM_THREADS={cores}")
