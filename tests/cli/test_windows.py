"""What gantools does where Windows' Python lacks a module, a signal or a call: the same, or one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gantools import files
from gantools.data.synthetic import drawing

SMALL = (
    "data.load_px=36",
    "data.crop_px=32",
    "data.batch_images=2",
    "data.workers=0",
    "model.generator.base_channels=4",
    "model.generator.downs=3",
    "model.discriminator.base_channels=4",
    "stages.adversarial.epochs=null",
    "stages.adversarial.steps=4",
)


def gantools(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(Path(__file__).with_name("windows.py")), *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def shoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shoes")
    drawing.draw_dataset("shoes", folder, 8, 40, seed=0)
    return folder


def test_list_and_show_answer() -> None:
    listed = gantools("list")
    assert (listed.returncode, "pix2pix" in listed.stdout) == (0, True), listed.stderr
    shown = gantools("show", "pix2pix/shoes-64")
    assert (shown.returncode, "data.crop_px" in shown.stdout) == (0, True), shown.stderr


def test_a_run_is_trained_resumed_and_used(shoes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = ("train", "pix2pix/shoes-64", "--data", shoes, "--run-dir", run, "--device", "cpu", *SMALL)
    begun = gantools(*train, "--max-steps", "2")
    assert begun.returncode == 0, begun.stderr
    with (run / "lock").open("a") as stream:
        assert files.lock(stream), "the lock goes with the process"
        refused = gantools("train", "--resume", run, "--max-steps", "3", "--device", "cpu")
        assert refused.returncode == 2
        assert "this run is being trained by process" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    resumed = gantools("train", "--resume", run, "--device", "cpu")
    assert resumed.returncode == 0, resumed.stderr
    image = next(shoes.rglob("*.png"))
    planned = gantools("infer", run, image, "-o", tmp_path / "made.png", "--device", "cpu", "-n", "-v")
    assert (planned.returncode, "estimate: 1 image," in planned.stderr) == (0, True), planned.stderr
    made = gantools("infer", run, image, "-o", tmp_path / "made.png", "--device", "cpu", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout.splitlines()[0])["status"] == "done"
    assert (tmp_path / "made.png").stat().st_size > 0


def test_several_processes_are_refused_in_one_line(shoes: Path, tmp_path: Path) -> None:
    refused = gantools("train", "pix2pix/shoes-64", "--data", shoes, "--run-dir", tmp_path / "run", "--nproc", "2")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "gantools: --nproc: several processes train together on Linux and macOS; on Windows, use WSL2"
    ]
