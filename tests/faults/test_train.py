"""The short form of every row of training, in processes of their own: the long form is ``scripts/faults train``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults import ranks
from tests.faults.train import ROWS

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")
# Rows that take longer than the others go to different processes.
OWN = [row.name for row in ROWS if row not in ranks.ROWS]
# Starting torchrun and the command line costs more than the rest: tests/cli/test_processes.py has the command line.
RANKS = ["ranks-equal", "ranks-every-recipe", "ranks-killed", "ranks-signalled"]
GROUPS = [*(OWN[start::3] for start in range(3)), RANKS]


def memory_folder() -> str:
    """A folder for small files that are synced thousands of times: in memory where there is room."""
    roomy = SHARED_MEMORY.is_dir() and os.statvfs(SHARED_MEMORY).f_bavail * os.statvfs(SHARED_MEMORY).f_frsize > 1 << 30
    return str(SHARED_MEMORY) if roomy else tempfile.gettempdir()


@pytest.mark.parametrize("rows", GROUPS, ids=["+".join(group) for group in GROUPS])
def test_every_promise_is_kept(rows):
    command = [sys.executable, REPOSITORY / "scripts" / "faults", "train", *rows, "--short"]
    environment = {**os.environ, "TMPDIR": memory_folder(), "OMP_NUM_THREADS": "1"}
    tried = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert tried.returncode == 0, tried.stdout + tried.stderr[-3000:]
    assert [line.split()[:2] for line in tried.stdout.splitlines()] == [["ok", row] for row in rows]
