"""One process per run."""

from __future__ import annotations

import os
import re
import signal

import pytest

from gantools.errors import UsageError
from gantools.training.run.directory import RunDirectory
from gantools.training.run.lock import Lock


def test_the_second_is_told_who_has_it(tmp_path):
    with Lock(tmp_path):
        with pytest.raises(UsageError) as caught:
            Lock(tmp_path)
        said = rf"this run is being trained by process {os.getpid()} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"
        assert re.search(said, str(caught.value))
    Lock(tmp_path).release()


def test_a_forked_worker_that_outlives_its_parent_does_not_hold_the_lock(tmp_path):
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        Lock(tmp_path)
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
        Lock(tmp_path).release()
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
