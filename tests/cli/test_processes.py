"""``train --nproc``: several processes that look like one command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from gantools.checkpoint import weights
from gantools.cli.output import console
from gantools.data.synthetic import drawing
from gantools.errors import TrainingError
from gantools.training.distributed import launch, rank_info
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


def failure(rank, code, folder, line=None):
    """How torch's launcher describes a rank that ended with ``code`` and may have left a line."""
    file = folder / f"{rank}.json"
    if line is not None:
        os.environ["TORCHELASTIC_ERROR_FILE"] = str(file)
        assert console.report(TrainingError(line)) == 1
    return ProcessFailure(rank, 100 + rank, code, str(file))


@pytest.mark.parametrize(
    ("codes", "received", "ended"),
    [
        ({}, 0, (0, None)),
        ({0: 143, 1: 143}, signal.SIGTERM, (143, None)),
        ({0: 130, 1: -signal.SIGINT}, signal.SIGINT, (130, None)),
        ({1: 1}, signal.SIGINT, (1, "broke")),  # it could not save
        ({0: 1, 1: -signal.SIGTERM}, 0, (1, "broke")),  # ended by the launcher once the other had failed
        ({0: 1, 1: -signal.SIGKILL}, 0, (1, r"rank 1 \(process 101\) was killed by SIGKILL; go on from the newest .*")),
        ({0: 2}, 0, (2, "broke")),
        ({3: 7}, 0, (7, "rank 3 ended with 7")),
    ],
)
def test_the_first_failure_is_the_result(codes, received, ended, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", "")
    found = [failure(rank, code, tmp_path, "broke" if code in (1, 2) else None) for rank, code in codes.items()]
    code, line = launch.outcome(found, received)
    assert code == ended[0]
    assert line is ended[1] is None or re.fullmatch(ended[1], line)
