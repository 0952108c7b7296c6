"""The one way files are written."""

from __future__ import annotations

import os
from pathlib import Path

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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")
def test_what_could_not_be_written_is_named_as_the_user_knows_it(tmp_path, monkeypatch):
    opened, folder = Path.open, tmp_path / "file"
    monkeypatch.setattr(Path, "open", lambda _path, _mode, **_: opened(Path("/dev/full"), "wb", buffering=0))
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_bytes(tmp_path / "a.bin", b"1")
    assert caught.value.filename == str(tmp_path / "a.bin")
    monkeypatch.undo()
    folder.mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: folder.rmdir())  # as in /proc: it is there, and takes no files
    with pytest.raises(FileNotFoundError) as caught:
        files.write_bytes(folder / "a.bin", b"1")
    assert caught.value.filename == str(folder / "a.bin")


def test_a_file_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path):
    events = []
    with files.observed(lambda event, path: events.append((event, path.name))):
        files.write_bytes(tmp_path / "a.bin", b"1")
    assert [event for event, _ in events] == ["create", "write", "sync", "rename", "sync folder"]
    assert events[0][1].startswith(files.STAGED_PREFIX)
    assert events[3:] == [("rename", "a.bin"), ("sync folder", tmp_path.name)]


def test_every_announced_sync_is_one(tmp_path, monkeypatch):
    synced, announced = [], []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files.observed(lambda event, path: announced.append(event)):
        files.write_bytes(tmp_path / "a.bin", b"1")
        with files.staged_folder(tmp_path / "b") as staged, files.new_file(staged / "c") as stream:
            stream.write(b"2")
    assert len(synced) == sum("sync" in event for event in announced) == 5


@pytest.mark.parametrize(("chunk", "writes"), [(3, 8), (8, 5)])
def test_contents_are_written_in_chunks_and_in_order(tmp_path, monkeypatch, chunk, writes):
    monkeypatch.setattr(files, "CHUNK_BYTES", chunk)
    events = []
    with files.observed(lambda event, path: events.append(event)), files.new_file(tmp_path / "a") as stream:
        for part in (b"", b"012", b"34", b"567", b"89abcdef0123", b"4"):
            stream.write(part)
    assert events.count("write") == writes
    assert (tmp_path / "a").read_bytes() == b"0123456789abcdef01234"
    assert stream.sha256 == files.sha256(tmp_path / "a")


def test_a_failure_to_clean_up_does_not_hide_why(tmp_path, monkeypatch):
    def full(event, path):
        if event in ("sync", "remove"):
            raise OSError(28 if event == "sync" else 30, event)

    with files.observed(full), pytest.raises(OSError, match="sync"):
        files.write_bytes(tmp_path / "a.bin", b"1")


def test_a_folder_is_renamed_before_it_is_removed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    seen = []
    with files.observed(lambda event, path: seen.append((event, path.exists()))):
        files.remove_folder(tmp_path / "a")
    assert seen == [("rename", True), ("remove", True)]
    assert not list(tmp_path.iterdir())


def test_a_folder_is_never_overwritten_and_a_long_name_can_be_staged(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError), files.staged_folder(tmp_path / "run"):
        pass
    path = tmp_path / ("x" * 251 + ".png")
    files.write_bytes(path, b"1")
    assert path.read_bytes() == b"1"


def test_what_a_killed_process_left_is_removed_at_once_or_after_a_while(tmp_path):
    old, fresh, folder = (tmp_path / f"{files.STAGED_PREFIX}{name}" for name in ("old.png", "fresh.png", "folder"))
    kept = tmp_path / "old.png"
    (folder / "b").mkdir(parents=True)
    for path in (old, fresh, kept):
        path.write_bytes(b"half")
    for path in (old, kept, folder):
        os.utime(path, (0, 0))
    files.remove_abandoned([tmp_path, tmp_path / "gone"])
    assert sorted(tmp_path.iterdir()) == sorted((fresh, folder, kept))
    files.remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
