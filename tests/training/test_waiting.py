"""A process that waits for others says so, and signals end it where no handler of Python's would run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from gantools.errors import GantoolsError
from gantools.training.distributed import launcher
from gantools.training.distributed.waiting import Watch

PATIENCE_SECONDS = 240  # importing torch takes long on a busy machine

MEETS = """
import signal
from gantools.cli.output import console
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may ignore it

@console.guarded
def main():
    import torch
    from gantools.training.distributed import communicator
    communicator.MEETING_SECONDS = 0.1
    communicator.join(torch.device("cpu"))

main()
"""
WAITS = """
import signal, sys, time
from gantools.training.distributed.waiting import Watch
watch = Watch()
signal.signal(signal.SIGTERM, lambda *_: None)  # as the loop's, which notes it for the end of the step
with watch.waiting("the others", said_after_seconds=1000, ends_at=2):
    print("waiting", flush=True)
    time.sleep(1000)
"""


def started(program: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_rank_that_waits_alone_says_so_and_ends_at_the_first_signal(rank: int, number: signal.Signals) -> None:
    port = launcher.free_port()
    place = {"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    process = started(MEETS, **place, MASTER_PORT=str(port))
    limit = threading.Timer(PATIENCE_SECONDS, process.kill)
    limit.start()
    try:
        assert process.stderr is not None
        lines = []
        while not lines or "waiting for" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], f"it ended with {process.wait()} and said {lines}"
        told = f"waiting for the other 2 of 3 processes at 127.0.0.1:{port}; Ctrl-C stops"
        assert lines[-1] == f"gantools: warning: {told}\n"
        process.send_signal(number)
        said, more = process.communicate(timeout=60)
        assert (process.returncode, said) == (128 + number, "")
        assert "Traceback" not in more
    finally:
        limit.cancel()
        process.kill()


def test_in_a_step_the_second_signal_ends_it() -> None:
    """The first one is to save, for which the others are needed."""
    process = started(WAITS)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()


def test_what_is_waited_for_is_said_once_and_only_if_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    try:
        with watch.waiting("nobody", said_after_seconds=1000, ends_at=1):
            pass
        heard: list[str] = []
        monkeypatch.setattr(warnings, "warn", lambda text, **_: heard.append(text))
        with watch.waiting("somebody", said_after_seconds=0, ends_at=1):
            deadline = time.monotonic() + 60
            while not heard and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1.2)  # two more looks
        assert heard == ["waiting for somebody; Ctrl-C stops"]
    finally:
        watch.stop()


def test_the_pipe_of_signals_is_given_back() -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    Watch().stop()
    assert signal.set_wakeup_fd(before) == before


def test_processes_that_cannot_reach_each_other_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    launcher.require_loopback()
    monkeypatch.setattr("socket.create_connection", unreachable)
    with pytest.raises(GantoolsError, match=r"cannot reach each other at 127\.0\.0\.1 \(Network is unreachable\)"):
        launcher.launch(2, ["train", "pix2pix"])


def test_without_loopback_nproc_is_one_line_at_once(tmp_path: Path) -> None:
    alone = ["unshare", "--net"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not have a network of its own (unshare --net)")
    (tmp_path / "data").mkdir()
    command = [sys.executable, "-m", "gantools", "train", "pix2pix", "--data", str(tmp_path / "data"), "--nproc", "2"]
    ended = subprocess.run([*alone, *command], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("gantools: --nproc: the processes cannot reach each other at 127.0.0.1 (")
    assert line.endswith("bring the loopback interface up (ip link set lo up), or train with one process")
