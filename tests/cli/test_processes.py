"""``train --nproc``: several processes that look like one command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gantools.checkpoint import weights
from gantools.cli.output import console
from gantools.data.synthetic import drawing
from gantools.errors import PeerError, TrainingError
from gantools.training.distributed import launcher, rank_info, rank_process
from tests.cli.conftest import SMALL

PATIENCE_SECONDS = 120
ENDLESS = ("stages.adversarial.steps=1000000", "train.checkpoint_every_steps=5", "train.preview_every_steps=1000000")


@pytest.fixture
def pair(tmp_path):
    """A training by two processes that has saved."""
    drawing.draw_dataset("shoes", tmp_path / "data", count=8, size_px=64, seed=1)
    settings = [*SMALL["pix2pix"], *ENDLESS, "data.workers=0", "data.batch_images=2"]
    command = ["train", "pix2pix/shoes-64", "--data", tmp_path / "data", "--run-dir", tmp_path / "run", *settings]
    process = subprocess.Popen(
        [sys.executable, "-m", "gantools", *command, "--nproc", "2", "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list((tmp_path / "run" / "checkpoints").glob("step-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process, tmp_path / "run"
    process.kill()


def test_ctrl_c_is_one_save_and_one_result(pair):
    process, run = pair
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == f"{run}\n"
    assert err.count("SIGINT: saving at step") == 1
    facts = json.loads((run / "run.json").read_bytes())
    assert (facts["status"], facts["processes"]) == ("interrupted", 2)
    assert list((run / "checkpoints").glob(f"step-{facts['step']:09d}"))
    assert weights.describe(run / "weights" / "last.safetensors").about["step"] == facts["step"]
    assert (run / "samples" / f"{facts['step']:06d}.png").is_file()


def test_a_refusal_is_one_line(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "gantools", "train", "pix2pix/shoes-64", "--data", tmp_path / "none", "--nproc", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"gantools: data.dir: '{tmp_path / 'none'}' does not exist")
    assert list(tmp_path.iterdir()) == []


def test_torchrun_has_started_them_already(gantools, monkeypatch):
    for name, value in zip(rank_info.VARIABLES, ("0", "2", "0", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    ended = gantools("train", "pix2pix", "--nproc", "2")
    assert (ended.code, ended.only_error) == (2, "--nproc: torchrun has started the processes already; leave it out")


def test_the_word_of_who_failed_first_is_the_last(tmp_path, monkeypatch, capsys):
    words = []
    for rank, error in enumerate((PeerError("rank 1: it broke"), TrainingError("it broke"))):
        monkeypatch.setenv(rank_process.WORD, str(tmp_path / f"{rank}.json"))
        assert console.report(error) == 1
        words.append(rank_process.read_word(tmp_path / f"{rank}.json"))
    assert min(words).line == "it broke"
    assert rank_process.read_word(tmp_path / "2.json") is None
    assert capsys.readouterr().err == "gantools: rank 1: it broke\ngantools: it broke\n"
    assert json.loads(Path(tmp_path / "1.json").read_text())["message"]["message"] == "it broke"  # as torchrun reads it


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        (-signal.SIGTERM, launcher.Ended(143)),
        (143, launcher.Ended(143)),
        (1, launcher.Ended(1, "rank 3 ended with code 1")),
    ],
)
def test_an_end_without_a_word(code, ended):
    assert launcher.without_word(3, code) == ended
