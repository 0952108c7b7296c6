"""``scripts/gpu_smoke`` as far as it runs without a GPU: its sections on a processor, crashes, time limits, JSON."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "gpu_smoke"


@pytest.fixture(scope="module")
def smoke() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("gpu_smoke", str(SCRIPT))
    spec = importlib.util.spec_from_loader("gpu_smoke", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_smoke"] = module
    loader.exec_module(module)
    return module


def test_a_rehearsal_prints_a_table_and_writes_it_as_json(tmp_path: Path) -> None:
    out = tmp_path / "smoke.json"
    command = [sys.executable, SCRIPT, "versions", "ranks", "--device", "cpu", "--quick", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert done.returncode == 0, done.stdout
    assert [(row["section"], row["name"], row["verdict"]) for row in found] == [
        ("versions", "software", "PASS"),
        ("versions", "GPU", "SKIP"),
        ("ranks", "gloo", "PASS"),
    ]
    assert done.stdout.splitlines()[-1].startswith("2 PASS, 0 FAIL, 1 SKIP; ")
    assert len(done.stdout.splitlines()) == len(found) + 1


@pytest.mark.parametrize(
    ("program", "budget_seconds", "said"),
    [
        ("import os; os.abort()", 300, "SIGABRT"),
        ("raise KeyError('x')", 300, "exit 1: KeyError: 'x'"),
        ("import time; time.sleep(3600)", 1, "took more than 1 s"),
    ],
)
def test_a_section_that_crashes_or_hangs_is_a_row_and_keeps_what_it_found(
    smoke: ModuleType, program: str, budget_seconds: float, said: str, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    row = {"section": "steps", "name": "first", "verdict": "PASS", "figures": {}, "note": ""}
    told.write_text(json.dumps(row) + "\n")
    first, last = smoke.collected("steps", [sys.executable, "-c", program], told, budget_seconds)
    assert (first.name, first.verdict) == ("first", "PASS")
    assert (last.section, last.verdict) == ("steps", "FAIL")
    assert last.note.startswith(said)
    assert "FAIL  steps" in smoke.table([first, last])


def test_all_sections_together_keep_within_eight_minutes(smoke: ModuleType) -> None:
    assert sum(seconds for _, seconds in smoke.SECTIONS.values()) <= smoke.MOST_SECONDS == 480


def test_a_row_that_is_not_as_it_should_be_fails(smoke: ModuleType, tmp_path: Path, monkeypatch) -> None:
    def wrong(_place):
        yield "right", True, {"ms": 1.5}
        yield "wrong", False, {}
        yield "left out", None, {"why": "no GPU"}

    monkeypatch.setattr(smoke, "SECTIONS", {"wrong": (wrong, 1)})
    smoke.play("wrong", smoke.Place("cpu", True, tmp_path), tmp_path / "told")
    rows = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [(row["name"], row["verdict"], row["note"]) for row in rows] == [
        ("right", "PASS", ""),
        ("wrong", "FAIL", ""),
        ("left out", "SKIP", "no GPU"),
    ]
