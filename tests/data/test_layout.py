"""Folders are recognised, and what is wrong with one is said in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gantools.data.folders import layout, search
from gantools.errors import DataError


def names(found: layout.Layout) -> list[str]:
    return [item.name for item in found.items]


def test_photos_are_found_recursively_sorted_and_without_hidden_files(tmp_path: Path, save) -> None:
    for name in ("b.png", "a/2.jpg", "a/1.PNG", ".hidden.png", ".git/x.png", "a/.y.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = layout.find(tmp_path)
    assert found.kind == "photos"
    assert names(found) == ["a/1.PNG", "a/2.jpg", "b.png"]
    assert found.describe() == "3 photos"


def test_the_order_does_not_depend_on_the_disk(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("é.png", "B.png", "a.png", "a b.png", "10.png", "9.png"):
        save(tmp_path / name)
    first = names(layout.find(tmp_path))
    scan = os.scandir

    class Backwards:
        def __init__(self, folder: str) -> None:
            with scan(folder) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Backwards)
    assert [path.name for path in search.image_files(tmp_path)] == first == sorted(first, key=str.encode)


def test_a_link_to_the_folder_itself_is_walked_once(tmp_path: Path, save) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "again").symlink_to(tmp_path)
    assert names(layout.find(tmp_path)) == ["a.png"]


@pytest.mark.parametrize(
    ("source", "target"),
    [("source", "target"), ("A", "B"), ("trainA", "trainB"), ("blur", "sharp"), ("trainA_apples", "trainB_oranges")],
)
def test_two_folders_are_matched_by_stem(tmp_path: Path, save, source: str, target: str) -> None:
    for name in ("2", "1", "deep/3"):
        save(tmp_path / source / f"{name}.png")
        save(tmp_path / target / f"{name}.jpg")
    found = layout.find(tmp_path)
    assert found.kind == "folders"
    assert names(found) == ["1", "2", "deep/3"]
    assert found.items[0].files == (tmp_path / source / "1.png", tmp_path / target / "1.jpg")


def test_ab_images_are_recognised_by_their_shape_only_if_all_have_it(tmp_path: Path, save) -> None:
    save(tmp_path / "1.png", 20, 10)
    save(tmp_path / "2.png", 24, 12)
    assert layout.find(tmp_path).kind == "ab"
    assert layout.find(tmp_path, "photos").kind == "photos"
    save(tmp_path / "3.png", 21, 10)
    assert layout.find(tmp_path).kind == "photos"


def test_unpaired_domains_need_no_partners(tmp_path: Path, save) -> None:
    for name in ("trainA/1.png", "trainA/2.png", "trainB/9.png"):
        save(tmp_path / name)
    a, b = (layout.all_images(side).items for side in layout.domain_folders(tmp_path))
    assert [item.name for item in a] == ["1.png", "2.png"]
    assert [item.name for item in b] == ["9.png"]


def test_ready_made_splits_are_found(tmp_path: Path, save) -> None:
    save(tmp_path / "train" / "1.png")
    save(tmp_path / "test" / "2.png")
    assert search.split_folder(tmp_path, "training") == tmp_path / "train"
    assert search.split_folder(tmp_path, "validation") == tmp_path / "test"
    assert search.split_folder(tmp_path / "train", "training") is None


def missing(folder: Path, _save) -> None:
    folder.rmdir()


def is_a_file(folder: Path, _save) -> None:
    folder.rmdir()
    folder.write_text("text")


def empty(folder: Path, _save) -> None:
    (folder / "readme.md").write_text("nothing here")


def unpaired(folder: Path, save) -> None:
    save(folder / "a" / "0.png")
    for number in range(7):
        save(folder / "b" / f"{number}.png")


def clash(folder: Path, save) -> None:
    for name in ("a/0.png", "a/0.jpg", "b/0.png"):
        save(folder / name)


def other_size(folder: Path, save) -> None:
    save(folder / "a" / "0.png", 10, 10)
    save(folder / "b" / "0.png", 11, 10)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing, "does not exist; give a folder with --data DIR"),
        (is_a_file, "is a file; give a folder of images"),
        (empty, "holds no images: 1 files seen, none ends in .bmp .dib .jfif .jif .jpe .jpeg .jpg "),
        (unpaired, "6 files have no partner (b/1.png, b/2.png, b/3.png, b/4.png, b/5.png, …)"),
        (clash, "have the same name; keep one"),
        (other_size, "is 10x10 but"),
    ],
)
def test_a_bad_folder_is_one_line(tmp_path: Path, save, spoil, said: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spoil(folder, save)
    with pytest.raises(DataError) as caught:
        layout.find(folder)
    message = str(caught.value)
    assert said in message
    assert message.startswith("data.")
    assert "\n" not in message


def test_a_stated_layout_is_held_to(tmp_path: Path, save) -> None:
    save(tmp_path / "1.png", 21, 10)
    with pytest.raises(DataError, match="21 pixels wide"):
        layout.find(tmp_path, "ab")
    with pytest.raises(DataError, match="no two matching folders; expected one of source/target"):
        layout.find(tmp_path, "folders")


def test_ten_thousand_files_are_not_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.png").touch()
    opened = []
    monkeypatch.setattr(search, "size_of", lambda path: opened.append(path))
    assert len(layout.find(tmp_path).items) == 10_000
    assert 0 < len(opened) <= search.CHECKED_FILES
