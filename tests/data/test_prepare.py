"""Data preparation: the loaders' own functions over folders, the same for any number of workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools.data.datasets.paired import PairedDataset
from gantools.data.degrade import blur, crappify, masks
from gantools.data.loading import sampler
from gantools.data.loading.batches import Batch
from gantools.data.loading.sampler import SampleKey
from gantools.data.loading.workers import each
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import EdgeOptions, PairedData
from gantools.data.options.degradations import CRAPPIFY
from gantools.data.options.masks import CenterMask, RandomRegionMask
from gantools.data.prepare import change, inspect, pairs, preview, recognise, split, tasks
from gantools.data.prepare.change import Blur, ChangeImage, Crappify, Mask, Outline, Shrink
from gantools.data.prepare.options import CrappifyOptions
from gantools.errors import DataError, GantoolsError, UsageError
from gantools.images.io import reader
from gantools.images.ops.resize import resize_bicubic

CHANGES = {
    "edges": Outline(EdgeOptions(max_hints=20), None, "stretch"),
    "crappify": Crappify(CRAPPIFY),
    "blur": Blur(BlurOptions(motion_px=(3, 5), noise_sigma=(1, 2))),
    "mask": Mask(RandomRegionMask(), alone=False),
    "gray": change.gray,
}


def work(source: Path, output: Path, what: Any, *, workers: int = 1, seed: int = 5) -> list[Any]:
    planned = tasks.one_to_one(source, output, "png", "refuse")
    return list(tasks.run(planned, ChangeImage(what, seed, 95), workers=workers))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path: Path, save: Any) -> Path:
    """Five photos, two of them in a sub-folder."""
    for number, name in enumerate(["a.png", "b.jpg", "c.png", "deep/a.png", "deep/d.bmp"]):
        save(tmp_path / "photos" / name, 40 + number, 36, number)
    return tmp_path / "photos"


@pytest.mark.parametrize("name", CHANGES)
def test_neither_workers_nor_neighbours_change_an_image(name: str, photos: Path, tmp_path: Path) -> None:
    workers = 2 if name == "edges" else 1  # processes take seconds to start on a busy machine
    assert [each.status for each in work(photos, tmp_path / "two", CHANGES[name], workers=workers)] == ["done"] * 5
    (photos / "b.jpg").unlink()
    work(photos, tmp_path / "one", CHANGES[name])
    two, one = tree(tmp_path / "two"), tree(tmp_path / "one")
    assert sorted(two) == ["a.png", "b.png", "c.png", "deep/a.png", "deep/d.png"]
    assert one == {name: content for name, content in two.items() if name != "b.png"}


def test_the_seed_and_the_place_change_what_is_random(photos: Path, tmp_path: Path) -> None:
    (photos / "deep" / "a.png").write_bytes((photos / "a.png").read_bytes())
    work(photos, tmp_path / "one", CHANGES["mask"])
    work(photos, tmp_path / "other", CHANGES["mask"], seed=6)
    one, other = tree(tmp_path / "one"), tree(tmp_path / "other")
    assert all(one[name] != other[name] for name in one)
    assert one["a.png"] != one["deep/a.png"]


def test_images_are_what_the_degradations_make(photos: Path, tmp_path: Path) -> None:
    photo = reader.read_rgb8(photos / "b.jpg")
    expected = {
        "crappify": crappify.crappify(photo, CRAPPIFY, sampler.file_rng(5, "b.jpg")),
        "blur": blur.blurred(photo, sampler.file_rng(5, "b.jpg"), CHANGES["blur"].options),  # type: ignore[attr-defined]
        "mask": masks.masked(photo, sampler.file_rng(5, "b.jpg"), RandomRegionMask()),
    }
    for name, pixels in expected.items():
        work(photos, tmp_path / name, CHANGES[name])
        assert np.array_equal(reader.read_rgb8(tmp_path / name / "b.png"), pixels)


def test_outlines_are_those_of_the_loader(photos: Path, tmp_path: Path) -> None:
    options = EdgeOptions(max_hints=0)
    data = PairedData(dir=str(photos), edges=options, load_px=32, crop_px=32, validation_share=0.4)
    loader = PairedDataset(data, "validation", 0)
    work(photos, tmp_path / "edges", Outline(options, 32, "stretch"))
    for index, item in enumerate(loader.items):
        made = reader.read_rgb8((tmp_path / "edges" / item.name).with_suffix(".png"))
        assert np.array_equal(made, loader[SampleKey(0, index)].source)


def test_masks_alone_belong_to_the_masked_photos(photos: Path, tmp_path: Path) -> None:
    options = RandomRegionMask()
    work(photos, tmp_path / "masked", Mask(options, alone=False))
    work(photos, tmp_path / "masks", Mask(options, alone=True))
    for name in tree(tmp_path / "masks"):
        mask = reader.read(tmp_path / "masks" / name)
        missing = mask.pixels[..., 0] == 255
        assert (mask.gray, set(np.unique(mask.pixels))) == (True, {0, 255})
        assert (reader.read_rgb8(tmp_path / "masked" / name)[missing] == (117, 104, 123)).all()


def test_gray_and_small_images(photos: Path, tmp_path: Path) -> None:
    work(photos, tmp_path / "gray", change.gray)
    assert reader.read(tmp_path / "gray" / "a.png").gray
    work(photos, tmp_path / "small", Shrink(4))
    expected = resize_bicubic(reader.read_rgb8(photos / "a.png"), scale=1 / 4)
    assert np.array_equal(reader.read_rgb8(tmp_path / "small" / "a.png"), expected)
    (failed,) = work(photos / "a.png", tmp_path / "none.png", Shrink(64))
    assert (failed.status, failed.error) == ("failed", "is 40x36, too small to be shrunk 64 times")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_photo_is_one_failure_and_nothing_half_written(workers: int, photos: Path, tmp_path: Path) -> None:
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:300])
    results = work(photos, tmp_path / "out", CHANGES["crappify"], workers=workers)
    assert [each.status for each in results] == ["done", "failed", "done", "done", "done"]
    assert results[1].input.endswith("b.jpg")
    assert results[1].error.startswith("damaged or truncated")
    assert sorted(tree(tmp_path / "out")) == ["a.png", "c.png", "deep/a.png", "deep/d.png"]


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(each(str, range(30), 2)) == [str(number) for number in range(30)]


def test_a_dead_process_is_said_so() -> None:
    with pytest.raises(GantoolsError, match="a worker process died"):
        list(each(os._exit, [9] * 9, 2))


def test_the_crappifiers_settings_choose_and_order() -> None:
    chosen = CrappifyOptions(do=("noise", "gray")).degradations()
    assert [one.name for one in chosen] == ["noise", "gray"]
    assert CrappifyOptions().degradations() == CRAPPIFY


# Pairs and shares


def halves(folder: Path, save: Any, count: int = 3) -> None:
    for number in range(count):
        save(folder / "source" / f"{number}.png", 12, 10, number)
        save(folder / "target" / f"{number}.png", 12, 10, 100 + number)


def test_pairs_go_together_and_come_apart_again(tmp_path: Path, save: Any) -> None:
    halves(tmp_path, save)
    joined = pairs.combining(tmp_path / "source", tmp_path / "target", tmp_path / "ab", "png", "refuse")
    assert [each.output_size for each in tasks.run(joined, pairs.Combine(95), workers=1)] == [(24, 10)] * 3
    apart = pairs.dividing(tmp_path / "ab", tmp_path / "again", "png", "refuse")
    assert [each.status for each in tasks.run(apart, pairs.Divide(95), workers=1)] == ["done"] * 3
    for before, after in (("source", "a"), ("target", "b")):
        for number in range(3):
            one, two = (tmp_path / before / f"{number}.png", tmp_path / "again" / after / f"{number}.png")
            assert np.array_equal(reader.read_rgb8(one), reader.read_rgb8(two))


def test_lonely_odd_and_unequal_images_are_named(tmp_path: Path, save: Any) -> None:
    halves(tmp_path, save)
    save(tmp_path / "target" / "1.png", 14, 10)
    joined = pairs.combining(tmp_path / "source", tmp_path / "target", tmp_path / "ab", "png", "refuse")
    results = list(tasks.run(joined, pairs.Combine(95), workers=1))
    assert [each.status for each in results] == ["done", "failed", "done"]
    assert "is 12×10 but" in results[1].error
    save(tmp_path / "ab" / "1.png", 13, 10)
    apart = pairs.dividing(tmp_path / "ab", tmp_path / "again", "png", "refuse")
    assert "13 pixels wide" in list(tasks.run(apart, pairs.Divide(95), workers=1))[1].error
    save(tmp_path / "source" / "more.png")
    with pytest.raises(DataError, match=r"1 files have no partner: source/more\.png"):
        pairs.combining(tmp_path / "source", tmp_path / "target", tmp_path / "ab", "png", "refuse")


def share_out(source: Path, output: Path, kind: recognise.Kind, *, link: bool = False, **wanted: Any) -> None:
    given = {"val": 0.2, "test": 0.0, "seed": 2, "existing": "refuse", **wanted}
    planned = split.plan(source, output, kind, **given)
    assert {each.status for each in tasks.run(planned, split.Place(link), workers=1)} == {"done"}


def test_the_validation_share_is_the_loaders_own(photos: Path, tmp_path: Path) -> None:
    share_out(photos, tmp_path / "out", "photos", val=0.4)
    data = PairedData(dir=str(photos), validation_share=0.4, load_px=8, crop_px=8)
    for wanted, name in (("training", "train"), ("validation", "val")):
        expected = [item.name for item in PairedDataset(data, wanted, 0).items]  # type: ignore[arg-type]
        assert sorted(tree(tmp_path / "out" / name)) == sorted(expected)
    made = PairedDataset(PairedData(dir=str(tmp_path / "out"), load_px=8, crop_px=8), "validation", 0)
    assert len(made) == 2
    assert {name.partition("/")[2]: content for name, content in tree(tmp_path / "out").items()} == tree(photos)


def test_pairs_stay_together_and_domains_are_shared_each(tmp_path: Path, save: Any) -> None:
    halves(tmp_path / "pairs", save, 10)
    share_out(tmp_path / "pairs", tmp_path / "out", "pairs", test=0.1)
    parts = {name: sorted(tree(tmp_path / "out" / name)) for name in ("train", "val", "test")}
    assert {name: len(found) for name, found in parts.items()} == {"train": 14, "val": 4, "test": 2}
    for found in parts.values():
        sources, targets = (
            [Path(each).name for each in found if each.startswith(side)] for side in ("source", "target")
        )
        assert sources == targets
    for number in range(10):
        save(tmp_path / "domains" / ("trainA" if number < 4 else "trainB") / f"{number}.png")
    share_out(tmp_path / "domains", tmp_path / "shared", "unpaired", val=0.25)
    counts = {name: len(list((tmp_path / "shared" / name).iterdir())) for name in ("val/trainA", "val/trainB")}
    assert counts == {"val/trainA": 1, "val/trainB": 2}
    assert [len(side) for side in recognise.examples(tmp_path / "shared", "unpaired", "training").sides] == [3, 4]


def test_links_take_no_room_and_are_replaced_cleanly(photos: Path, tmp_path: Path) -> None:
    share_out(photos, tmp_path / "out", "photos", link=True)
    share_out(photos, tmp_path / "out", "photos", link=True, existing="overwrite")
    linked = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(linked) == 5
    assert {path.stat().st_ino for path in linked} == {path.stat().st_ino for path in photos.rglob("*.*")}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"val": 0.0}, "both are shares"),
        ({"val": 0.6, "test": 0.5}, "both are shares"),
        ({"val": -0.1}, "both are shares"),
    ],
)
def test_impossible_shares_are_refused(wanted: dict[str, float], said: str, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        share_out(photos, tmp_path / "out", "photos", **wanted)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["train", "val", "testA"])
def test_what_is_split_is_not_split_again(name: str, tmp_path: Path, save: Any) -> None:
    save(tmp_path / "set" / name / "0.png")
    save(tmp_path / "set" / "testB" / "0.png")
    with pytest.raises(UsageError, match="is split already"):
        share_out(tmp_path / "set", tmp_path / "out", "photos")


# Inspection


def look(folder: Path, kind: recognise.Kind | None = None) -> inspect.Report:
    return inspect.inspect(folder, kind, workers=1)


def test_a_sound_set_has_no_problems(photos: Path) -> None:
    (photos / "notes.txt").write_text("mine")
    report = look(photos)
    assert (report.kind, report.training, report.validation, report.problems) == ("photos", (4,), (1,), ())
    assert report.remarks == ("1 other file left out: .txt 1",)
    told = inspect.facts(report)
    assert (told["images"], told["can_train"], told["modes"]) == (5, True, {"RGB 8 bit": 5})
    assert told["sizes"]["smallest"] == "40×36"
    assert told["sizes"]["largest"] == "44×36"


def test_bad_and_equal_files_are_named(photos: Path) -> None:
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:-300])
    (photos / "no.png").write_text("not an image")
    (photos / "deep" / "d.png").write_bytes((photos / "a.png").read_bytes())
    report = look(photos)
    assert [file.path.name for file in report.files if file.flaw == "damaged"] == ["b.jpg"]
    assert [file.path.name for file in report.files if file.flaw == "unreadable"] == ["no.png"]
    assert [[path.name for path in group] for group in report.duplicates] == [["a.png", "d.png"]]
    assert report.problems[0].startswith("2 of 7 images cannot be read, more than data.max_unreadable_share=0.001")
    assert report.remarks[0] == "1 files are copies of others"
    assert any("damaged: " in line and "b.jpg" in line for line in inspect.lines(report))


def test_copies_in_training_and_validation_are_told(tmp_path: Path, save: Any) -> None:
    for name in ("train", "val"):
        save(tmp_path / "set" / name / "same.png")
        save(tmp_path / "set" / name / "own.png", seed=len(name))
    assert look(tmp_path / "set").remarks == (
        "1 files are copies of others",
        "1 of them lie in training and in validation",
    )


def test_pairs_without_partners_and_of_other_sizes_cannot_train(tmp_path: Path, save: Any) -> None:
    halves(tmp_path / "set", save, 9)
    assert (look(tmp_path / "set").kind, look(tmp_path / "set").problems) == ("pairs", ())
    save(tmp_path / "set" / "target" / "4.png", 16, 16)
    assert "needs the same size" in look(tmp_path / "set").problems[0] or "4.png" in look(tmp_path / "set").problems[0]
    for number in range(6):
        save(tmp_path / "set" / "source" / f"lonely{number}.png")
    report = look(tmp_path / "set")
    assert len(report.unmatched) == 6
    assert "6 files have no partner (source/lonely0.png, " in report.problems[0]
    assert "lonely5" not in report.problems[0]


def test_domains_need_no_partners_but_two_full_sides(tmp_path: Path, save: Any) -> None:
    for number in range(5):
        save(tmp_path / "set" / ("trainA" if number < 2 else "trainB") / f"{number}.png")
    report = look(tmp_path / "set")
    assert (report.kind, report.training, report.validation, report.problems) == ("unpaired", (1, 2), (1, 1), ())
    for path in (tmp_path / "set" / "trainA").iterdir():
        path.unlink()
    assert "holds no images" in look(tmp_path / "set", "unpaired").problems[0]
    with pytest.raises(DataError, match="holds no images"):
        look(tmp_path / "set")


def test_ab_images_of_odd_width_cannot_train(tmp_path: Path, save: Any) -> None:
    for number in range(4):
        save(tmp_path / "set" / f"{number}.png", 20, 10, number)
    assert (look(tmp_path / "set").kind, look(tmp_path / "set").problems) == ("ab", ())
    save(tmp_path / "set" / "2.png", 21, 10)
    assert "21 pixels wide" in look(tmp_path / "set", "ab").problems[0]


# Preview


def test_every_image_of_a_batch_is_a_column() -> None:
    class Mixed(Batch):
        def __init__(self, values: dict[str, torch.Tensor]) -> None:
            self.__dict__.update(values)

    colours = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 4, 3)
    fields = {"image": colours, "mask": torch.ones(2, 3, 4, 1), "known": torch.ones(2, 3, 4, dtype=torch.bool)}
    fields |= {"label": torch.zeros(2, dtype=torch.int64), "code": torch.zeros(2, 16)}
    tiles = preview.tiles(Mixed(fields))
    assert list(tiles) == ["image", "mask", "known"]
    assert np.array_equal(tiles["image"], colours[0].numpy())
    assert all((tiles[name] == 255).all() and tiles[name].shape == (3, 4, 3) for name in ("mask", "known"))


def test_the_sheet_shows_what_training_begins_with(photos: Path) -> None:
    data = PairedDataset(PairedData(dir=str(photos), load_px=24, crop_px=24, validation_share=0), "training", 3)
    shown = preview.sheet(data, "training", count=2, seed=3)
    order: Sequence[int] = sampler.permutation(3, 0, 5)
    first = data[SampleKey(0, int(order[0]))]
    gap, label = 4, 18
    assert np.array_equal(shown[label + gap : label + gap + 24, gap : gap + 24], first.source)
    assert shown.shape == (label + 2 * (24 + gap) + gap, 2 * (24 + gap) + gap, 3)


def test_center_masks_are_the_same_everywhere(photos: Path, tmp_path: Path) -> None:
    work(photos / "a.png", tmp_path / "one.png", Mask(CenterMask(overlap_px=0), alone=True))
    hole = reader.read(tmp_path / "one.png").pixels[..., 0] == 255
    assert (hole.sum(), hole[9:27, 11:29].all()) == (18 * 18, True)
