"""Training and validation never share an image, whatever the order of the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantools.data.folders import split
from gantools.data.folders.layout import Item, find
from gantools.data.folders.split import folders, gather
from gantools.data.options.datasets import PairedData
from gantools.errors import DataError

ITEMS = [Item(f"{number}.png", ()) for number in range(50)]


def side(items: list[Item], wanted: split.Split, seed: int = 2, share: float = 0.2) -> list[str]:
    return [item.name for item in split.share(items, wanted, validation_share=share, seed=seed)]


def test_the_sides_are_a_partition_of_the_right_size() -> None:
    training, validation = side(ITEMS, "training"), side(ITEMS, "validation")
    assert len(validation) == 10
    assert sorted(training + validation) == sorted(item.name for item in ITEMS)


def test_the_split_depends_on_the_seed_and_not_on_the_order() -> None:
    assert set(side(ITEMS[::-1], "validation")) == set(side(ITEMS, "validation"))
    assert side(ITEMS, "validation", seed=3) != side(ITEMS, "validation")


def test_few_images_give_one_to_each_side_at_least() -> None:
    assert len(side(ITEMS[:2], "validation", share=0.01)) == len(side(ITEMS[:2], "training", share=0.99)) == 1
    assert side(ITEMS, "validation", share=0) == []
    with pytest.raises(DataError, match="one image cannot be split"):
        side(ITEMS[:1], "training")


def gathered(options: PairedData, wanted: split.Split) -> list[str]:
    return [item.files[0].name for item in gather(options, wanted, find).items]


def test_train_and_val_folders_are_taken_as_they_are(tmp_path: Path, save) -> None:
    for name in ("train/1.png", "train/2.png", "val/3.png", "other/4.png"):
        save(tmp_path / name)
    options = PairedData(dir=str(tmp_path))
    assert gathered(options, "training") == ["1.png", "2.png"]
    assert gathered(options, "validation") == ["3.png"]


def test_a_validation_folder_inside_the_data_is_not_trained_on(tmp_path: Path, save) -> None:
    for name in ("1.png", "2.png", "held_out/3.png"):
        save(tmp_path / name)
    options = PairedData(dir=str(tmp_path), validation_dir=str(tmp_path / "held_out"))
    assert gathered(options, "training") == ["1.png", "2.png"]
    assert gathered(options, "validation") == ["3.png"]
    with pytest.raises(DataError, match="holds every training image"):
        gathered(PairedData(dir=str(tmp_path), validation_dir=str(tmp_path)), "training")


def test_several_folders_are_one_set(tmp_path: Path, save) -> None:
    for name in ("one/1.png", "two/1.png", "ab/1.png"):
        save(tmp_path / name, *((20, 10) if name.startswith("ab") else ()))
    options = PairedData(dir=(str(tmp_path / "one"), str(tmp_path / "two")), validation_share=0.0)
    assert [item.name for item in gather(options, "training", find).items] == [
        f"{tmp_path}/one/1.png",
        f"{tmp_path}/two/1.png",
    ]
    with pytest.raises(DataError, match="laid out differently"):
        gathered(PairedData(dir=(str(tmp_path / "one"), str(tmp_path / "ab"))), "training")


def test_no_folder_is_said_to_be_missing() -> None:
    with pytest.raises(DataError, match="give one with --data DIR"):
        folders(PairedData())
