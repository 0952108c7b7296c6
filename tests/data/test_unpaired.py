"""Unpaired sets: which folders are the two domains, which images meet, what is said of sets that cannot train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantools.data.datasets.unpaired import UnpairedDataset
from gantools.data.loading import loader
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import UnpairedData
from gantools.errors import DataError
from gantools.images.io import reader

SMALL = {"load_px": 10, "crop_px": 8, "batch_images": 2}


def filled(save, root: Path, **counts: int) -> Path:
    """``folder=count`` images below ``root``; two underscores in a name stand for a slash."""
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            save(root / name.replace("__", "/") / f"{index}.png", seed=100 * number + index)
    return root


def opened(root: Path, split: str = "training", **options: object) -> UnpairedDataset:
    return UnpairedDataset(UnpairedData(dir=str(root), **{**SMALL, **options}), split, seed=1)


def folders(data: UnpairedDataset) -> list[str]:
    return list(dict.fromkeys(item.files[0].parent.name for item in data.items))


@pytest.mark.parametrize(
    "names",
    [
        ("trainA", "trainB", "testA", "testB"),
        ("A_train", "B_train", "A_test", "B_test"),
        ("trainA_apples", "trainB_oranges", "valA_apples", "valB_oranges"),
        ("train__A", "train__B", "test__A", "test__B"),
        ("a", "b", "testA", "testB"),
    ],
)
def test_a_split_has_folders_of_its_own(tmp_path: Path, save, names: tuple[str, ...]) -> None:
    root = filled(save, tmp_path, **dict(zip(names, (3, 5, 2, 1), strict=True)))
    training, validation = opened(root), opened(root, "validation")
    assert (training.counts, validation.counts) == ((3, 5), (2, 1))
    assert folders(training) == [name.split("__")[-1] for name in names[:2]]
    assert folders(validation) == [name.split("__")[-1] for name in names[2:]]
    assert (len(training), len(validation)) == (5, 2)
    assert training.describe() == "3 images of A, 5 of B, unpaired"


def test_without_one_a_share_of_each_domain_is_kept_aside(tmp_path: Path, save) -> None:
    root = filled(save, tmp_path, a=5, b=10)
    training, validation = opened(root), opened(root, "validation")
    assert (training.counts, validation.counts) == ((4, 8), (1, 2))
    assert {item.files for item in training.items}.isdisjoint({item.files for item in validation.items})
    assert opened(root, "validation", validation_share=0.0).counts == (0, 0)


def test_explicit_folders_and_a_validation_folder(tmp_path: Path, save) -> None:
    root = filled(save, tmp_path, horses=3, zebras=4, kept__a=1, kept__b=2)
    given = UnpairedData(a=str(root / "horses"), b=str(root / "zebras"), validation_share=0.25, **SMALL)
    assert UnpairedDataset(given, "training", 0).counts == (2, 3)
    beside = given.model_copy(update={"validation_dir": str(root / "kept")})
    assert [UnpairedDataset(beside, split, 0).counts for split in ("training", "validation")] == [(3, 4), (1, 2)]


def test_several_folders_are_joined(tmp_path: Path, save) -> None:
    roots = [str(filled(save, tmp_path / name, trainA=2, trainB=1)) for name in ("one", "two")]
    data = UnpairedDataset(UnpairedData(dir=tuple(roots), validation_share=0.0, **SMALL), "training", 0)
    assert data.counts == (4, 2)
    assert len({item.name for item in data.items}) == 6


@pytest.mark.parametrize(("names", "larger"), [(("a", "b"), 0), (("b", "a"), 1)])
def test_an_epoch_shows_all_of_the_larger_domain_and_random_ones_of_the_other(tmp_path, save, names, larger) -> None:
    root = filled(save, tmp_path, **{names[0]: 12, names[1]: 5})
    data = opened(root, validation_share=0.0)
    epochs = [[data[SampleKey(epoch, index)] for index in range(len(data))] for epoch in range(2)]
    seen = [[(sample.name_a, sample.name_b) for sample in epoch] for epoch in epochs]
    for epoch in seen:
        assert [pair[larger] for pair in epoch] == [item.name for item in data.items if item.name[0] == "ab"[larger]]
    others = [[pair[1 - larger] for pair in epoch] for epoch in seen]
    assert others[0] != others[1]
    assert {name for epoch in others for name in epoch} == {f"{'ab'[1 - larger]}/{index}.png" for index in range(5)}
    again = opened(root, validation_share=0.0)[SampleKey(1, 3)]
    assert all(np.array_equal(x, y) for x, y in zip(again, epochs[1][3], strict=True))


def test_validation_pairs_are_in_order_and_fixed(tmp_path: Path, save) -> None:
    root = filled(save, tmp_path, testA=2, testB=3, trainA=1, trainB=1)
    data = opened(root, "validation")
    assert [data[SampleKey(0, index)][2:] for index in range(3)] == [
        ("a/0.png", "b/0.png"),
        ("a/1.png", "b/1.png"),
        ("a/0.png", "b/2.png"),
    ]
    assert np.array_equal(data[SampleKey(0, 1)].a, data[SampleKey(7, 1)].a)


@pytest.mark.parametrize("fit", ["stretch", "cover", "crop", "pad"])
@pytest.mark.parametrize("split", ["training", "validation"])
def test_every_fit_gives_squares(tmp_path: Path, save, fit: str, split: str) -> None:
    save(tmp_path / "trainA" / "wide.png", 40, 11)
    save(tmp_path / "trainB" / "high.png", 7, 30)
    for name in ("testA", "testB"):
        save(tmp_path / name / "1.png", 9, 20)
    sample = opened(tmp_path, split, fit=fit)[SampleKey(0, 0)]
    assert sample.a.shape == sample.b.shape == (8, 8, 3)


def test_cover_keeps_proportions_and_reaches_the_far_ends(tmp_path: Path, save) -> None:
    save(tmp_path / "a" / "1.png", 80, 10)
    save(tmp_path / "b" / "1.png", 10, 10)
    options = UnpairedData(dir=str(tmp_path), validation_share=0.0, load_px=10, crop_px=10, fit="cover", flip=False)
    data = UnpairedDataset(options, "training", seed=0)
    photo = reader.read_rgb8(tmp_path / "a" / "1.png")
    cuts = {bytes(photo[:, left : left + 10]): left for left in range(71)}
    found = [cuts[bytes(np.ascontiguousarray(data[SampleKey(epoch, 0)].a))] for epoch in range(60)]
    assert min(found) < 10
    assert max(found) > 60


def test_an_unreadable_image_is_reported_once_under_its_own_name(tmp_path: Path, save) -> None:
    root = filled(save, tmp_path, a=6, b=1)
    (root / "b" / "bad.png").write_text("no image")
    told: list[str] = []
    data = opened(root, validation_share=0.0, max_unreadable_share=0.5, cache_megabytes=0)
    stream = loader.batches(data, batch_images=2, start_batch=0, seed=3, workers=0, warn=told.append)
    for _ in range(9):
        assert next(stream).a.shape == (2, 8, 8, 3)
    assert len(told) == 1
    assert "bad.png" in told[0]
    strict = loader.batches(opened(root, validation_share=0.0), batch_images=2, start_batch=0, seed=3, workers=0)
    with pytest.raises(DataError, match=r"1 of 6 images cannot be read \('b/bad.png'\)"):
        [next(strict) for _ in range(9)]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("trainA/1.png",), "'trainA' has no counterpart of the other domain beside it"),
        (("trainA/1.png", "trainB/1.png", "testB/1.png"), "'testB' has no counterpart"),
        (("trainA/1.png", "trainB/1.txt"), "trainB' holds no images"),
        (("1.png",), "expected two folders named trainA and trainB, or A and B; folders of other names are given as"),
        (("trainA_x/1.png", "trainA_y/1.png", "trainB/1.png"), "trainA_x, trainA_y are all folders of one domain"),
        (("a/1.png", "b/1.png"), "one image cannot be split"),
    ],
)
def test_sets_that_cannot_train(tmp_path: Path, save, made: tuple[str, ...], said: str) -> None:
    for name in made:
        if name.endswith(".png"):
            save(tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("no image")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_given_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.a: 'gone' is no folder"):
        UnpairedDataset(UnpairedData(a="gone", b=str(tmp_path)), "training", 0)
