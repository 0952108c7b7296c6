"""Samples with a teacher's results: written once, gone on with, and trained on by any recipe of image pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gantools import api
from gantools.checkpoint import weights
from gantools.data import open_distillable
from gantools.data.datasets import distilled
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import BlurredData, ResolutionData, RestorationData
from gantools.data.prepare import distill
from gantools.errors import DataError, UsageError
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.inference import find_weights
from gantools.models.options import CompactSROptions
from tests.cli.conftest import store

ABOUT = {"teacher": {"file": "teacher.pth", "sha256": "0" * 64, "licence": "BSD-3-Clause"}, "seed": 0}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), np.uint8)
        writer.write(Image(pixels), tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def negative(low: Pixels) -> Pixels:
    """A teacher whose results are told from originals at once, four times as large."""
    return (255 - low).repeat(4, axis=0).repeat(4, axis=1)


def resolution(*folders: Path, **given: object) -> ResolutionData:
    return ResolutionData(dir=tuple(map(str, folders)), **{"crop_px": 32, "validation_share": 0.0, **given})


def write(photos: Path, output: Path, count: int, options=None, teach=negative, about=ABOUT) -> int:
    dataset = open_distillable(options or resolution(photos), "training", seed=0)
    return distill.distill(dataset, 0, teach, about, output, count, lambda _done, _of: None)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_folder_goes_on_and_equals_one_written_at_once(photos: Path, tmp_path: Path) -> None:
    calls = 0

    def interrupted(low: Pixels) -> Pixels:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return negative(low)

    with pytest.raises(KeyboardInterrupt):
        write(photos, tmp_path / "out", 6, teach=interrupted)
    assert write(photos, tmp_path / "out", 6) == 3
    assert write(photos, tmp_path / "out", 8) == 2
    assert write(photos, tmp_path / "whole", 8) == 8
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_another_teacher_and_a_folder_of_something_else_are_refused(photos: Path, tmp_path: Path) -> None:
    write(photos, tmp_path / "out", 1)
    other = ABOUT | {"teacher": {"file": "other.pth"}}
    with pytest.raises(UsageError, match="made with another teacher; name a new folder"):
        write(photos, tmp_path / "out", 1, about=other)
    before = files(photos)
    with pytest.raises(UsageError, match="is no folder of `data distill`"):
        write(photos, photos, 1)
    assert files(photos) == before


@pytest.mark.parametrize("share", [0.0, 1.0, 0.25])
def test_targets_are_the_teachers_in_the_share_that_is_given(photos: Path, tmp_path: Path, share: float) -> None:
    write(photos, tmp_path / "out", 5)
    dataset = open_distillable(resolution(tmp_path / "out", crop_px=16, teacher_share=share), "training", seed=0)
    taught = 0
    for epoch in range(60):
        low, high, _ = dataset[SampleKey(epoch, epoch % 5)]
        assert (low.shape, high.shape) == ((4, 4, 3), (16, 16, 3))
        taught += np.array_equal(high, negative(low))
    assert taught / 60 == pytest.approx(share, abs=0.15)


def test_samples_without_a_teacher_are_learned_from_their_originals_beside_those_with_one(photos, tmp_path) -> None:
    write(photos, tmp_path / "taught", 4)
    write(photos, tmp_path / "plain", 4, teach=None, about={**ABOUT, "teacher": None})
    assert not (tmp_path / "plain" / "teacher").exists()
    dataset = open_distillable(resolution(tmp_path / "taught", tmp_path / "plain"), "training", seed=0)
    assert len(dataset) == 8
    assert [teacher["file"] for teacher in dataset.teachers] == ["teacher.pth"]
    taught = [np.array_equal(high, negative(low)) for low, high, _ in (dataset[SampleKey(0, i)] for i in range(8))]
    assert sum(taught) == 4


def test_validation_compares_whole_samples_with_the_originals(photos: Path, tmp_path: Path) -> None:
    write(photos, tmp_path / "out", 5)
    dataset = open_distillable(resolution(tmp_path / "out", validation_share=0.4), "validation", seed=0)
    assert len(dataset) == 2
    low, high, name = dataset[SampleKey(0, 0)]
    np.testing.assert_array_equal(low, reader.read_rgb8(tmp_path / "out" / "input" / f"{name}.png"))
    np.testing.assert_array_equal(high, reader.read_rgb8(tmp_path / "out" / "truth" / f"{name}.png"))
    assert "distilled samples, teacher: teacher.pth" in dataset.describe()


@pytest.mark.parametrize("rotate", [False, True])
def test_samples_are_turned_only_where_the_settings_say_so(photos: Path, tmp_path: Path, rotate: bool) -> None:
    write(photos, tmp_path / "out", 1, teach=None, about={**ABOUT, "teacher": None})
    dataset = open_distillable(resolution(tmp_path / "out", flip=True, rotate=rotate), "training", seed=0)
    whole = reader.read_rgb8(tmp_path / "out" / "truth" / "000000.png")
    drawn = [dataset[SampleKey(epoch, 0)][1] for epoch in range(20)]
    upright = [np.array_equal(high, whole) or np.array_equal(high, whole[:, ::-1]) for high in drawn]
    assert all(upright) != rotate


@pytest.mark.parametrize("kind", [RestorationData, BlurredData])
def test_a_teacher_that_enlarges_is_shrunk_for_recipes_that_keep_the_size(photos, tmp_path, kind) -> None:
    own = {"load_px": 48} if kind is RestorationData else {}
    options = kind(dir=str(photos), crop_px=16, validation_share=0.0, **own)
    write(photos, tmp_path / "out", 2, options)
    options = kind(dir=str(tmp_path / "out"), crop_px=12, validation_share=0.0, **own)
    degraded, clean, _ = open_distillable(options, "training", seed=0)[SampleKey(0, 0)]
    assert degraded.shape == clean.shape == (12, 12, 3)
    assert np.abs(255.0 - degraded - clean).mean() < 25  # the negative, blurred a little by both resizings


def test_what_cannot_be_trained_on_is_refused(photos: Path, tmp_path: Path) -> None:
    write(photos, tmp_path / "out", 2)
    with pytest.raises(DataError, match="was made by `data distill`, others were not"):
        open_distillable(resolution(tmp_path / "out", photos), "training", seed=0)
    dataset = open_distillable(resolution(tmp_path / "out", crop_px=64), "training", seed=0)
    with pytest.raises(DataError, match=r"data\.crop_px: must not exceed 32, the side of the distilled samples"):
        dataset[SampleKey(0, 0)]


def test_the_teacher_and_its_licence_are_known_to_what_was_trained(photos: Path, tmp_path: Path) -> None:
    teacher = store(tmp_path / "teacher.safetensors", CompactSROptions(channels=4, blocks=1))
    small = ["data.crop_px=32", "model.generator.channels=4", "model.generator.blocks=1", "data.workers=0"]
    settings = api.configure("srgan/real", data=[str(photos)], overrides=[*small, "data.validation_share=0"])
    assert api.distill_data(settings, teacher, tmp_path / "out", count=4) == 4
    manifest = json.loads((tmp_path / "out" / distilled.MANIFEST).read_text())
    assert manifest["teacher"]["file"] == "teacher.safetensors"
    manifest["teacher"]["licence"] = "BSD-3-Clause"
    (tmp_path / "out" / distilled.MANIFEST).write_text(json.dumps(manifest))
    quick = ["model.perceptual=null", "stages.content.steps=1", "data.batch_images=2", "data.validation_share=0.25"]
    settings = api.configure("srgan/real", data=[str(tmp_path / "out")], overrides=[*small, *quick])
    api.train(settings, run_dir=str(tmp_path / "run"), device="cpu")
    trained = tmp_path / "run" / "weights" / "last.safetensors"
    assert weights.describe(trained).about["distilled_from"] == [manifest["teacher"]]
    assert find_weights.origin_of(trained) == "distilled from teacher.safetensors; licence: BSD-3-Clause"
    quick += ["stages.content.steps=2", "data.degradations=[]"]
    settings = api.configure("srgan/real", data=[str(photos)], overrides=[*small, *quick])
    api.train(settings, run_dir=str(tmp_path / "on"), device="cpu", init_from=trained)
    trained_on = tmp_path / "on" / "weights" / "last.safetensors"
    assert weights.describe(trained_on).about["distilled_from"] == [manifest["teacher"]]
    assert find_weights.identity(trained_on)["licence"] == "BSD-3-Clause"
