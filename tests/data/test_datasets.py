"""Samples of pairs and of super-resolution: right sizes, right sides, aligned images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.super_resolution import SuperResolutionDataset
from gantools.data.degrade import resolution as degrade
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import EdgeOptions, PairedData, ResolutionData
from gantools.data.options.degradations import JpegOptions, NoiseOptions
from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import writer
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
