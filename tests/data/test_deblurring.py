"""The data set of blurred and sharp images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.data.datasets.deblurring import DeblurringDataset
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import BlurredData
from gantools.errors import DataError
from gantools.images.io import reader
from gantools.images.ops.blur import convolve, normalised
from gantools.images.ops.resize import resize_bicubic

SMOOTH = np.outer([1, 4, 6, 4, 2], [1, 2, 2])  # of sum 85, so that nothing ends in half a step


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    for index in range(4):
        save(tmp_path / "photos" / f"{index}.png", 40, 36, seed=index)
    return tmp_path / "photos"


def options(folder: Path | None, **given: Any) -> BlurredData:
    blur = BlurOptions(trajectory_steps=60, motion_px=(4.0, 8.0), **given.pop("blur", {}))
    return BlurredData(
        dir=None if folder is None else str(folder), **({"crop_px": 16, "validation_share": 0.25} | given), blur=blur
    )


def known_blur(folder: Path) -> dict[str, Any]:
    np.save(folder / "kernel.npy", SMOOTH)
    return {"motion_weight": 0.0, "measured_weight": 1.0, "kernel_files": (str(folder / "kernel.npy"),)}


def places_of(crop: np.ndarray, photo: np.ndarray) -> list[tuple[int, int]]:
    side = crop.shape[0]
    return [
        (top, left)
        for top in range(photo.shape[0] - side + 1)
        for left in range(photo.shape[1] - side + 1)
        if (photo[top : top + side, left : left + side] == crop).all()
    ]


def place_of(crop: np.ndarray, photo: np.ndarray) -> tuple[int, int]:
    (place,) = places_of(crop, photo)
    return place


def test_photos_are_shrunk_before_they_are_blurred(photos: Path, tmp_path: Path) -> None:
    given = options(photos, blur=known_blur(tmp_path), downscale=(0.5,), flip=False)
    sample = DeblurringDataset(given, "training", seed=7)[SampleKey(0, 1)]
    small = [resize_bicubic(reader.read_rgb8(file), scale=0.5) for file in sorted(photos.iterdir())]
    found = [(photo, place) for photo in small for place in places_of(sample.clean, photo)]
    ((photo, (top, left)),) = found
    whole = convolve(photo, normalised(SMOOTH))
    inside = np.s_[2:-2, 2:-2]
    expected = whole[top : top + 16, left : left + 16][inside].astype(int)
    assert np.abs(sample.degraded[inside].astype(int) - expected).max() <= 1


def test_a_blurred_crop_is_that_part_of_the_blurred_photo(photos: Path, tmp_path: Path) -> None:
    data = DeblurringDataset(options(photos, flip=False, blur=known_blur(tmp_path)), "training", seed=0)
    kernel = normalised(SMOOTH)
    for epoch in range(8):
        sample = data[SampleKey(epoch, 0)]
        photo = reader.read_rgb8(data.items[0].files[0])
        top, left = place_of(sample.clean, photo)
        whole = np.floor(convolve(photo, kernel) + 0.5)
        np.testing.assert_array_equal(sample.degraded, whole[top : top + 16, left : left + 16])


def test_flips_and_turns_move_both_images(photos: Path, tmp_path: Path) -> None:
    still = DeblurringDataset(options(photos, flip=False, blur={"sharp_share": 0.999}), "training", seed=0)
    moved = DeblurringDataset(options(photos, flip=True, rotate=True, blur={"sharp_share": 0.999}), "training", seed=0)
    seen = set()
    for epoch in range(30):
        sample, same = moved[SampleKey(epoch, 0)], still[SampleKey(epoch, 0)]
        np.testing.assert_array_equal(sample.degraded, sample.clean)
        turned = [np.rot90(flipped, turns) for flipped in (same.clean, same.clean[:, ::-1]) for turns in range(4)]
        seen |= {number for number, one in enumerate(turned) if np.array_equal(one, sample.clean)}
    assert len(seen) == 8


def test_a_share_stays_sharp(photos: Path) -> None:
    data = DeblurringDataset(options(photos, blur={"sharp_share": 0.4}), "training", seed=0)
    samples = [data[SampleKey(epoch, index)] for epoch in range(60) for index in range(3)]
    share = np.mean([np.array_equal(sample.degraded, sample.clean) for sample in samples])
    assert share == pytest.approx(0.4, abs=0.12)


def test_validation_is_whole_images_always_blurred_alike(photos: Path) -> None:
    data = DeblurringDataset(options(photos, blur={"sharp_share": 0.9}), "validation", seed=0)
    assert len(data) == 1
    one, later = data[SampleKey(0, 0)], data[SampleKey(5, 0)]
    assert one.clean.shape == one.degraded.shape == (36, 40, 3)
    np.testing.assert_array_equal(one.degraded, later.degraded)
    assert (one.degraded != one.clean).any()
    small = DeblurringDataset(options(photos, validation_px=38), "validation", seed=0)[SampleKey(0, 0)]
    assert small.clean.shape == (36, 38, 3)
    np.testing.assert_array_equal(small.clean, one.clean[:, 1:39])


def test_photos_smaller_than_a_crop_are_mirrored(photos: Path) -> None:
    sample = DeblurringDataset(options(photos, crop_px=64), "training", seed=0)[SampleKey(0, 0)]
    assert sample.degraded.shape == sample.clean.shape == (64, 64, 3)


@pytest.fixture
def pairs(tmp_path: Path, save) -> Path:
    for index in range(4):
        save(tmp_path / "set" / "blur" / f"blur_{index:02d}.png", 40, 36, seed=index)
        save(tmp_path / "set" / "sharp" / f"sharp_{index:02d}.png", 40, 36, seed=100 + index)
    return tmp_path / "set"


def test_real_pairs_are_matched_although_their_names_differ(pairs: Path) -> None:
    data = DeblurringDataset(options(pairs, flip=False), "training", seed=0)
    assert data.describe() == "3 pairs of files"
    for index, item in enumerate(data.items):
        sample = data[SampleKey(0, index)]
        degraded, clean = (reader.read_rgb8(path) for path in item.files)
        assert item.files[0].name.removeprefix("blur_") == item.files[1].name.removeprefix("sharp_")
        assert place_of(sample.degraded, degraded) == place_of(sample.clean, clean)


def test_two_folders_can_be_named(pairs: Path) -> None:
    named = options(None, degraded_dir=str(pairs / "blur"), clean_dir=str(pairs / "sharp"))
    assert len(DeblurringDataset(named, "training", 0)) == 3
    assert len(DeblurringDataset(named, "validation", 0)) == 1
    whole = DeblurringDataset(options(pairs, validation_px=20), "validation", 0)[SampleKey(0, 0)]
    assert whole.degraded.shape == whole.clean.shape == (20, 20, 3)


def test_halves_of_one_image_are_pairs(tmp_path: Path, save) -> None:
    for index in range(4):
        save(tmp_path / f"{index}.png", 40, 20, seed=index)
    sample = DeblurringDataset(options(tmp_path), "validation", 0)[SampleKey(0, 0)]
    assert sample.degraded.shape == sample.clean.shape == (20, 20, 3)
    assert (sample.degraded != sample.clean).any()


def test_a_kernel_file_of_zeros_is_refused_before_a_run(photos: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "zeros.npy", np.zeros((3, 3)))
    blur = {"measured_weight": 1.0, "kernel_files": (str(tmp_path / "zeros.npy"),)}
    with pytest.raises(DataError, match="is all zeros"):
        DeblurringDataset(options(photos, blur=blur), "training", 0)
