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

Small = Callable[[str], list[str]]
SPEC = "srgan/mse"


@pytest.fixture
def trained(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> Path:
    """A run that stopped after three of its four steps, with a checkpoint of step 2 before it."""
    every_step = ["train.checkpoint_every_steps=1"]
    ended = gantools(
        "train", SPEC, "--data", drawn["srgan"], "--run-dir", "run", "--max-steps", "3", *small(SPEC), *every_step
    )
    assert ended.code == 0, ended.err
    return Path("run")


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("1h30m", 5400), ("90s", 90), ("90", 90), ("5m10", 310), ("1h1m1s", 3661)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2 h", "1.5h", "30m1h", "x"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="--max-time"):
        parse_duration(text)


def test_a_run_in_its_default_folder(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> None:
    ended = gantools("train", SPEC, "--data", drawn["srgan"], "--seed", "3", "--precision", "fp32", *small(SPEC))
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


def test_json_rows(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> None:
    ended = gantools("train", SPEC, "--data", drawn["srgan"], "--run-dir", "run", "--json", *small(SPEC))
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert {row["schema"] for row in rows} == {1}
    assert [row["event"] for row in rows] == ["metrics"] * (len(rows) - 1) + ["summary"]
    assert (rows[-1]["run"], rows[-1]["status"], rows[-1]["step"]) == ("run", "finished", 4)
    assert rows[-1]["validation"]["psnr_y"] > 0
    journal = [json.loads(line) for line in (here / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in row if key not in ("schema", "event")} for row in rows[:-1]] == journal


def test_quiet(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> None:
    ended = gantools("-q", "train", SPEC, "--data", drawn["srgan"], "--run-dir", "run", *small(SPEC))
    assert (ended.code, ended.out, ended.err) == (0, "run\n", "")


def test_no_time_left(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> None:
    arguments = ("train", SPEC, "--data", drawn["srgan"], "--run-dir", "run", "--max-time", "0s", *small(SPEC))
    ended = gantools(*arguments)
    assert ended.code == 0
    assert ended.err.splitlines()[-2:] == ["limit at step 0", "resume with: gantools train --resume run"]
    assert gantools("train", "--resume", "run").code == 0


def test_settings_from_a_file_weigh_less_than_the_command_line(
    gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    shown = gantools("show", SPEC, "--config", "seed=1", "train.ema_decay=0.5", *small(SPEC)).out
    (here / "mine.yaml").write_text(shown, encoding="utf-8")
    ended = gantools(
        "train",
        "srgan",
        "--config",
        "mine.yaml",
        "--data",
        drawn["srgan"],
        "--run-dir",
        "run",
        "seed=2",
        "--max-steps",
        "1",
    )
    assert ended.code == 0, ended.err
    written = (here / "run" / "config.yaml").read_text(encoding="utf-8")
    assert "# resolved from mine.yaml\n" in written
    assert "\nseed: 2\n" in written
    assert "\n  ema_decay: 0.5\n" in written


def test_a_run_that_stopped_says_what_can_be_looked_at_and_how_to_go_on(
    gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    ended = gantools("train", SPEC, "--data", drawn["srgan"], "--run-dir", "run", "--max-steps", "3", *small(SPEC))
    weights, stopped, go_on = ended.err.splitlines()[-3:]
    assert weights == "weights: run/weights/last.safetensors; try: gantools infer run IMAGE"
    assert stopped.startswith("limit at step 3")
    assert go_on == "resume with: gantools train --resume run"
    photo = next(drawn["srgan"].rglob("*.png"))
    assert gantools("infer", "run", photo, "-o", "x.png").code == 0


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
    assert gantools("weights", "export", here_is_no_run := "absent").only_error.startswith(
        f"{here_is_no_run}: not a run"
    )


def test_a_configuration_file_is_trained_as_it_is_checked(
    gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    shown = gantools("show", SPEC, "--config", "seed=1", *small(SPEC)).out
    (here / "mine.yaml").write_text(shown, encoding="utf-8")
    assert gantools("check", "mine.yaml", "--data", drawn["srgan"]).code == 0
    ended = gantools(
        "train",
        "mine.yaml",
        "train.log_every_steps=3",
        "--data",
        drawn["srgan"],
        "--run-dir",
        "run",
        "--max-steps",
        "1",
    )
    assert ended.code == 0, ended.err
    written = (here / "run" / "config.yaml").read_text(encoding="utf-8")
    assert {"# resolved from mine.yaml", "seed: 1", "  log_every_steps: 3"} <= set(written.splitlines())
    (here / "mine.yaml").write_text(shown.replace("recipe: srgan", "recipe: srgam"), encoding="utf-8")
    refused = gantools("train", "mine.yaml")
    assert (refused.code, "mine.yaml:" in refused.only_error, "'srgam' is no recipe" in refused.err) == (2, True, True)
    assert "no such file" in gantools("train", "absent.yaml").only_error.lower()
    both = gantools("train", "mine.yaml", "--config", "mine.yaml")
    assert both.only_error == "mine.yaml and --config mine.yaml both name a configuration; give one"


def test_a_finished_run_has_nothing_left_to_do(gantools: Any, trained: Path) -> None:
    assert gantools("train", "--resume", trained).code == 0
    before = (trained / "weights" / "last.safetensors").read_bytes()
    again = gantools("train", "--resume", trained)
    assert again.code == 0
    assert again.err.splitlines()[-2].startswith("finished at step 4")
    assert (trained / "weights" / "last.safetensors").read_bytes() == before


def test_settings_and_length_change_on_resume_when_asked(gantools: Any, trained: Path) -> None:
    changed = ("train.log_every_steps=2", "seed=4", "--precision", "fp32", "--extend", "2")
    resumed = gantools("train", "--resume", trained, *changed)
    assert resumed.code == 0, resumed.err
    told = [line for line in resumed.err.splitlines() if line.startswith("changed from step 3 on: ")]
    assert [line.split(": ")[1] for line in told] == [
        "seed",
        "stages.adversarial.steps",
        "train.precision",
        "train.log_every_steps",
    ]
    assert resumed.err.splitlines()[-2].startswith("finished at step 6")


def truncate(folder: Path) -> None:
    tensors = folder / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])


def test_a_damaged_checkpoint_is_passed_over(gantools: Any, trained: Path) -> None:
    older, newest = sorted((trained / "checkpoints").iterdir())
    truncate(newest)
    resumed = gantools("train", "--resume", trained, "--max-steps", "3")
    assert resumed.code == 0
    warning = resumed.err.splitlines()[0]
    assert warning.startswith(f"gantools: warning: {newest / 'state.safetensors'}: damaged (")
    assert warning.endswith("; going on from step 2 instead")
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "images_per_second" in row] == [1, 2, 3], older


def test_only_damaged_checkpoints_are_exit_2(gantools: Any, trained: Path) -> None:
    for folder in (trained / "checkpoints").iterdir():
        truncate(folder)
    refused = gantools("-q", "train", "--resume", trained)
    assert (refused.code, refused.out) == (2, "")
    assert refused.only_error.startswith("run/checkpoints: no intact checkpoint to resume from; run/checkpoints/step-")


def test_a_damaged_configuration_is_exit_2(gantools: Any, trained: Path) -> None:
    (trained / "config.yaml").write_text("recipe: srgan\nseed: [\n")
    refused = gantools("train", "--resume", trained)
    assert refused.code == 2
    assert refused.only_error.startswith("run/config.yaml:3: not valid YAML: ")


def start_training(data: Path, overrides: list[str]) -> subprocess.Popen[str]:
    """A training in a process of its own, in its first stage."""
    length = ["stages.pretraining.steps=400", "stages.adversarial.steps=1"]
    command = [
        sys.executable,
        "-m",
        "gantools",
        "train",
        SPEC,
        "--data",
        str(data),
        "--run-dir",
        "run",
        *overrides,
        *length,
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANTOOLS_DEVICE": "cpu"},
    )
    deadline, journal = time.monotonic() + 120, Path("run", "metrics.jsonl")
    while process.poll() is None and time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_the_run_goes_on_to_its_end(
    number: signal.Signals, code: int, gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    process = start_training(drawn["srgan"], small(SPEC))
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (code, "run\n"), err
    assert f"{number.name}: saving at step " in err
    assert "Traceback" not in err
    (step,) = state.steps(here / "run" / "checkpoints")
    assert 1 <= step < 400
    assert json.loads((here / "run" / "run.json").read_bytes())["status"] == "interrupted"
    resumed = gantools("train", "--resume", "run")
    assert (resumed.code, resumed.err.splitlines()[-2][:20]) == (0, "finished at step 401")
