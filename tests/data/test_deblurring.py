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

FIRST = SampleKey(0, 0)
SMOOTH = np.outer([1, 4, 6, 4, 2], [1, 2, 2])  # of sum 85, so that nothing ends in half a step


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    for index in range(4):
        save(tmp_path / "photos" / f"{index}.png", 40, 36, seed=index)
    return tmp_path / "photos"


def opened(folder: Path | None, split: str = "training", seed: int = 0, **given: Any) -> DeblurringDataset:
    """Three photos or pairs of ``folder``, or one for validation. ``kernel``: the only blur there is."""
    blur = given.pop("blur", {})
    if (kernel := given.pop("kernel", None)) is not None:
        np.save(folder.parent / "kernel.npy", kernel)
        blur = {"motion_weight": 0.0, "measured_weight": 1.0, "kernel_files": (str(folder.parent / "kernel.npy"),)}
    options = {"dir": folder and str(folder), "crop_px": 16, "validation_share": 0.25, **given}
    options["blur"] = BlurOptions(trajectory_steps=60, motion_px=(4.0, 8.0), **blur)
    return DeblurringDataset(BlurredData(**options), split, seed)


def place_of(crop: np.ndarray, photo: np.ndarray) -> tuple[slice, slice]:
    """The only place of a crop."""
    windows = np.lib.stride_tricks.sliding_window_view(photo, crop.shape)[:, :, 0]
    ((top, left),) = np.argwhere((windows == crop).all(axis=(-3, -2, -1)))
    return np.s_[top : top + len(crop), left : left + len(crop)]


def test_photos_are_shrunk_before_they_are_blurred(photos: Path) -> None:
    data = opened(photos, kernel=SMOOTH, downscale=(0.5,), flip=False, seed=7)
    for index, item in enumerate(data.items):
        sample = data[SampleKey(0, index)]
        small = resize_bicubic(reader.read_rgb8(item.files[0]), scale=0.5)
        inside = np.s_[2:-2, 2:-2]
        expected = convolve(small, normalised(SMOOTH))[place_of(sample.clean, small)][inside]
        assert np.abs(sample.degraded[inside] - expected.astype(int)).max() <= 1


def test_a_blurred_crop_is_that_part_of_the_blurred_photo(photos: Path) -> None:
    data = opened(photos, flip=False, kernel=SMOOTH)
    photo = reader.read_rgb8(data.items[0].files[0])
    whole = np.floor(convolve(photo, normalised(SMOOTH)) + 0.5)
    for epoch in range(8):
        sample = data[SampleKey(epoch, 0)]
        np.testing.assert_array_equal(sample.degraded, whole[place_of(sample.clean, photo)])


def test_flips_and_turns_move_both_images(photos: Path) -> None:
    still = opened(photos, flip=False, blur={"sharp_share": 0.999})
    moved = opened(photos, flip=True, rotate=True, blur={"sharp_share": 0.999})
    seen = set()
    for epoch in range(30):
        sample, same = moved[SampleKey(epoch, 0)], still[SampleKey(epoch, 0)]
        np.testing.assert_array_equal(sample.degraded, sample.clean)
        turned = [np.rot90(flipped, turns) for flipped in (same.clean, same.clean[:, ::-1]) for turns in range(4)]
        seen |= {number for number, one in enumerate(turned) if np.array_equal(one, sample.clean)}
    assert len(seen) == 8


def test_a_share_stays_sharp(photos: Path) -> None:
    data = opened(photos, blur={"sharp_share": 0.4})
    samples = [data[SampleKey(epoch, index)] for epoch in range(60) for index in range(3)]
    share = np.mean([np.array_equal(sample.degraded, sample.clean) for sample in samples])
    assert share == pytest.approx(0.4, abs=0.12)


def test_validation_is_whole_images_or_their_middle_always_blurred(photos: Path) -> None:
    one = opened(photos, "validation", blur={"sharp_share": 0.9})[FIRST]
    assert one.clean.shape == one.degraded.shape == (36, 40, 3)
    assert (one.degraded != one.clean).any()
    np.testing.assert_array_equal(opened(photos, "validation", validation_px=38)[FIRST].clean, one.clean[:, 1:39])


def test_photos_smaller_than_a_crop_are_mirrored(photos: Path) -> None:
    sample = opened(photos, crop_px=64)[FIRST]
    assert sample.degraded.shape == sample.clean.shape == (64, 64, 3)


def test_real_pairs_are_matched_although_their_names_differ(tmp_path: Path, save) -> None:
    for index in range(4):
        save(tmp_path / "blur" / f"blur_{index:02d}.png", 40, 36, seed=index)
        save(tmp_path / "sharp" / f"sharp_{index:02d}.png", 40, 36, seed=100 + index)
    data = opened(tmp_path, flip=False)
    assert data.describe() == "3 pairs of files"
    for index, item in enumerate(data.items):
        sample = data[SampleKey(0, index)]
        degraded, clean = (reader.read_rgb8(path) for path in item.files)
        assert item.files[0].name.removeprefix("blur_") == item.files[1].name.removeprefix("sharp_")
        assert place_of(sample.degraded, degraded) == place_of(sample.clean, clean)
    named = opened(None, degraded_dir=str(tmp_path / "blur"), clean_dir=str(tmp_path / "sharp"))
    assert [item.files for item in named.items] == [item.files for item in data.items]
    part = opened(tmp_path, "validation", validation_px=20)[FIRST]
    assert part.degraded.shape == part.clean.shape == (20, 20, 3)


def test_halves_of_one_image_are_pairs(tmp_path: Path, save) -> None:
    for index in range(4):
        save(tmp_path / f"{index}.png", 40, 20, seed=index)
    sample = opened(tmp_path, "validation")[FIRST]
    assert sample.degraded.shape == sample.clean.shape == (20, 20, 3)
    assert (sample.degraded != sample.clean).any()


def test_a_kernel_file_of_zeros_is_refused_before_a_run(photos: Path) -> None:
    with pytest.raises(DataError, match="is all zeros"):
        opened(photos, kernel=np.zeros((3, 3)))
