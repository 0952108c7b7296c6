"""Samples: right sizes, right sides, aligned images, fixed validation."""

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
from gantools.images.ops import resize

FIRST = SampleKey(0, 0)


def test_a_photo_becomes_an_outline_with_dabs_and_itself(shoes: Path) -> None:
    options = PairedData(dir=str(shoes), load_px=40, crop_px=32, batch_images=2)
    data = PairedDataset(options, "training", seed=1)
    sample = data[FIRST]
    assert sample.source.shape == sample.target.shape == (32, 32, 3)
    coloured = sample.source.max(axis=-1) != sample.source.min(axis=-1)
    assert coloured.any()
    assert data.describe() == "8 photos, outlines made from them"
    assert len(data) + len(PairedDataset(options, "validation", seed=1)) == 10


@pytest.mark.parametrize(("direction", "swapped"), [("a2b", False), ("b2a", True)])
def test_ab_images_are_cut_in_halves(tmp_path: Path, direction: str, swapped: bool) -> None:
    both = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    writer.write(Image(both), tmp_path / "1.png")
    options = PairedData(
        dir=str(tmp_path), validation_share=0.0, direction=direction, load_px=16, crop_px=16, flip=False
    )
    source, target, name = PairedDataset(options, "training", seed=0)[FIRST]
    left, right = (target, source) if swapped else (source, target)
    np.testing.assert_array_equal(np.hstack([left, right]), both)
    assert name == "1.png"


def test_both_images_of_a_pair_are_cropped_and_mirrored_alike(tmp_path: Path) -> None:
    ramp = np.arange(20 * 20 * 3, dtype=np.uint16).reshape(20, 20, 3).astype(np.uint8)
    for side in ("source", "target"):
        writer_path = tmp_path / side / "1.png"
        writer_path.parent.mkdir()
        writer.write(Image(ramp), writer_path)
    options = PairedData(
        source_dir=str(tmp_path / "source"),
        target_dir=str(tmp_path / "target"),
        validation_share=0.0,
        load_px=20,
        crop_px=8,
    )
    data = PairedDataset(options, "training", seed=0)
    crops = [data[SampleKey(epoch, 0)] for epoch in range(12)]
    for sample in crops:
        np.testing.assert_array_equal(sample.source, sample.target)
    steps = {int(sample.source[0, 1, 0]) - int(sample.source[0, 0, 0]) for sample in crops}
    assert len({sample.source.tobytes() for sample in crops}) > 5
    assert {step % 256 for step in steps} == {3, 253}


def test_a_pair_of_two_sizes_and_an_odd_image_cannot_be_read(tmp_path: Path, save, monkeypatch) -> None:
    save(tmp_path / "a" / "1.png", 10, 10)
    save(tmp_path / "b" / "1.png", 12, 10)
    monkeypatch.setattr("gantools.data.folders.layout._check_sizes", lambda _: None)
    options = PairedData(dir=str(tmp_path), validation_share=0.0, load_px=8, crop_px=8)
    with pytest.raises(ImageError, match="different sizes, 10x10 and 12x10"):
        PairedDataset(options, "training", seed=0)[FIRST]
    save(tmp_path / "ab" / "1.png", 11, 5)
    monkeypatch.setattr("gantools.data.folders.layout._check_halves", lambda _, **__: None)
    odd = PairedData(dir=str(tmp_path / "ab"), layout="ab", validation_share=0.0, load_px=8, crop_px=8)
    with pytest.raises(ImageError, match="11 pixels wide"):
        PairedDataset(odd, "training", seed=0)[FIRST]


