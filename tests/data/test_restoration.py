"""Degradations: each does what it says, together they are the source's crappifier, the data set cuts pairs alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.restoration import RestorationDataset
from gantools.data.degrade import crappify as degrade
from gantools.data.degrade.crappify import Chance, crappify
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import PairedData, RestorationData
from gantools.data.options.degradations import (
    CRAPPIFY,
    GrayOptions,
    JpegOptions,
    LowResolutionOptions,
    MissingOptions,
    NoiseOptions,
    TextOptions,
)
from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import writer

FIRST = SampleKey(0, 0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chance(seed: int = 0, badness: float = 0.0) -> Chance:
    return Chance(rng(seed), badness)


def smooth(height: int = 60, width: int = 90) -> np.ndarray:
    """A photo without fine detail."""
    coarse = rng(3).integers(0, 200, (4, 6, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def flat(height: int = 60, width: int = 90, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    "degradation",
    [
        LowResolutionOptions(short_side_px=20),
        TextOptions(),
        JpegOptions(),
        GrayOptions(),
        NoiseOptions(),
        MissingOptions(),
    ],
    ids=lambda degradation: degradation.name,
)
def test_every_degradation_keeps_the_size_and_the_photo_itself(degradation: object) -> None:
    photo = smooth()
    before = photo.copy()
    photo.flags.writeable = False
    bad = crappify(photo, (degradation,), rng(1))
    assert (bad.shape, bad.dtype) == (photo.shape, photo.dtype)
    assert not np.array_equal(bad, photo)
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(bad, crappify(photo, (degradation,), rng(1)))


def test_low_resolution_is_pillows_bilinear_and_leaves_small_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image as PillowImage

    photo = rng().integers(0, 256, (40, 60, 3), np.uint8)
    small = degrade.low_resolution(photo, LowResolutionOptions(short_side_px=20), chance())
    expected = np.asarray(PillowImage.fromarray(photo).resize((30, 20), PillowImage.Resampling.BILINEAR))
    np.testing.assert_array_equal(small, expected)
    assert degrade.low_resolution(photo, LowResolutionOptions(short_side_px=40), chance()) is photo


@pytest.mark.parametrize(("way", "method"), [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC)])
def test_the_small_image_is_enlarged_after_what_follows(way: str, method: int) -> None:
    photo = rng().integers(0, 256, (40, 60, 3), np.uint8)
    low = LowResolutionOptions(short_side_px=20, enlarge=way)
    small = degrade.jpeg(degrade.low_resolution(photo, low, chance()), JpegOptions(quality=(30, 30)), chance())
    expected = cv2.resize(small, (60, 40), interpolation=method)
    np.testing.assert_array_equal(crappify(photo, (low, JpegOptions(quality=(30, 30))), rng()), expected)


def test_the_number_lies_in_the_upper_left_quadrant_and_is_white() -> None:
    corners = []
    for seed in range(40):
        written = degrade.text(flat(120, 200), TextOptions(height_px=10), chance(seed, 0.5))
        rows, columns = np.nonzero((written != 100).any(axis=2))
        corners.append((columns.min(), rows.min()))
        assert rows.max() - rows.min() + 1 == pytest.approx(10, abs=4)  # OpenCV 4 draws another font than 5, and softer
        assert written.max() > 200
        assert (np.ptp(written.astype(int), axis=2) == 0).all()
    assert max(column for column, _ in corners) <= 100 + 3
    assert max(row for _, row in corners) <= 60 + 3
    assert len(set(corners)) > 30


def test_the_number_is_the_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    written, used = [], []
    draw, encode = cv2.putText, cv2.imencode
    monkeypatch.setattr(
        cv2, "putText", lambda image, text, *rest: (written.append(int(text)), draw(image, text, *rest))[1]
    )
    monkeypatch.setattr(cv2, "imencode", lambda kind, image, how: (used.append(how[1]), encode(kind, image, how))[1])
    for seed in range(300):
        crappify(flat(20, 20), CRAPPIFY, rng(seed))
    assert written == used
    assert (min(used), max(used)) == (10, 70)


def test_jpeg_keeps_channels_and_is_worse_at_low_quality() -> None:
    photo = smooth()

    def error(quality: int) -> float:
        bad = degrade.jpeg(photo, JpegOptions(quality=(quality, quality)), chance())
        return float(np.abs(bad.astype(int) - photo).mean())

    assert error(95) < error(40) < error(5)
    assert error(95) < 2


def test_gray_is_the_brightness() -> None:
    photo = rng().integers(0, 256, (9, 9, 3), np.uint8)
    bad = degrade.gray(photo)
    np.testing.assert_array_equal(bad[..., 0], bad[..., 2])
    np.testing.assert_allclose(bad[..., 0], photo @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def test_noise_has_the_strength_it_says() -> None:
    bad = degrade.noise(flat(200, 200, 128), NoiseOptions(sigma=(12.0, 12.0)), chance())
    assert bad.std() == pytest.approx(12, rel=0.02)
    assert bad.mean() == pytest.approx(128, abs=0.1)


def test_missing_rectangles_have_their_sides_and_colour() -> None:
    options = MissingOptions(rectangles=(1, 1), side_share=(0.2, 0.4), color=(1, 2, 3))
    for seed in range(20):
        rows, columns = np.nonzero((degrade.missing(flat(100, 150), options, chance(seed)) == (1, 2, 3)).all(axis=2))
        for side in (np.ptp(rows) + 1, np.ptp(columns) + 1):
            assert 20 <= side <= 41
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_a_share_leaves_the_other_images_alone() -> None:
    bad = [crappify(smooth(), (GrayOptions(share=0.25),), rng(seed)) for seed in range(400)]
    assert np.mean([not np.array_equal(one, smooth()) for one in bad]) == pytest.approx(0.25, abs=0.06)


def photos(folder: Path, *sizes: tuple[int, int]) -> str:
    for number, (width, height) in enumerate(sizes):
        writer.write(Image(smooth(height, width)), folder / f"{number}.png")
    return str(folder)


def options(folder: Path, **values: object) -> RestorationData:
    wanted = {"degradations": (GrayOptions(),), "load_px": 32, "crop_px": 16, "validation_share": 0.0, **values}
    return RestorationData(dir=str(folder), **wanted)


def test_training_cuts_both_images_alike(tmp_path: Path) -> None:
    photos(tmp_path, (90, 60))
    data = RestorationDataset(options(tmp_path, largest_region_px=32), "training", seed=0)
    seen = set()
    for epoch in range(30):
        degraded, clean, name = data[SampleKey(epoch, 0)]
        assert degraded.shape == clean.shape == (16, 16, 3)
        np.testing.assert_allclose(degraded.astype(int), degrade.gray(np.ascontiguousarray(clean)), atol=2)
        seen.add(clean.tobytes())
    assert len(seen) == 30
    assert name == "0.png"
    assert data.describe() == "1 photos, degraded by gray"
    assert data.collate([data[FIRST], data[FIRST]]).degraded.shape == (2, 16, 16, 3)


@pytest.mark.parametrize(("size", "shape"), [((90, 60), (32, 48)), ((60, 90), (48, 32)), ((20, 10), (32, 64))])
def test_validation_is_the_middle_in_whole_crops_and_never_changes(tmp_path: Path, size, shape) -> None:
    photos(tmp_path, size)
    settings = options(tmp_path / "none", validation_dir=str(tmp_path), degradations=(NoiseOptions(),))
    data = RestorationDataset(settings, "validation", seed=1)
    degraded, clean, _ = data[FIRST]
    assert degraded.shape == clean.shape == (*shape, 3)
    np.testing.assert_array_equal(degraded, data[SampleKey(7, 0)].degraded)


def test_a_strip_cannot_be_used(tmp_path: Path) -> None:
    photos(tmp_path, (200, 10))
    with pytest.raises(ImageError, match="200x10, too oblong"):
        RestorationDataset(options(tmp_path), "training", seed=0)[FIRST]


def test_pairs_can_be_made_by_taking_the_colours_away(tmp_path: Path) -> None:
    photos(tmp_path, (40, 40))
    settings = PairedData(dir=str(tmp_path), validation_share=0.0, make="gray", load_px=24, crop_px=16)
    data = PairedDataset(settings, "training", seed=0)
    sample = data[FIRST]
    np.testing.assert_array_equal(sample.source, degrade.gray(np.ascontiguousarray(sample.target)))
    assert data.describe() == "1 photos, made gray"
