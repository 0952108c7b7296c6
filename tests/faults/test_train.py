"""The short form of every row of training, and that each notices what it is there to notice."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults import broken_train, ranks
from tests.faults.processes import REPOSITORY
from tests.faults.train import ROWS

SHARED_MEMORY = Path("/dev/shm")
SHORT = [row.name for row in ROWS if row.name not in ranks.LONG_ONLY]
VARIANTS = list(broken_train.VARIANTS)


def run(*command: object) -> str:
    """Run Python in a process that may fork; its small files, synced thousands of times, are in memory if possible."""
    room = os.statvfs(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
    folder = str(SHARED_MEMORY) if room and room.f_bavail * room.f_frsize > 1 << 30 else tempfile.gettempdir()
    own = {"TMPDIR": folder, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = (sys.executable, *map(str, command))
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, cwd=REPOSITORY)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.parametrize("rows", [SHORT[start::3] for start in range(3)], ids="+".join)
def test_every_guarantee_is_kept(rows):
    output = run(REPOSITORY / "scripts" / "faults", "train", *rows, "--short")
    assert [line.split()[:2] for line in output.splitlines()] == [["ok", row] for row in rows]


@pytest.mark.parametrize("names", [VARIANTS[0::2], VARIANTS[1::2]], ids=["one half", "the other"])
def test_every_broken_variant_fails_its_row(names):
    output = run("-m", "tests.faults.broken_train", *names)
    assert [line.split()[:2] for line in output.splitlines() if line.startswith("fails ")] == [
        ["fails", f"{name}:"] for name in names
    ]
