"""A run's folder: whole log rows only, none twice; speeds in them; one process per run."""

from __future__ import annotations

import errno
import os
import re
import signal

import pytest

from gantools import files
from gantools.errors import UsageError
from gantools.training import recorder
from gantools.training.recorder import LogWindow
from gantools.training.run.directory import RunDirectory, RunLock
from gantools.training.run.metrics_log import MOST_WAITING, MetricsLog, read, rewind
from tests.training.listening import FullDisk


@pytest.fixture
def path(tmp_path):
    written = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        written.write({"step": step, "loss": step / 7})
    written.close()
    return tmp_path / "metrics.jsonl"


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_line_cut_short_is_repaired(path, cut):
    assert read(path) == [{"step": step, "loss": step / 7} for step in (1, 2, 3)]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[:-cut])
    rewind(path, 3)
    assert path.read_bytes() == b"".join(lines[: 3 if cut == 1 else 2 if cut <= len(lines[-1]) else 1])


def test_rewinding_drops_rows_after_the_step_and_touches_nothing_else(path):
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        rewind(path, 3)
    rewind(path.with_name("none.jsonl"), 3)
    assert not events
    assert not path.with_name("none.jsonl").exists()
    rewind(path, 2)
    assert [row["step"] for row in read(path)] == [1, 2]


def test_rows_that_cannot_be_written_wait_but_not_without_limit(path):
    lines, disk = [], FullDisk()
    written = MetricsLog(path, lines.append)
    with files.observed(disk):
        for step in range(4, MOST_WAITING + 9):
            written.write({"step": step})
        assert len(read(path)) == 3
        assert len(written._waiting) == MOST_WAITING
        disk.full = False
        written.write({"step": 10**6})
    written.close()
    assert [row["step"] for row in read(path)] == [1, 2, 3, *range(10, MOST_WAITING + 9), 10**6]
    assert lines == ["metrics.jsonl: No space left on device; its rows wait", "metrics.jsonl: written again"]


def test_half_a_row_is_taken_back(path, monkeypatch):
    whole, written = path.read_bytes(), MetricsLog(path)

    def torn(content):
        written._stream.write(bytes(content[:5]))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(written, "_append", torn)
    written.write({"step": 4})
    assert path.read_bytes() == whole


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which passes only by hand."""
    now = [100.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    return now


def test_speed_is_of_the_training_alone(clock):
    window = LogWindow(0)
    with window.waiting():
        clock[0] += 1
    clock[0] += 3
    with window.paused():  # a validation
        clock[0] += 50
    metrics = window.take(10, 2, {})
    assert (metrics["images_per_second"], metrics["data_wait_share"]) == (20 / 4, 1 / 4)
    with window.paused():  # after a row
        clock[0] += 9
    clock[0] += 2
    assert window.take(11, 1, {})["images_per_second"] == 1 / 2


def test_a_second_process_is_refused_and_shown_the_first(tmp_path):
    with RunLock(tmp_path):
        with pytest.raises(UsageError) as caught:
            RunLock(tmp_path)
        line = rf"this run is being trained by process {os.getpid()} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"
        assert re.search(line, str(caught.value))
    RunLock(tmp_path).release()


def test_a_forked_worker_that_outlives_its_parent_does_not_hold_the_lock(tmp_path):
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        RunLock(tmp_path)
        worker = os.fork()
        if worker == 0:
            signal.pause()
        os.write(writer, str(worker).encode())
        signal.pause()
    worker = int(os.read(reader, 20))
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    try:
        os.kill(worker, 0)
        RunLock(tmp_path).release()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_folder_in_which_a_start_was_killed_is_as_good_as_new(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim().release()
    (run.path / ".gantools-12ab.yaml").write_text("half")
    with run.claim():
        run.begin("recipe: x\n")
    assert {path.name for path in run.path.iterdir()} == {"lock", "config.yaml", "checkpoints", "samples", "weights"}
    with pytest.raises(UsageError, match="not empty"):
        run.claim()
