"""The one way files are written."""

from __future__ import annotations

import os

import pytest

from gantools import files


def test_a_failed_writer_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with files.staged_file(path) as staged:
            staged.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path, monkeypatch):
    events = []
    honest_sync, honest_replace = files.sync, os.replace
    monkeypatch.setattr(files, "sync", lambda path: (events.append(("sync", path.name)), honest_sync(path)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append(("rename", b.name)), honest_replace(a, b)))
    files.write_bytes(tmp_path / "a.bin", b"1")
    assert [kind for kind, _ in events] == ["sync", "rename", "sync"]
    assert events[0][1].startswith(files.STAGED_PREFIX)
    assert events[2][1] == tmp_path.name


def test_a_folder_is_never_overwritten(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError), files.staged_folder(tmp_path / "run"):
        pass


def test_a_long_name_can_be_staged(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    files.write_bytes(path, b"1")
    assert path.read_bytes() == b"1"
