"""``gantools report`` and ``gantools watch`` on a real run."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantools.cli.commands.runs import sparkline
from gantools.training.run import metrics_log


@pytest.fixture
def trained(gantools: Any, drawn: dict[str, Path], small: Callable[[str], list[str]], tmp_path: Path) -> Path:
    where = ["--data", drawn["pix2pix"], "--run-dir", tmp_path / "run"]
    ended = gantools("train", "pix2pix", *where, *small("pix2pix"))
    assert ended.code == 0, ended.err
    return tmp_path / "run"


def test_a_training_leaves_its_report_and_another_may_be_written(gantools: Any, trained: Path, tmp_path: Path) -> None:
    assert "losses of the generator" in (trained / "report.html").read_text()
    ended = gantools("report", trained, "-o", tmp_path / "elsewhere.html")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'elsewhere.html'}\n")
    assert (tmp_path / "elsewhere.html").is_file()


def test_watch_in_a_pipe_prints_every_metric_once(gantools: Any, trained: Path) -> None:
    ended = gantools("watch", trained)
    assert ended.code == 0
    names = [tuple(line.split("\t")[:2]) for line in ended.out.splitlines()]
    assert ("learning rate", "generator") in names
    assert len(set(names)) == len(names)


def test_watch_on_a_terminal_ends_with_the_run(trained: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "gantools", "watch", str(trained)]
    environment = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    process = subprocess.run(command, stderr=follower, timeout=60, env=environment, check=False)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    assert process.returncode == 0
    assert "learning rate" in shown


def test_sparks_fill_their_range() -> None:
    assert sparkline((1.0, 2.0, 3.0)) == "▁▅█"
    assert sparkline((5.0, 5.0)) == "▁▁"
    assert len(sparkline(tuple(map(float, range(100))), width=10)) == 10


def test_tensorboard_reads_what_the_log_says(
    gantools: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    ended = gantools("report", trained, "--tensorboard", tmp_path / "events")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'events'}\n")
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    rows = [row for row in metrics_log.read(trained / "metrics.jsonl") if "loss/generator/pixel" in row]
    read = [(event.step, pytest.approx(event.value)) for event in events.Scalars("loss/generator/pixel")]
    assert read == [(row["step"], row["loss/generator/pixel"]) for row in rows]
    again = gantools("report", trained, "--tensorboard", tmp_path / "events")
    assert (again.code, "name a new folder" in again.only_error) == (2, True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ended = gantools("report", trained, "--tensorboard", tmp_path / "more")
    assert ended.code == 2
    assert "pip install 'gantools[tensorboard]'" in ended.only_error
