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


@pytest.fixture
def path(tmp_path):
    written = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        written.write({"step": step, "loss": step / 7})
    written.close()
    return tmp_path / "metrics.jsonl"


def test_rows_come_back_bit_for_bit(path):
    assert read(path) == [{"step": step, "loss": step / 7} for step in (1, 2, 3)]


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_line_cut_short_is_repaired(path, cut):
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[:-cut])
    rewind(path, 3)
    rest = 3 if cut == 1 else 2 if cut <= last else 1
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:rest])


def test_rows_after_the_step_are_dropped(path):
    rewind(path, 2)
    assert [row["step"] for row in read(path)] == [1, 2]


def test_a_log_that_is_right_is_not_touched(path):
    events = []
    with files.observed(lambda event, _path: events.append(event)):
        rewind(path, 3)
    rewind(path.with_name("none.jsonl"), 3)
    assert not events
    assert not path.with_name("none.jsonl").exists()


def test_rows_that_cannot_be_written_wait(path):
    said, full = [], True

    def disk(event, _path):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")

    written = MetricsLog(path, said.append)
    with files.observed(disk):
        written.write({"step": 4})
        written.write({"step": 5})
        assert len(read(path)) == 3
        full = False
        written.write({"step": 6})
    written.close()
    assert [row["step"] for row in read(path)] == [1, 2, 3, 4, 5, 6]
    assert said == ["metrics.jsonl: No space left on device; its rows wait", "metrics.jsonl: written again"]


def test_half_a_row_is_taken_back(path, monkeypatch):
    whole = path.read_bytes()
    written = MetricsLog(path)

    def torn(content):
        written._stream.write(bytes(content[:5]))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(written, "_append", torn)
    written.write({"step": 4})
    assert path.read_bytes() == whole


def test_waiting_rows_do_not_fill_the_memory(path):
    def broken(event, _path):
        raise OSError(errno.EIO, "Input/output error")

    written = MetricsLog(path)
    with files.observed(broken):
        for step in range(MOST_WAITING + 5):
            written.write({"step": step})
    assert len(written._waiting) == MOST_WAITING


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
    metrics = window.take(10, images_per_step=2)
    assert (metrics["images_per_second"], metrics["data_wait_share"]) == (20 / 4, 1 / 4)
    with window.paused():  # after a row
        clock[0] += 9
    clock[0] += 2
    assert window.take(11, images_per_step=1)["images_per_second"] == 1 / 2


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
