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
    (tmp_path / "again").symlink_to(tmp_path)  # walked once
    found = layout.find(tmp_path)
    assert (found.kind, found.describe()) == ("photos", "3 photos")
    assert names(found) == ["a/1.PNG", "a/2.jpg", "b.png"]


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


def test_ready_made_splits_and_unpaired_domains_are_found(tmp_path: Path, save) -> None:
    for name in ("train/trainA/1.png", "train/trainA/2.png", "train/trainB/9.png", "test/2.png"):
        save(tmp_path / name)
    assert search.split_folder(tmp_path, "training") == tmp_path / "train"
    assert search.split_folder(tmp_path, "validation") == tmp_path / "test"
    assert search.split_folder(tmp_path / "train", "training") is None
    domains = layout.domain_folders(tmp_path / "train")
    assert [names(layout.all_images(side)) for side in domains] == [["1.png", "2.png"], ["9.png"]]


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        (None, "auto", "does not exist; give a folder with --data DIR"),
        ("a file", "auto", "is a file; give a folder of images"),
        ({"readme.md": ()}, "auto", "no images: 1 files seen, none ends in .bmp .dib .jfif .jif .jpe .jpeg .jpg "),
        (
            {"a/0.png": (), **{f"b/{number}.png": () for number in range(7)}},
            "auto",
            "6 files have no partner (b/1.png, b/2.png, b/3.png, b/4.png, b/5.png, …)",
        ),
        ({"a/0.png": (), "a/0.jpg": (), "b/0.png": ()}, "auto", "have the same name; keep one"),
        ({"a/0.png": (10, 10), "b/0.png": (11, 10)}, "auto", "is 10x10 but"),
        ({"1.png": (21, 10)}, "ab", "21 pixels wide"),
        ({"1.png": (21, 10)}, "folders", "no two matching folders; expected one of source/target"),
    ],
)
def test_a_bad_folder_is_one_line(tmp_path: Path, save, files, kind, message: str) -> None:
    folder = tmp_path / "data"
    if files == "a file":
        folder.write_text("text")
    for name, size in files.items() if isinstance(files, dict) else ():
        save(folder / "made.png", *size)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / "made.png").rename(folder / name)
    with pytest.raises(DataError) as caught:
        layout.find(folder, kind)
    assert message in str(caught.value)
    assert str(caught.value).startswith("data.")
    assert "\n" not in str(caught.value)


def test_ten_thousand_files_are_not_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.png").touch()
    opened = []
    monkeypatch.setattr(search, "size_of", lambda path: opened.append(path))
    assert len(layout.find(tmp_path).items) == 10_000
    assert 0 < len(opened) <= search.CHECKED_FILES
