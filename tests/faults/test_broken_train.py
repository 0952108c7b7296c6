"""The harness notices what it is there to notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.broken_train import VARIANTS
from tests.faults.test_train import REPOSITORY, memory_folder

NAMES = list(VARIANTS)


@pytest.mark.parametrize("names", [NAMES[0::2], NAMES[1::2]], ids=["one half", "the other"])
def test_every_broken_variant_turns_its_row_red(names):
    command = [sys.executable, "-m", "tests.faults.broken_train", *names]
    environment = {**os.environ, "TMPDIR": memory_folder(), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    tried = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(REPOSITORY))
    assert tried.returncode == 0, tried.stdout + tried.stderr[-3000:]
    assert tried.stdout.count("red  ") == len(names)
