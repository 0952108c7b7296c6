"""``train``: what it prints, what it leaves, how it stops and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantools.checkpoint import state
from gantools.errors import UsageError
from gantools.training.options import parse_duration
from tests.cli.conftest import Ended

SPEC = "srgan/mse"
Train = Callable[..., Ended]


@pytest.fixture
def overrides(drawn: dict[str, Path], small: Callable[[str], list[str]]) -> tuple[str | Path, ...]:
    return "--data", drawn["srgan"], *small(SPEC)


@pytest.fixture
def train(gantools: Any, here: Path, overrides: tuple[str | Path, ...]) -> Train:
    """Train in the folder ``run``."""
    return lambda *words: gantools("train", SPEC, *overrides, "--run-dir", "run", *words)


@pytest.fixture
def trained(train: Train) -> Path:
    """A run that stopped after three of its four steps, with a checkpoint of step 2 before it."""
    ended = train("--max-steps", "3", "train.checkpoint_every_steps=1")
    assert ended.code == 0, ended.err
    weights, stopped, resume = ended.err.splitlines()[-3:]
    assert weights == "weights: run/weights/last.safetensors; try: gantools infer run IMAGE"
    assert stopped.startswith("limit at step 3")
    assert resume == "resume with: gantools train --resume run"
    return Path("run")


def test_durations() -> None:
    seconds = {"2h": 7200, "1h30m": 5400, "90s": 90, "90": 90, "5m10": 310, "1h1m1s": 3661}
    assert {text: parse_duration(text) for text in seconds} == seconds
    for text in ("", "h", "2 h", "1.5h", "30m1h", "x"):
        with pytest.raises(UsageError, match="--max-time"):
            parse_duration(text)


def test_a_run_in_its_default_folder(gantools: Any, here: Path, overrides: tuple[str | Path, ...]) -> None:
    ended = gantools("train", SPEC, *overrides, "--seed", "3", "--precision", "fp32")
    assert ended.code == 0, ended.err
    (run,) = (here / "runs" / "srgan").iterdir()
    assert ended.out == f"runs/srgan/{run.name}\n"
    config = (run / "config.yaml").read_text(encoding="utf-8")
    assert {"# command line: seed=3", "# command line: train.precision=fp32"} <= set(config.splitlines())
    facts = json.loads((run / "run.json").read_bytes())
    assert (facts["status"], facts["step"], facts["seed"], facts["precision"]) == ("finished", 4, 3, "fp32")
    assert facts["command"][1:3] == ["train", SPEC]
    weights = run.relative_to(here) / "weights" / "last.safetensors"
    assert ended.err.splitlines()[-1].startswith(f"weights: {weights}; try: gantools infer ")
    assert {path.name for path in (run / "weights").iterdir()} >= {"last.safetensors", "pretraining.safetensors"}


def test_json_rows(train: Train) -> None:
    rows = [json.loads(line) for line in train("--json").out.splitlines()]
    assert {row["schema"] for row in rows} == {1}
    assert [row["event"] for row in rows] == ["metrics"] * (len(rows) - 1) + ["summary"]
    assert (rows[-1]["run"], rows[-1]["status"], rows[-1]["step"]) == ("run", "finished", 4)
    assert rows[-1]["validation"]["psnr_y"] > 0
    log = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in row if key not in ("schema", "event")} for row in rows[:-1]] == log


def test_no_time_left_and_quiet(train: Train, gantools: Any) -> None:
    ended = train("--max-time", "0s")
    assert ended.code == 0
    assert ended.err.splitlines()[-2:] == ["limit at step 0", "resume with: gantools train --resume run"]
    ended = gantools("-q", "train", "--resume", "run")
    assert (ended.code, ended.out, ended.err) == (0, "run\n", "")


@pytest.mark.parametrize("by_name", [False, True])
def test_a_configuration_file_is_trained_as_it_is_checked(
    by_name: bool, gantools: Any, train: Train, here: Path, overrides: tuple[str | Path, ...]
) -> None:
    """The command line weighs more than the file."""
    shown = gantools("show", SPEC, "--config", "seed=1", "train.ema_decay=0.5", *overrides[2:]).out
    (here / "mine.yaml").write_text(shown, encoding="utf-8")
    words = ("srgan", "--config", "mine.yaml") if by_name else ("mine.yaml",)
    assert gantools("check", "mine.yaml", *overrides[:2]).code == 0
    more = ("--run-dir", "run", "--max-steps", "1", "seed=2", "train.log_every_steps=3")
    ended = gantools("train", *words, *overrides[:2], *more)
    assert ended.code == 0, ended.err
    written = set(Path("run/config.yaml").read_text(encoding="utf-8").splitlines())
    assert {"# resolved from mine.yaml", "seed: 2", "  ema_decay: 0.5", "  log_every_steps: 3"} <= written
    (here / "mine.yaml").write_text(shown.replace("recipe: srgan", "recipe: srgam"), encoding="utf-8")
    refused = gantools("train", *words)
    assert refused.code == 2
    assert "mine.yaml:" in refused.only_error
    assert "srgam" in refused.only_error


def test_weights_are_exported_from_the_newest_checkpoint(gantools: Any, trained: Path, drawn: dict[str, Path]) -> None:
    last, photo = trained / "weights" / "last.safetensors", next(drawn["srgan"].rglob("*.png"))
    wanted = last.read_bytes()
    for path in (trained / "weights").iterdir():
        path.unlink()
    planned = gantools("infer", "run", photo, "-n")
    assert planned.only_error.endswith("; `gantools weights export` makes it of the newest checkpoint")
    assert not list((trained / "weights").iterdir())
    made = gantools("weights", "export", "run", "-o", "mine.safetensors")
    assert (made.code, made.out, made.err) == (0, "mine.safetensors\n", "weights of step 3\n")
    assert Path("mine.safetensors").read_bytes() == wanted
    assert "exists already; --overwrite" in gantools("weights", "export", "run", "-o", "mine.safetensors").only_error
    assert gantools("weights", "export", "run", "-o", "mine.safetensors", "--overwrite").code == 0
    used = gantools("infer", "run", photo, "-o", "x.png")
    assert used.code == 0, used.err
    assert used.err.startswith("gantools: warning: 'run' ended without weights of its newest checkpoint: ")
    assert f"weights: {last} (srgan)" in used.err
    assert last.read_bytes() == wanted
    assert gantools("weights", "export", "run").out == f"{last}\n"


def test_settings_and_length_change_on_resume_when_asked(gantools: Any, trained: Path) -> None:
    changed = ("train.log_every_steps=2", "seed=4", "--precision", "fp32", "--extend", "2")
    resumed = gantools("train", "--resume", trained, *changed)
    assert resumed.code == 0, resumed.err
    lines = [line for line in resumed.err.splitlines() if line.startswith("changed from step 3 on: ")]
    keys = ["seed", "stages.adversarial.steps", "train.precision", "train.log_every_steps"]
    assert [line.split(": ")[1] for line in lines] == keys
    assert resumed.err.splitlines()[-2].startswith("finished at step 6")
    before = (trained / "weights" / "last.safetensors").read_bytes()
    again = gantools("train", "--resume", trained)  # nothing is left to do
    assert (again.code, again.err.splitlines()[-2].startswith("finished at step 6")) == (0, True)
    assert (trained / "weights" / "last.safetensors").read_bytes() == before


def test_damaged_checkpoints_are_passed_over_and_a_run_without_any_is_refused(gantools: Any, trained: Path) -> None:
    def truncate(folder: Path) -> Path:
        tensors = folder / "state.safetensors"
        tensors.write_bytes(tensors.read_bytes()[:-100])
        return tensors

    _, newest = sorted((trained / "checkpoints").iterdir())
    damaged = truncate(newest)
    resumed = gantools("train", "--resume", trained, "--max-steps", "3")
    assert resumed.code == 0
    warning = resumed.err.splitlines()[0]
    assert warning.startswith(f"gantools: warning: {damaged}: damaged (")
    assert warning.endswith("; going on from step 2 instead")
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "images_per_second" in row] == [1, 2, 3]
    for folder in (trained / "checkpoints").iterdir():
        truncate(folder)
    refused = gantools("-q", "train", "--resume", trained)
    assert (refused.code, refused.out) == (2, "")
    assert refused.only_error.startswith("run/checkpoints: no intact checkpoint to resume from; run/checkpoints/step-")
    (trained / "config.yaml").write_text("recipe: srgan\nseed: [\n")
    refused = gantools("train", "--resume", trained)
    assert refused.code == 2
    assert refused.only_error.startswith("run/config.yaml:3: not valid YAML: ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_the_run_goes_on_to_its_end(
    number: signal.Signals, code: int, gantools: Any, here: Path, overrides: tuple[str | Path, ...]
) -> None:
    length = ("stages.pretraining.steps=400", "stages.adversarial.steps=1")
    words = ("train", SPEC, *map(str, overrides), "--run-dir", "run", *length)
    process = subprocess.Popen(
        [sys.executable, "-m", "gantools", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANTOOLS_DEVICE": "cpu"},
    )
    deadline, log = time.monotonic() + 900, Path("run", "metrics.jsonl")
    while process.poll() is None and time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=900)
    assert (process.returncode, out) == (code, "run\n"), err
    assert f"{number.name}: saving at step " in err
    assert "Traceback" not in err
    (step,) = state.steps(here / "run" / "checkpoints")
    assert 1 <= step < 400
    assert json.loads((here / "run" / "run.json").read_bytes())["status"] == "interrupted"
    resumed = gantools("train", "--resume", "run")
    assert (resumed.code, resumed.err.splitlines()[-2][:20]) == (0, "finished at step 401")
