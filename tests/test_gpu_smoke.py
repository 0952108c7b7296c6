"""``scripts/gpu_smoke`` as far as it runs without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "gpu_smoke"


@pytest.fixture(scope="module")
def smoke() -> ModuleType:
    loader = SourceFileLoader("gpu_smoke", str(SCRIPT))
    module = module_from_spec(spec_from_loader("gpu_smoke", loader))
    loader.exec_module(module)
    return module


def test_a_dry_run_prints_results_and_writes_them_as_json(tmp_path: Path) -> None:
    out = tmp_path / "smoke.json"
    command = [sys.executable, SCRIPT, "inference", "--device", "cpu", "--quick", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "PASS  inference" in done.stdout
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["versions"]["device"] == "cpu"
    assert found["parts"]["inference"]["exit"] == 0


@pytest.mark.parametrize(
    ("program", "line"), [("raise KeyError('x')", "KeyError: 'x'"), ("while True: pass", "took more than 1 s")]
)
def test_a_part_that_crashes_or_hangs_has_failed_and_its_output_is_kept(smoke: ModuleType, program, line) -> None:
    row = smoke.run([sys.executable, "-c", program], "cpu", 1 if "while" in program else 60)
    assert row["exit"] != 0
    assert row["output"].strip().endswith(line)


def test_all_parts_together_keep_within_eight_minutes(smoke: ModuleType) -> None:
    assert sum(smoke.SECONDS.values()) <= 480
