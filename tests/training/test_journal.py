"""The journal: whole lines only, none twice."""

from __future__ import annotations

import errno

import pytest

from gantools import files
from gantools.training.run.metrics_log import MOST_WAITING, Journal, read, rewind


@pytest.fixture
def path(tmp_path):
    written = Journal(tmp_path / "metrics.jsonl")
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


def test_a_journal_that_is_right_is_not_touched(path):
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

    written = Journal(path, said.append)
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
    written = Journal(path)

    def torn(content):
        written._stream.write(bytes(content[:5]))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(written, "_append", torn)
    written.write({"step": 4})
    assert path.read_bytes() == whole


def test_waiting_rows_do_not_fill_the_memory(path):
    def broken(event, _path):
        raise OSError(errno.EIO, "Input/output error")

    written = Journal(path)
    with files.observed(broken):
        for step in range(MOST_WAITING + 5):
            written.write({"step": step})
    assert len(written._waiting) == MOST_WAITING
