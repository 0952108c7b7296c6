"""Runs that an earlier version wrote are resumed, applied and reported.

``fixtures/*.tar.xz`` hold a run that stopped one step before its end, and the log row that the same version wrote for
that step when it went on: a state that was not restored gives other losses.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(params=["cyclegan", "srgan"])
def old_run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of an earlier version, with the data set it was trained on beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTOOLS_DEVICE", "cpu")
    with tarfile.open(FIXTURES / f"{request.param}-run-2026-11.tar.xz") as archive:
        archive.extractall(tmp_path)  # our own file
    gantools("data", "synth", request.param, "-o", f"data-{request.param}", "--count", 8, "--size", 64)
    return tmp_path / request.param


def gantools(*arguments: object) -> None:
    """Run the command line on the CPU. Fails with what it printed when it does not end with 0."""
    command = [sys.executable, "-m", "gantools", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_an_old_run_goes_on_where_it_stopped(old_run: Path) -> None:
    expected = json.loads((old_run / "next.json").read_text())
    gantools("train", "--resume", old_run)
    rows = [json.loads(line) for line in (old_run / "metrics.jsonl").read_text().splitlines()]
    (row,) = [row for row in rows if row["step"] == expected["step"] and any(key.startswith("loss/") for key in row)]
    losses = {key: value for key, value in expected.items() if key.startswith(("loss/", "lr/"))}
    assert {key: row[key] for key in losses} == pytest.approx(losses, rel=0.02)
    assert json.loads((old_run / "run.json").read_text())["status"] == "finished"


def test_an_old_runs_weights_are_applied(old_run: Path) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save("in.png")
    direction = ["--direction", "a2b"] if old_run.name == "cyclegan" else []
    gantools("infer", old_run, "in.png", "-o", "out.png", *direction)
    assert Image.open("out.png").size in {(40, 40), (160, 160)}


def test_an_old_run_and_its_configuration_are_read(old_run: Path) -> None:
    gantools("report", old_run)
    assert "<svg" in (old_run / "report.html").read_text()
    gantools("check", old_run / "config.yaml")
    gantools("weights", "info", old_run / "weights" / "last.safetensors")
