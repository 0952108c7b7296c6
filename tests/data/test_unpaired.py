"""Unpaired sets: which folders are the two domains, which images meet, which sets cannot train."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantools.data.datasets.unpaired import UnpairedDataset
from gantools.data.loading import loader
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import UnpairedData
from gantools.errors import DataError
from gantools.images.io import reader


def filled(save, root: Path, **counts: int) -> Path:
    """``folder=count`` images below ``root``; two underscores in a name stand for a slash."""
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            save(root / name.replace("__", "/") / f"{index}.png", seed=100 * number + index)
    return root


def opened(root: Path | tuple[str, ...] | None, split: str = "training", **given: object) -> UnpairedDataset:
    options = {"dir": str(root) if isinstance(root, Path) else root, "load_px": 10, "crop_px": 8, **given}
    return UnpairedDataset(UnpairedData(**options), split, seed=1)


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
    for split, counts, folders in (("training", (3, 5), names[:2]), ("validation", (2, 1), names[2:])):
        data = opened(root, split)
        assert (data.counts, len(data)) == (counts, max(counts))
        found = dict.fromkeys(item.files[0].parent.name for item in data.items)
        assert [*found] == [name.split("__")[-1] for name in folders]
    assert opened(root).describe() == "3 images of A, 5 of B, unpaired"


def test_which_images_are_trained_on(tmp_path: Path, save) -> None:
    """Of folders without a split a share of each; of several folders all; beside a validation folder all."""
    root = filled(save, tmp_path, a=5, b=10, horses=3, zebras=4, kept__a=1, kept__b=2)
    for one in ("one", "two"):
        filled(save, tmp_path / one, trainA=2, trainB=1)
    both = tuple(str(tmp_path / name) for name in ("one", "two"))
    named = {"a": str(root / "horses"), "b": str(root / "zebras"), "validation_share": 0.25}
    for folder, given, training, validation in (
        (root, {}, (4, 8), (1, 2)),
        (root, {"validation_share": 0.0}, (5, 10), (0, 0)),
        (both, {"validation_share": 0.0}, (4, 2), (0, 0)),
        (None, named, (2, 3), (1, 1)),
        (None, {**named, "validation_dir": str(root / "kept")}, (3, 4), (1, 2)),
    ):
        data = opened(folder, **given)
        assert (data.counts, opened(folder, "validation", **given).counts) == (training, validation)
        assert len({item.name for item in data.items}) == sum(training)


@pytest.mark.parametrize("larger", ["a", "b"])
def test_an_epoch_shows_all_of_the_larger_domain_and_random_ones_of_the_other(tmp_path, save, larger: str) -> None:
    smaller = "ab".replace(larger, "")
    data = opened(filled(save, tmp_path, **{larger: 12, smaller: 5}), validation_share=0.0)
    others = []
    for epoch in range(2):
        samples = [data[SampleKey(epoch, index)] for index in range(len(data))]
        names = {"a": [sample.name_a for sample in samples], "b": [sample.name_b for sample in samples]}
        assert names[larger] == [item.name for item in data.items if item.name[0] == larger]
        others.append(names[smaller])
    assert others[0] != others[1]
    assert {*others[0], *others[1]} == {f"{smaller}/{index}.png" for index in range(5)}


def test_validation_pairs_are_in_order(tmp_path: Path, save) -> None:
    data = opened(filled(save, tmp_path, testA=2, testB=3, trainA=1, trainB=1), "validation")
    expected = [("a/0.png", "b/0.png"), ("a/1.png", "b/1.png"), ("a/0.png", "b/2.png")]
    assert [data[SampleKey(0, index)][2:] for index in range(3)] == expected


@pytest.mark.parametrize("fit", ["stretch", "cover", "crop", "pad"])
@pytest.mark.parametrize("split", ["training", "validation"])
def test_every_fit_gives_squares(tmp_path: Path, save, fit: str, split: str) -> None:
    for name, size in (("trainA", (40, 11)), ("trainB", (7, 30)), ("testA", (9, 20)), ("testB", (9, 20))):
        save(tmp_path / name / "1.png", *size)
    sample = opened(tmp_path, split, fit=fit)[SampleKey(0, 0)]
    assert sample.a.shape == sample.b.shape == (8, 8, 3)


def test_cover_keeps_proportions_and_reaches_the_far_ends(tmp_path: Path, save) -> None:
    save(tmp_path / "a" / "1.png", 80, 10)
    save(tmp_path / "b" / "1.png", 10, 10)
    data = opened(tmp_path, validation_share=0.0, crop_px=10, fit="cover", flip=False)
    photo = reader.read_rgb8(tmp_path / "a" / "1.png")
    cuts = {photo[:, left : left + 10].tobytes(): left for left in range(71)}
    found = [cuts[data[SampleKey(epoch, 0)].a.tobytes()] for epoch in range(60)]
    assert min(found) < 10
    assert max(found) > 60


def test_an_unreadable_image_is_reported_once_under_its_own_name(tmp_path: Path, save) -> None:
    root = filled(save, tmp_path, a=6, b=1)
    (root / "b" / "bad.png").write_text("no image")
    warnings: list[str] = []
    data = opened(root, validation_share=0.0, max_unreadable_share=0.5, cache_megabytes=0)
    stream = loader.batches(data, batch_images=2, start_batch=0, seed=3, workers=0, warn=warnings.append)
    assert {tuple(next(stream).a.shape) for _ in range(9)} == {(2, 8, 8, 3)}
    (warning,) = warnings
    assert "bad.png" in warning
    strict = loader.batches(opened(root, validation_share=0.0), batch_images=2, start_batch=0, seed=3, workers=0)
    with pytest.raises(DataError, match=r"1 of 6 images cannot be read \('b/bad.png'\)"):
        [next(strict) for _ in range(9)]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (("trainA/1.png",), "'trainA' has no counterpart of the other domain beside it"),
        (("trainA/1.png", "trainB/1.png", "testB/1.png"), "'testB' has no counterpart"),
        (("trainA/1.png", "trainB/1.txt"), "trainB' holds no images"),
        (("1.png",), "expected two folders named trainA and trainB, or A and B; folders of other names are given as"),
        (("trainA_x/1.png", "trainA_y/1.png", "trainB/1.png"), "trainA_x, trainA_y are all folders of one domain"),
        (("a/1.png", "b/1.png"), "one image cannot be split"),
    ],
)
def test_sets_that_cannot_train_are_refused(tmp_path: Path, save, made: tuple[str, ...], message: str) -> None:
    for name in made:
        save((tmp_path / name).with_suffix(".png")).rename(tmp_path / name)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.a: 'gone' is no folder"):
        opened(None, a="gone", b=str(tmp_path))
