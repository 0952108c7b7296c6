"""Samples of pairs, of super-resolution and of deblurring: right sizes, right sides, aligned images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gantools.data.datasets.deblurring import DeblurringDataset
from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.super_resolution import SuperResolutionDataset
from gantools.data.degrade import resolution as degrade
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import BlurredData, EdgeOptions, PairedData, ResolutionData
from gantools.data.options.degradations import (
    InputSizeOptions,
    JpegOptions,
    LowResolutionOptions,
    NoiseOptions,
    ResizeOptions,
)
from gantools.errors import DataError, ImageError
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.images.ops.blur import convolve, normalised
from gantools.images.ops.resize import resize_bicubic

FIRST = SampleKey(0, 0)


def paired(folder: Path, **given: object) -> PairedDataset:
    options = {"dir": str(folder), "validation_share": 0.0, "load_px": 8, "crop_px": 8, **given}
    return PairedDataset(PairedData(**options), "training", seed=0)


def resolution(folder: Path, split: str = "training", **given: object) -> SuperResolutionDataset:
    options = {"dir": str(folder), "validation_share": 0.0, "crop_px": 16, **given}
    return SuperResolutionDataset(ResolutionData(**options), split, seed=0)


def test_a_photo_becomes_an_outline_with_dabs_and_itself(shoes: Path) -> None:
    data = paired(shoes, load_px=40, crop_px=32, validation_share=0.2)
    source, target, _ = data[FIRST]
    assert source.shape == target.shape == (32, 32, 3)
    assert np.ptp(source, axis=-1).any()  # some of it is coloured
    assert data.describe() == "8 photos, outlines made from them"


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_ab_images_are_cut_in_halves(tmp_path: Path, save, direction: str) -> None:
    both = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    writer.write(Image(both), tmp_path / "1.png")
    source, target, name = paired(tmp_path, direction=direction, load_px=16, crop_px=16, flip=False)[FIRST]
    halves = [source, target] if direction == "a2b" else [target, source]
    np.testing.assert_array_equal(np.hstack(halves), both)
    assert name == "1.png"


def test_both_images_of_a_pair_are_cropped_and_mirrored_alike(tmp_path: Path) -> None:
    ramp = Image(np.arange(20 * 20 * 3, dtype=np.uint16).reshape(20, 20, 3).astype(np.uint8))
    for side in ("source", "target"):
        (tmp_path / side).mkdir()
        writer.write(ramp, tmp_path / side / "1.png")
    data = paired(tmp_path, load_px=20)
    crops = [data[SampleKey(epoch, 0)] for epoch in range(12)]
    for source, target, _ in crops:
        np.testing.assert_array_equal(source, target)
    assert len({source.tobytes() for source, *_ in crops}) > 5
    steps = {(int(source[0, 1, 0]) - int(source[0, 0, 0])) % 256 for source, *_ in crops}
    assert steps == {3, 253}


def test_pairs_of_two_sizes_and_odd_images_are_refused_when_they_are_read(tmp_path: Path, save, monkeypatch) -> None:
    """As in a set of which not all images are looked at before."""
    monkeypatch.setattr("gantools.data.folders.layout._check_sizes", lambda _: None)
    monkeypatch.setattr("gantools.data.folders.layout._check_halves", lambda _, **__: None)
    save(tmp_path / "a" / "1.png", 10, 10)
    save(tmp_path / "b" / "1.png", 12, 10)
    with pytest.raises(ImageError, match="different sizes, 10x10 and 12x10"):
        paired(tmp_path)[FIRST]
    for number, (width, message) in enumerate(((20, ""), (21, "21 pixels wide"), (40, "is 40x10"))):
        save(tmp_path / "ab" / f"{number}.png", width, 10)
        data = paired(tmp_path / "ab", layout="ab")
        if message:
            with pytest.raises(ImageError, match=message):
                data[SampleKey(0, number)]
        else:
            assert data[SampleKey(0, number)].source.shape == (8, 8, 3)


@pytest.mark.parametrize("edges_at", ["original", "resized"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_every_fit_gives_squares(tmp_path: Path, save, fit: str, edges_at: str) -> None:
    save(tmp_path / "1.png", 50, 31)
    sample = paired(tmp_path, load_px=24, crop_px=24, fit=fit, edges=EdgeOptions(edges_at=edges_at))[FIRST]
    assert sample.source.shape == sample.target.shape == (24, 24, 3)
    assert bool((sample.target[0] == 255).all()) is (fit == "pad")


def noise_photo(folder: Path, width: int, height: int) -> np.ndarray:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    writer.write(Image(pixels), folder / "1.png")
    return pixels


def test_a_crops_small_version_is_cut_from_the_whole_photos(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 90, 71)
    whole = resize_bicubic(photo[:68, :88], scale=1 / 4)
    crops = {photo[y : y + 24, x : x + 24].tobytes(): (y, x) for y in range(0, 45, 4) for x in range(0, 65, 4)}
    corners = set()
    for seed in range(20):
        low, high = degrade.crop_pair(photo, 4, 24, np.random.default_rng(seed))
        y, x = crops[high.tobytes()]
        np.testing.assert_array_equal(low, whole[y // 4 : y // 4 + 6, x // 4 : x // 4 + 6])
        corners.add((y, x))
    assert len(corners) > 10


def test_validation_is_the_whole_photo_in_whole_pixels(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 41, 30)
    low, high, _ = resolution(tmp_path / "no", "validation", validation_dir=str(tmp_path))[FIRST]
    np.testing.assert_array_equal(high, photo[1:29, :40])
    np.testing.assert_array_equal(low, resize_bicubic(high, scale=1 / 4))


def test_all_eight_positions_occur_and_both_images_take_the_same(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 16, 16)
    data = resolution(tmp_path)
    seen = set()
    for epoch in range(80):
        low, high, _ = data[SampleKey(epoch, 0)]
        small = resize_bicubic(np.ascontiguousarray(high), scale=1 / 4)
        np.testing.assert_allclose(low.astype(int), small, atol=1)
        seen.add(high.tobytes())
    assert len(seen) == 8
    assert photo.tobytes() in seen


@pytest.mark.parametrize(("width", "height"), [(5, 4), (4, 4), (40, 9), (17, 40), (9, 3)])
def test_photos_smaller_than_the_crop_are_mirrored_from_one_small_pixel_on(tmp_path, width: int, height: int) -> None:
    noise_photo(tmp_path, width, height)
    data = resolution(tmp_path, downscale=(1.0, 0.5))
    if height < 4:
        with pytest.raises(ImageError, match="9x3, too small to be shrunk 4 times"):
            data[FIRST]
    else:
        assert (data[FIRST].low.shape, data[FIRST].high.shape) == ((4, 4, 3), (16, 16, 3))


def test_small_versions_are_degraded_in_training_only_and_their_originals_never(tmp_path: Path) -> None:
    noise_photo(tmp_path, 32, 32)
    degraded = {"degradations": (JpegOptions(quality=(30, 60)), NoiseOptions())}
    for split, least, most in (("training", 9, 255), ("validation", 0, 0)):
        folder = {"validation_dir": str(tmp_path)} if split == "validation" else {}
        low, high, _ = resolution(tmp_path, split, **folder)[FIRST]
        bad, same, _ = resolution(tmp_path, split, **folder, **degraded)[FIRST]
        np.testing.assert_array_equal(high, same)
        assert least <= np.abs(bad.astype(int) - low).max() <= most


def test_small_versions_are_made_by_the_degradations_where_these_reach_the_input_size(tmp_path: Path) -> None:
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (96, 96))
    writer.write(Image(smooth), tmp_path / "photo.png")
    chain = (ResizeOptions(factor=(0.5, 2)), InputSizeOptions(), NoiseOptions(sigma=(1, 2)))
    data = resolution(tmp_path, degradations=chain, crop_px=32)
    made = [data[SampleKey(epoch, 0)] for epoch in range(20)]
    for low, high, _ in made:
        assert (low.shape, high.shape) == ((8, 8, 3), (32, 32, 3))
        assert np.abs(low.astype(int) - cv2.resize(high, (8, 8), interpolation=cv2.INTER_AREA)).mean() < 12
    np.testing.assert_array_equal(made[3].low, data[SampleKey(3, 0)].low)


def test_shrinking_first_draws_each_factor_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise_photo(tmp_path, 64, 40)
    drawn = set()
    shrink = degrade.shrunk_region

    def spy(photo, factor, side_px, rng):
        drawn.add(factor)
        small = shrink(photo, factor, side_px, rng)
        assert min(small.shape[:2]) >= 16
        return small

    monkeypatch.setattr(degrade, "shrunk_region", spy)
    data = resolution(tmp_path, downscale=(1.0, 0.75, 0.5, 0.1))
    assert {data[SampleKey(epoch, 0)].high.shape for epoch in range(40)} == {(16, 16, 3)}
    assert drawn == {0.75, 0.5}


# Blurred and sharp images


def test_blurred_photos_are_degraded_further_where_that_is_asked_for(tmp_path: Path) -> None:
    noise_photo(tmp_path, 64, 64)
    for split in ("training", "validation"):
        folder = {"validation_dir": str(tmp_path)} if split == "validation" else {"validation_share": 0.0}
        plain, bad = (
            DeblurringDataset(BlurredData(dir=str(tmp_path), crop_px=32, flip=False, **folder, **given), split, 0)[
                FIRST
            ]
            for given in ({}, {"degradations": (JpegOptions(quality=(5, 5)),)})
        )
        np.testing.assert_array_equal(plain.clean, bad.clean)
        assert np.abs(plain.degraded.astype(int) - bad.degraded).max() > 8
    with pytest.raises(ValueError, match="low_resolution depends on the whole photo"):
        BlurredData(degradations=(LowResolutionOptions(),))


SMOOTH = np.outer([1, 4, 6, 4, 2], [1, 2, 2])  # of sum 85, so that nothing ends in half a step


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    for index in range(4):
        save(tmp_path / "photos" / f"{index}.png", 40, 36, seed=index)
    return tmp_path / "photos"


def deblurring(folder: Path | None, split: str = "training", seed: int = 0, **given: Any) -> DeblurringDataset:
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
    data = deblurring(photos, kernel=SMOOTH, downscale=(0.5,), flip=False, seed=7)
    for index, item in enumerate(data.items):
        sample = data[SampleKey(0, index)]
        small = resize_bicubic(reader.read_rgb8(item.files[0]), scale=0.5)
        inside = np.s_[2:-2, 2:-2]
        expected = convolve(small, normalised(SMOOTH))[place_of(sample.clean, small)][inside]
        assert np.abs(sample.degraded[inside] - expected.astype(int)).max() <= 1


def test_a_blurred_crop_is_that_part_of_the_blurred_photo(photos: Path) -> None:
    data = deblurring(photos, flip=False, kernel=SMOOTH)
    photo = reader.read_rgb8(data.items[0].files[0])
    whole = np.floor(convolve(photo, normalised(SMOOTH)) + 0.5)
    for epoch in range(8):
        sample = data[SampleKey(epoch, 0)]
        np.testing.assert_array_equal(sample.degraded, whole[place_of(sample.clean, photo)])


def test_flips_and_turns_move_both_images(photos: Path) -> None:
    still = deblurring(photos, flip=False, blur={"sharp_share": 0.999})
    moved = deblurring(photos, flip=True, rotate=True, blur={"sharp_share": 0.999})
    seen = set()
    for epoch in range(30):
        sample, same = moved[SampleKey(epoch, 0)], still[SampleKey(epoch, 0)]
        np.testing.assert_array_equal(sample.degraded, sample.clean)
        turned = [np.rot90(flipped, turns) for flipped in (same.clean, same.clean[:, ::-1]) for turns in range(4)]
        seen |= {number for number, one in enumerate(turned) if np.array_equal(one, sample.clean)}
    assert len(seen) == 8


def test_a_share_stays_sharp(photos: Path) -> None:
    data = deblurring(photos, blur={"sharp_share": 0.4})
    samples = [data[SampleKey(epoch, index)] for epoch in range(60) for index in range(3)]
    share = np.mean([np.array_equal(sample.degraded, sample.clean) for sample in samples])
    assert share == pytest.approx(0.4, abs=0.12)


def test_deblurring_is_validated_on_whole_images_or_their_middle_always_blurred(photos: Path) -> None:
    one = deblurring(photos, "validation", blur={"sharp_share": 0.9})[FIRST]
    assert one.clean.shape == one.degraded.shape == (36, 40, 3)
    assert (one.degraded != one.clean).any()
    np.testing.assert_array_equal(deblurring(photos, "validation", validation_px=38)[FIRST].clean, one.clean[:, 1:39])


def test_blurred_photos_smaller_than_a_crop_are_mirrored(photos: Path) -> None:
    sample = deblurring(photos, crop_px=64)[FIRST]
    assert sample.degraded.shape == sample.clean.shape == (64, 64, 3)


def test_real_pairs_are_matched_although_their_names_differ(tmp_path: Path, save) -> None:
    for index in range(4):
        save(tmp_path / "blur" / f"blur_{index:02d}.png", 40, 36, seed=index)
        save(tmp_path / "sharp" / f"sharp_{index:02d}.png", 40, 36, seed=100 + index)
    data = deblurring(tmp_path, flip=False)
    assert data.describe() == "3 pairs of files"
    for index, item in enumerate(data.items):
        sample = data[SampleKey(0, index)]
        degraded, clean = (reader.read_rgb8(path) for path in item.files)
        assert item.files[0].name.removeprefix("blur_") == item.files[1].name.removeprefix("sharp_")
        assert place_of(sample.degraded, degraded) == place_of(sample.clean, clean)
    named = deblurring(None, degraded_dir=str(tmp_path / "blur"), clean_dir=str(tmp_path / "sharp"))
    assert [item.files for item in named.items] == [item.files for item in data.items]
    part = deblurring(tmp_path, "validation", validation_px=20)[FIRST]
    assert part.degraded.shape == part.clean.shape == (20, 20, 3)


def test_halves_of_one_image_are_pairs(tmp_path: Path, save) -> None:
    for index in range(4):
        save(tmp_path / f"{index}.png", 40, 20, seed=index)
    sample = deblurring(tmp_path, "validation")[FIRST]
    assert sample.degraded.shape == sample.clean.shape == (20, 20, 3)
    assert (sample.degraded != sample.clean).any()


def test_a_kernel_file_of_zeros_is_refused_before_a_run(photos: Path) -> None:
    with pytest.raises(DataError, match="is all zeros"):
        deblurring(photos, kernel=np.zeros((3, 3)))
