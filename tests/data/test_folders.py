"""Folders are recognised and split; what is wrong with one is said in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gantools.data.folders import layout, search, split
from gantools.data.folders.layout import Item, find
from gantools.data.folders.split import folders, gather
from gantools.data.options.datasets import PairedData
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


# Training and validation never share an image, whatever the order of the files


ITEMS = [Item(f"{number}.png", ()) for number in range(50)]


def side(items: list[Item], wanted: split.Split, seed: int = 2, share: float = 0.2) -> list[str]:
    return [item.name for item in split.share(items, wanted, validation_share=share, seed=seed)]


def test_the_sides_are_a_partition_that_depends_on_the_seed_and_not_on_the_order() -> None:
    training, validation = side(ITEMS, "training"), side(ITEMS, "validation")
    assert len(validation) == 10
    assert sorted(training + validation) == sorted(item.name for item in ITEMS)
    assert set(side(ITEMS[::-1], "validation")) == set(validation)
    assert side(ITEMS, "validation", seed=3) != validation


def test_few_images_give_one_to_each_side_at_least() -> None:
    assert len(side(ITEMS[:2], "validation", share=0.01)) == len(side(ITEMS[:2], "training", share=0.99)) == 1
    assert side(ITEMS, "validation", share=0) == []
    with pytest.raises(DataError, match="one image cannot be split"):
        side(ITEMS[:1], "training")


def gathered(wanted: split.Split, *roots: Path, **given: object) -> list[str]:
    """Names of the images of a split, below the folder that holds the first root."""
    options = PairedData(dir=tuple(map(str, roots)), **given)
    return [item.files[0].relative_to(roots[0].parent).as_posix() for item in gather(options, wanted, find).items]


def test_folders_made_for_validation_are_not_trained_on(tmp_path: Path, save) -> None:
    for name in (
        "set/train/1.png",
        "set/train/2.png",
        "set/val/3.png",
        "set/other/4.png",
        "own/1.png",
        "own/out/3.png",
    ):
        save(tmp_path / name)
    assert gathered("training", tmp_path / "set") == ["set/train/1.png", "set/train/2.png"]
    assert gathered("validation", tmp_path / "set") == ["set/val/3.png"]
    held_out = {"validation_dir": str(tmp_path / "own" / "out")}
    assert gathered("training", tmp_path / "own", **held_out) == ["own/1.png"]
    assert gathered("validation", tmp_path / "own", **held_out) == ["own/out/3.png"]
    with pytest.raises(DataError, match="holds every training image"):
        gathered("training", tmp_path / "own", validation_dir=str(tmp_path / "own"))


def test_several_folders_of_one_layout_are_one_set(tmp_path: Path, save) -> None:
    save(tmp_path / "ab" / "1.png", 20, 10)
    one, two = (save(tmp_path / name / "1.png").parent for name in ("one", "two"))
    assert gathered("training", one, two, validation_share=0.0) == ["one/1.png", "two/1.png"]
    items = gather(PairedData(dir=(str(one), str(two)), validation_share=0.0), "training", find).items
    assert [item.name for item in items] == [f"{one}/1.png", f"{two}/1.png"]
    with pytest.raises(DataError, match="laid out differently"):
        gathered("training", one, tmp_path / "ab")
    with pytest.raises(DataError, match="give one with --data DIR"):
        folders(PairedData())
