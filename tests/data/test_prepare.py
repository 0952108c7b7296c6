"""Data preparation: the loaders' own functions over folders, the same for any number of workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools.data.datasets.paired import PairedDataset
from gantools.data.degrade import blur, chain, masks
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
from gantools.jobs.result import Result

BLUR = BlurOptions(motion_px=(3, 5), noise_sigma=(1, 2))
CHANGES = {
    "edges": Outline(EdgeOptions(max_hints=20), None, "stretch"),
    "crappify": Crappify(CRAPPIFY),
    "blur": Blur(BLUR),
    "mask": Mask(RandomRegionMask(), alone=False),
    "gray": change.gray,
}


def work(source: Path, output: Path, what: Any, *, workers: int = 1, seed: int = 5) -> list[Result]:
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
    def made(name: str, what: Any) -> np.ndarray:
        work(photos / "b.jpg", tmp_path / f"{name}.png", what)
        return reader.read_rgb8(tmp_path / f"{name}.png")

    photo, rng = reader.read_rgb8(photos / "b.jpg"), lambda: sampler.file_rng(5, "b.jpg")
    for name, expected in (
        ("crappify", chain.degrade(photo, CRAPPIFY, rng())),
        ("blur", blur.blurred(photo, rng(), BLUR)),
        ("mask", masks.masked(photo, rng(), RandomRegionMask())),
    ):
        np.testing.assert_array_equal(made(name, CHANGES[name]), expected)
    np.testing.assert_array_equal(made("small", Shrink(4)), resize_bicubic(photo[:, :40], scale=1 / 4))
    made("gray", change.gray)
    assert reader.read(tmp_path / "gray.png").gray
    made("alone", Mask(RandomRegionMask(), alone=True))
    mask = reader.read(tmp_path / "alone.png")
    assert (mask.gray, set(np.unique(mask.pixels))) == (True, {0, 255})
    assert (made("masked", CHANGES["mask"])[mask.pixels[..., 0] == 255] == (117, 104, 123)).all()
    center = made("center", Mask(CenterMask(overlap_px=0), alone=True))[..., 0] == 255
    assert (center.sum(), center[9:27, 11:29].all()) == (18 * 18, True)
    (failed,) = work(photos / "a.png", tmp_path / "none.png", Shrink(64))
    assert (failed.status, failed.error) == ("failed", "is 40x36, too small to be shrunk 64 times")


def test_outlines_are_those_of_the_loader(photos: Path, tmp_path: Path) -> None:
    options = EdgeOptions(max_hints=0)
    data = PairedData(dir=str(photos), edges=options, load_px=32, crop_px=32, validation_share=0.4)
    loader = PairedDataset(data, "validation", 0)
    work(photos, tmp_path / "edges", Outline(options, 32, "stretch"))
    for index, item in enumerate(loader.items):
        made = reader.read_rgb8((tmp_path / "edges" / item.name).with_suffix(".png"))
        assert np.array_equal(made, loader[SampleKey(0, index)].source)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_photo_is_one_failure_and_nothing_half_written(workers: int, photos: Path, tmp_path: Path) -> None:
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:300])
    results = work(photos, tmp_path / "out", CHANGES["crappify"], workers=workers)
    assert [each.status for each in results] == ["done", "failed", "done", "done", "done"]
    assert results[1].input.endswith("b.jpg")
    assert results[1].error.startswith("damaged or truncated")
    assert sorted(tree(tmp_path / "out")) == ["a.png", "c.png", "deep/a.png", "deep/d.png"]


def test_results_of_processes_come_in_order_and_a_dead_process_is_an_error() -> None:
    assert list(each(str, range(30), 2)) == [str(number) for number in range(30)]
    with pytest.raises(GantoolsError, match="a worker process died"):
        list(each(os._exit, [9] * 9, 2))


def test_the_crappifiers_settings_choose_and_order() -> None:
    assert [one.name for one in CrappifyOptions(do=("noise", "gray")).degradations()] == ["noise", "gray"]
    assert CrappifyOptions().degradations() == CRAPPIFY


# Pairs and shares


def halves(folder: Path, save: Any, count: int = 3) -> Path:
    """Two folders of images of the same names."""
    for number in range(count):
        save(folder / "source" / f"{number}.png", 12, 10, number)
        save(folder / "target" / f"{number}.png", 12, 10, 100 + number)
    return folder


def joined(root: Path) -> list[Result]:
    planned = pairs.combining(root / "source", root / "target", root / "ab", "png", "refuse")
    return list(tasks.run(planned, pairs.Combine(95), workers=1))


def divided(root: Path) -> list[Result]:
    planned = pairs.dividing(root / "ab", root / "again", "png", "refuse")
    return list(tasks.run(planned, pairs.Divide(95), workers=1))


def test_pairs_go_together_and_come_apart_again(tmp_path: Path, save: Any) -> None:
    halves(tmp_path, save)
    assert [each.output_size for each in joined(tmp_path)] == [(24, 10)] * 3
    assert [each.status for each in divided(tmp_path)] == ["done"] * 3
    for before, after in (("source", "a"), ("target", "b")):
        for path in (tmp_path / before).iterdir():
            again = reader.read_rgb8(tmp_path / "again" / after / path.name)
            assert np.array_equal(reader.read_rgb8(path), again)


def test_lonely_odd_and_unequal_images_are_named(tmp_path: Path, save: Any) -> None:
    halves(tmp_path, save)
    save(tmp_path / "target" / "1.png", 14, 10)
    results = joined(tmp_path)
    assert [each.status for each in results] == ["done", "failed", "done"]
    assert "is 12×10 but" in results[1].error
    save(tmp_path / "ab" / "1.png", 13, 10)
    assert "13 pixels wide" in divided(tmp_path)[1].error
    save(tmp_path / "source" / "more.png")
    with pytest.raises(DataError, match=r"1 files have no partner: source/more\.png"):
        joined(tmp_path)


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
    share_out(halves(tmp_path / "pairs", save, 10), tmp_path / "out", "pairs", test=0.1)
    for name, count in (("train", 7), ("val", 2), ("test", 1)):
        sources, targets = ({*tree(tmp_path / "out" / name / side)} for side in ("source", "target"))
        assert sources == targets
        assert len(sources) == count
    for number in range(10):
        save(tmp_path / "domains" / ("trainA" if number < 4 else "trainB") / f"{number}.png")
    share_out(tmp_path / "domains", tmp_path / "shared", "unpaired", val=0.25)
    assert [len(tree(tmp_path / "shared" / "val" / name)) for name in ("trainA", "trainB")] == [1, 2]
    assert [len(side) for side in recognise.examples(tmp_path / "shared", "unpaired", "training").sides] == [3, 4]


def test_links_take_no_room_and_are_replaced_cleanly(photos: Path, tmp_path: Path) -> None:
    share_out(photos, tmp_path / "out", "photos", link=True)
    share_out(photos, tmp_path / "out", "photos", link=True, existing="overwrite")
    linked = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(linked) == 5
    assert {path.stat().st_ino for path in linked} == {path.stat().st_ino for path in photos.rglob("*.*")}


@pytest.mark.parametrize("wanted", [{"val": 0.0}, {"val": 0.6, "test": 0.5}, {"val": -0.1}])
def test_impossible_shares_are_refused(wanted: dict[str, float], photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both are shares"):
        share_out(photos, tmp_path / "out", "photos", **wanted)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["train", "val", "testA"])
def test_what_is_split_is_not_split_again(name: str, tmp_path: Path, save: Any) -> None:
    for folder in (name, "testB"):
        save(tmp_path / "set" / folder / "0.png")
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
    facts = inspect.facts(report)
    assert (facts["images"], facts["can_train"], facts["modes"]) == (5, True, {"RGB 8 bit": 5})
    assert (facts["sizes"]["smallest"], facts["sizes"]["largest"]) == ("40×36", "44×36")


def test_bad_and_equal_files_are_named(photos: Path) -> None:
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:-300])
    (photos / "no.png").write_text("not an image")
    (photos / "deep" / "d.png").write_bytes((photos / "a.png").read_bytes())
    report = look(photos)
    flaws = {file.path.name: file.flaw for file in report.files if file.flaw}
    assert flaws == {"b.jpg": "damaged", "no.png": "unreadable"}
    assert [[path.name for path in group] for group in report.duplicates] == [["a.png", "d.png"]]
    assert report.problems[0].startswith("2 of 7 images cannot be read, more than data.max_unreadable_share=0.001")
    assert report.remarks[0] == "1 files are copies of others"
    assert any("damaged: " in line and "b.jpg" in line for line in inspect.lines(report))


def test_copies_in_training_and_validation_are_named(tmp_path: Path, save: Any) -> None:
    for name in ("train", "val"):
        save(tmp_path / "set" / name / "same.png")
        save(tmp_path / "set" / name / "own.png", seed=len(name))
    copies, shared = look(tmp_path / "set").remarks
    assert (copies, shared) == ("1 files are copies of others", "1 of them lie in training and in validation")


def test_pairs_without_partners_and_of_other_sizes_cannot_train(tmp_path: Path, save: Any) -> None:
    root = halves(tmp_path / "set", save, 9)
    assert (look(root).kind, look(root).problems) == ("pairs", ())
    save(root / "target" / "4.png", 16, 16)
    assert "4.png" in look(root).problems[0]
    for number in range(6):
        save(root / "source" / f"lonely{number}.png")
    report = look(root)
    assert (len(report.unmatched), report.training, report.validation) == (6, (0,), (0,))
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
    first = data[SampleKey(0, int(sampler.permutation(3, 0, 5)[0]))]
    gap, label = 4, 18
    assert np.array_equal(shown[label + gap : label + gap + 24, gap : gap + 24], first.source)
    assert shown.shape == (label + 2 * (24 + gap) + gap, 2 * (24 + gap) + gap, 3)
