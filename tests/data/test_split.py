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