@pytest.mark.parametrize("edges_at", ["original", "resized"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_every_fit_gives_squares(tmp_path: Path, save, fit: str, edges_at: str) -> None:
    save(tmp_path / "1.png", 50, 31)
    options = PairedData(
        dir=str(tmp_path), validation_share=0.0, load_px=24, crop_px=24, fit=fit, edges=EdgeOptions(edges_at=edges_at)
    )
    sample = PairedDataset(options, "training", seed=0)[FIRST]
    assert sample.source.shape == sample.target.shape == (24, 24, 3)
    assert bool((sample.target[0] == 255).all()) is (fit == "pad")


def noise_photo(tmp_path: Path, width: int, height: int) -> np.ndarray:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    writer.write(Image(pixels), tmp_path / "1.png")
    return pixels


def test_a_crops_small_version_is_cut_from_the_whole_photos(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 90, 71)
    whole = resize.resize_bicubic(photo[:68, :88], scale=1 / 4)
    corners = set()
    for seed in range(20):
        low, high = degrade.crop_pair(photo, 4, 24, np.random.default_rng(seed))
        matches = [
            (y, x)
            for y in range(0, 68 - 23, 4)
            for x in range(0, 88 - 23, 4)
            if np.array_equal(photo[y : y + 24, x : x + 24], high)
        ]
        assert len(matches) == 1
        y, x = matches[0]
        np.testing.assert_array_equal(low, whole[y // 4 : y // 4 + 6, x // 4 : x // 4 + 6])
        corners.add((y, x))
    assert len(corners) > 10


def test_validation_is_the_whole_photo_in_whole_pixels(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 41, 30)
    options = ResolutionData(dir=str(tmp_path / "no"), validation_dir=str(tmp_path), crop_px=16)
    data = SuperResolutionDataset(options, "validation", seed=0)
    low, high, _ = data[FIRST]
    assert low.shape == (7, 10, 3)
    np.testing.assert_array_equal(high, photo[1:29, :40])
    np.testing.assert_array_equal(low, resize.resize_bicubic(high, scale=1 / 4))
    assert data.collate([data[FIRST]]).high.shape == (1, 28, 40, 3)


def test_all_eight_positions_occur_and_both_images_take_the_same(tmp_path: Path) -> None:
    photo = noise_photo(tmp_path, 16, 16)
    options = ResolutionData(dir=str(tmp_path), validation_share=0.0, crop_px=16)
    data = SuperResolutionDataset(options, "training", seed=0)
    seen = set()
    for epoch in range(80):
        low, high, _ = data[SampleKey(epoch, 0)]
        np.testing.assert_allclose(
            low.astype(int), resize.resize_bicubic(np.ascontiguousarray(high), scale=1 / 4), atol=1
        )
        seen.add(high.tobytes())
    assert len(seen) == 8
    assert photo.tobytes() in seen


@pytest.mark.parametrize(("width", "height"), [(5, 4), (4, 4), (40, 9), (17, 40)])
def test_photos_smaller_than_the_crop_are_mirrored(tmp_path: Path, width: int, height: int) -> None:
    noise_photo(tmp_path, width, height)
    options = ResolutionData(dir=str(tmp_path), validation_share=0.0, crop_px=16, downscale=(1.0, 0.5))
    low, high, _ = SuperResolutionDataset(options, "training", seed=0)[FIRST]
    assert low.shape == (4, 4, 3)
    assert high.shape == (16, 16, 3)


def test_small_versions_are_worn_in_training_only_and_their_originals_never(tmp_path: Path) -> None:
    noise_photo(tmp_path, 32, 32)
    clean = ResolutionData(dir=str(tmp_path), validation_share=0.0, crop_px=16)
    degraded = clean.model_copy(update={"degradations": (JpegOptions(quality=(30, 60)), NoiseOptions())})
    (low, high, _), (bad, same, _) = (
        SuperResolutionDataset(each, "training", seed=0)[FIRST] for each in (clean, degraded)
    )
    np.testing.assert_array_equal(high, same)
    assert bad.shape == low.shape
    assert np.abs(bad.astype(int) - low).max() > 8
    whole = [
        SuperResolutionDataset(each.model_copy(update={"validation_dir": str(tmp_path)}), "validation", seed=0)[
            FIRST
        ].low
        for each in (clean, degraded)
    ]
    np.testing.assert_array_equal(*whole)


def test_a_photo_of_less_than_one_small_pixel_cannot_be_used(tmp_path: Path) -> None:
    noise_photo(tmp_path, 9, 3)
    options = ResolutionData(dir=str(tmp_path), validation_share=0.0, crop_px=16)
    with pytest.raises(ImageError, match="9x3, too small to be shrunk 4 times"):
        SuperResolutionDataset(options, "training", seed=0)[FIRST]


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
    options = ResolutionData(dir=str(tmp_path), validation_share=0.0, crop_px=16, downscale=(1.0, 0.75, 0.5, 0.1))
    data = SuperResolutionDataset(options, "training", seed=0)
    for epoch in range(40):
        assert data[SampleKey(epoch, 0)].high.shape == (16, 16, 3)
    assert drawn == {0.75, 0.5}
