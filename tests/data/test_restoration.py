"""Degradations: each does what it says, together they are the source's crappifier, the data set cuts pairs alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.restoration import RestorationDataset
from gantools.data.degrade import crappify as degrade
from gantools.data.degrade import real
from gantools.data.degrade.chain import degrade as degraded
from gantools.data.degrade.crappify import Chance
from gantools.data.loading.sampler import SampleKey
from gantools.data.options import degradations as options
from gantools.data.options.datasets import PairedData, RestorationData
from gantools.errors import ImageError
from gantools.images.image import Image
from gantools.images.io import writer

FIRST = SampleKey(0, 0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chance(seed: int = 0, badness: float = 0.0) -> Chance:
    return Chance(rng(seed), badness)


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return rng().integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int = 60, width: int = 90) -> np.ndarray:
    """A photo without fine detail."""
    coarse = rng(3).integers(0, 200, (4, 6, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def flat(height: int, width: int, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    "degradation",
    [
        options.LowResolutionOptions(short_side_px=20),
        options.TextOptions(),
        options.JpegOptions(),
        options.GrayOptions(),
        options.NoiseOptions(),
        options.MissingOptions(),
        options.WebpOptions(quality=(10, 10)),
        options.PoissonOptions(),
        options.GaussianBlurOptions(sigma_px=(2, 3)),
        options.SincOptions(cutoff=(0.2, 0.3)),
        options.CameraBlurOptions(),
        options.ResizeOptions(factor=(0.2, 0.4), weights=(0, 1, 0)),
        options.OneOfOptions(of=((options.GrayOptions(),), (options.NoiseOptions(),))),
    ],
    ids=lambda degradation: degradation.name,
)
def test_every_degradation_keeps_the_size_and_the_photo_itself(degradation) -> None:
    photo = smooth()
    photo.flags.writeable = False
    bad = degraded(photo, (degradation,), rng(1))
    assert (bad.shape, bad.dtype) == (photo.shape, photo.dtype)
    assert not np.array_equal(bad, photo)
    np.testing.assert_array_equal(photo, smooth())
    np.testing.assert_array_equal(bad, degraded(photo, (degradation,), rng(1)))


def test_a_sinc_keeps_what_is_below_its_frequency_and_removes_what_is_above() -> None:
    waves = {period: np.cos(2 * np.pi * np.arange(128) / period) for period in (4, 16)}
    kernel = real.sinc_kernel(np.pi / 4, 41)  # keeps periods above 8 px
    assert kernel.sum() == pytest.approx(1)
    for period, least, most in ((4, 0, 0.05), (16, 0.9, 1.1)):
        photo = np.tile(waves[period], (128, 1)).astype(np.float32)
        left = cv2.filter2D(photo, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        assert least <= np.abs(left[40:-40, 40:-40]).max() <= most


def test_counted_light_is_noisier_where_it_is_brighter() -> None:
    once = options.PoissonOptions(strength=(1, 1))
    for value in (64, 128, 180):
        spread = real.poisson(flat(200, 200, value), once, chance()).astype(float).std()
        assert spread == pytest.approx(np.sqrt(value * 255 / 256), rel=0.06)
    gray = real.poisson(flat(20, 20), options.PoissonOptions(strength=(2, 2), gray_share=1), chance())
    assert np.ptp(gray, axis=2).max() == 0 < np.ptp(gray)


def test_gray_noise_is_the_same_in_all_channels() -> None:
    bad = degraded(flat(20, 20), (options.NoiseOptions(gray_share=1.0),), rng())
    assert np.ptp(bad, axis=2).max() == 0 < np.ptp(bad)


def test_kernels_stretch_in_the_share_that_is_given() -> None:
    dot = flat(41, 41, 0)
    dot[20, 20] = 255
    for share, wanted in ((0.0, 0), (1.0, 30)):
        shapes = options.GaussianBlurOptions(sigma_px=(1, 4), side_px=(21, 21), stretched_share=share)
        stretched = 0
        for seed in range(30):
            spot = real.gaussian_blur(dot, shapes, chance(seed))[..., 0].astype(float)
            y, x = np.mgrid[-20:21, -20:21]
            widths = np.linalg.eigvalsh([[(spot * a * b).sum() for a in (x, y)] for b in (x, y)])
            stretched += bool(widths[1] > 1.15 * widths[0])
        assert abs(stretched - wanted) <= 5


def test_one_of_the_lists_is_done_as_often_as_its_weight_says() -> None:
    choice = options.OneOfOptions(of=((options.GrayOptions(),), ()), weights=(1, 3))
    photo = smooth(20, 20)
    gray = [not np.array_equal(degraded(photo, (choice,), rng(seed)), photo) for seed in range(400)]
    assert np.mean(gray) == pytest.approx(0.25, abs=0.07)


def test_two_compressions_are_drawn_apart_unless_a_number_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(degrade, "encoded", lambda photo, _suffix, _setting, quality: drawn.append(quality) or photo)
    twice = (options.JpegOptions(quality=(1, 100)), options.JpegOptions(quality=(1, 100)))
    for seed in range(10):
        degraded(smooth(), twice, rng(seed))
        degraded(smooth(), (options.TextOptions(), *twice), rng(seed))
    pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
    assert sum(one != other for one, other in pairs[::2]) >= 8
    assert all(one == other for one, other in pairs[1::2])


def test_degraded_photos_get_the_wanted_size_at_once_or_at_the_end() -> None:
    photo = smooth(64, 96)
    small = degraded(photo, (options.InputSizeOptions(), options.JpegOptions(quality=(95, 95))), rng(), (16, 24))
    late = degraded(photo, (options.ResizeOptions(factor=(2, 2), weights=(1, 0, 0), of="input"),), rng(), (16, 24))
    for bad in (small, late):
        assert bad.shape == (16, 24, 3)
        assert np.abs(bad.astype(int) - cv2.resize(photo, (24, 16), interpolation=cv2.INTER_AREA)).mean() < 8


@pytest.mark.parametrize(("way", "method"), [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC)])
def test_low_resolution_is_pillows_bilinear_enlarged_after_what_follows(way: str, method: int) -> None:
    photo, thirty = noise(), options.JpegOptions(quality=(30, 30))
    low = options.LowResolutionOptions(short_side_px=20, enlarge=way)
    small = degrade.low_resolution(photo, low, chance())
    expected = np.asarray(PillowImage.fromarray(photo).resize((30, 20), PillowImage.Resampling.BILINEAR))
    np.testing.assert_array_equal(small, expected)
    expected = cv2.resize(degrade.jpeg(small, thirty, chance()), (60, 40), interpolation=method)
    np.testing.assert_array_equal(degraded(photo, (low, thirty), rng()), expected)
    assert degrade.low_resolution(photo, options.LowResolutionOptions(short_side_px=40), chance()) is photo


def test_the_number_lies_in_the_upper_left_quadrant_and_is_white() -> None:
    corners = []
    for seed in range(40):
        written = degrade.text(flat(120, 200), options.TextOptions(height_px=10), chance(seed, 0.5))
        rows, columns = np.nonzero((written != 100).any(axis=2))
        corners.append((columns.min(), rows.min()))
        assert rows.max() - rows.min() + 1 == pytest.approx(10, abs=4)  # OpenCV 4 draws another font than 5, and softer
        assert written.max() > 200
        assert (np.ptp(written.astype(int), axis=2) == 0).all()
    assert max(column for column, _ in corners) <= 100 + 3
    assert max(row for _, row in corners) <= 60 + 3
    assert len(set(corners)) > 30


def test_a_number_is_written_as_often_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(cv2, "putText", lambda _image, text, place, *_: written.append((text, place)))
    counts = set()
    for seed in range(40):
        degrade.text(flat(120, 200), options.TextOptions(count=(2, 3)), chance(seed, 0.5))
        counts.add(len(written))
        assert len({text for text, _ in written}) == 1
        assert len({place for _, place in written}) == len(written)
        written.clear()
    assert counts == {2, 3}


def test_the_number_is_the_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    written, used = [], []
    draw, encode = cv2.putText, cv2.imencode
    monkeypatch.setattr(
        cv2, "putText", lambda image, text, *rest: (written.append(int(text)), draw(image, text, *rest))
    )
    monkeypatch.setattr(cv2, "imencode", lambda kind, image, how: (used.append(how[1]), encode(kind, image, how))[1])
    for seed in range(300):
        degraded(flat(20, 20), options.CRAPPIFY, rng(seed))
    assert written == used
    assert (min(used), max(used)) == (10, 70)


def test_jpeg_is_worse_at_low_quality() -> None:
    errors = []
    for quality in (95, 40, 5):
        bad = degrade.jpeg(smooth(), options.JpegOptions(quality=(quality, quality)), chance())
        errors.append(np.abs(bad.astype(int) - smooth()).mean())
    assert errors == sorted(errors)
    assert errors[0] < 2


def test_gray_is_the_brightness() -> None:
    bad = degrade.gray(noise())
    np.testing.assert_array_equal(bad[..., 0], bad[..., 2])
    np.testing.assert_allclose(bad[..., 0], noise() @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def test_noise_has_the_strength_it_says() -> None:
    bad = degrade.noise(flat(200, 200, 128), options.NoiseOptions(sigma=(12.0, 12.0)), chance())
    assert bad.std() == pytest.approx(12, rel=0.02)
    assert bad.mean() == pytest.approx(128, abs=0.1)


def test_missing_rectangles_have_their_sides_and_colour() -> None:
    one = options.MissingOptions(rectangles=(1, 1), side_share=(0.2, 0.4), color=(1, 2, 3))
    for seed in range(20):
        rows, columns = np.nonzero((degrade.missing(flat(100, 150), one, chance(seed)) == (1, 2, 3)).all(axis=2))
        sides = [np.ptp(rows) + 1, np.ptp(columns) + 1]
        assert all(20 <= side <= 41 for side in sides)
        assert len(rows) == sides[0] * sides[1]


def test_a_share_leaves_the_other_images_alone() -> None:
    bad = [degraded(smooth(), (options.GrayOptions(share=0.25),), rng(seed)) for seed in range(400)]
    assert np.mean([not np.array_equal(one, smooth()) for one in bad]) == pytest.approx(0.25, abs=0.06)


# The data set


def opened(folder: Path, width: int, height: int, split: str = "training", **given: object) -> RestorationDataset:
    """One photo of a size."""
    writer.write(Image(smooth(height, width)), folder / "0.png")
    given = {"dir": str(folder), "degradations": (options.GrayOptions(),), "validation_share": 0.0, **given}
    return RestorationDataset(RestorationData(load_px=32, crop_px=16, **given), split, seed=0)


def test_training_cuts_both_images_alike(tmp_path: Path) -> None:
    data = opened(tmp_path, 90, 60, largest_region_px=32)
    seen = set()
    for epoch in range(30):
        degraded, clean, name = data[SampleKey(epoch, 0)]
        assert degraded.shape == clean.shape == (16, 16, 3)
        np.testing.assert_allclose(degraded.astype(int), degrade.gray(np.ascontiguousarray(clean)), atol=2)
        seen.add(clean.tobytes())
    assert len(seen) >= 27
    assert name == "0.png"
    assert data.describe() == "1 photos, degraded by gray"


@pytest.mark.parametrize(("rotate", "positions"), [(False, 2), (True, 8)])
def test_whole_photos_occur_in_all_positions_where_they_may_be_turned(tmp_path: Path, rotate, positions) -> None:
    writer.write(Image(noise(16, 16)), tmp_path / "0.png")
    given = {"degradations": (options.GrayOptions(),), "load_px": 16, "crop_px": 16, "validation_share": 0.0}
    data = RestorationDataset(RestorationData(dir=str(tmp_path), rotate=rotate, **given), "training", seed=0)
    assert len({data[SampleKey(epoch, 0)].clean.tobytes() for epoch in range(60)}) == positions


def test_a_part_is_degraded_as_the_whole_would_be(tmp_path: Path) -> None:
    blur = options.GaussianBlurOptions(
        sigma_px=(1.5, 1.5), stretched_share=0, generalized_share=0, plateau_share=0, side_px=(21, 21)
    )
    writer.write(Image(noise(300, 400)), tmp_path / "0.png")
    data = RestorationDataset(
        RestorationData(dir=str(tmp_path), degradations=(blur,), load_px=300, crop_px=32, validation_share=0.0),
        "training",
        seed=0,
    )
    whole = degraded(noise(300, 400), (blur,), rng())
    for epoch in range(8):
        bad, clean, _ = data[SampleKey(epoch, 0)]
        found = cv2.matchTemplate(noise(300, 400), np.ascontiguousarray(clean), cv2.TM_SQDIFF)
        mirrored = cv2.matchTemplate(noise(300, 400), np.ascontiguousarray(clean[:, ::-1]), cv2.TM_SQDIFF)
        if mirrored.min() < found.min():
            bad, found = bad[:, ::-1], mirrored
        y, x = np.unravel_index(found.argmin(), found.shape)
        assert np.abs(bad.astype(int) - whole[y : y + 32, x : x + 32]).max() <= 2


def test_photos_are_shrunk_by_one_of_the_factors_before_they_are_degraded(tmp_path: Path) -> None:
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 8), (128, 8))[..., None].repeat(3, axis=2)
    writer.write(Image(np.ascontiguousarray(stripes)), tmp_path / "0.png")
    data = RestorationDataset(
        RestorationData(
            dir=str(tmp_path), degradations=(options.GrayOptions(),), load_px=128, crop_px=32, downscale=(1.0, 0.5),
            validation_share=0.0,
        ),
        "training",
        seed=0,
    )  # fmt: skip
    widths = set()
    for epoch in range(16):
        row = data[SampleKey(epoch, 0)].clean[0, :, 0] > 127
        widths.add(int(np.diff(np.flatnonzero(np.diff(row.astype(int)))).min()))
    assert widths == {4, 8}


@pytest.mark.parametrize(("size", "shape"), [((90, 60), (32, 48)), ((60, 90), (48, 32)), ((20, 10), (32, 64))])
def test_validation_is_the_middle_in_whole_crops(tmp_path: Path, size, shape) -> None:
    data = opened(tmp_path, *size, "validation", dir=str(tmp_path / "none"), validation_dir=str(tmp_path))
    assert data[FIRST].degraded.shape == data[FIRST].clean.shape == (*shape, 3)


def test_a_strip_cannot_be_used(tmp_path: Path) -> None:
    data = opened(tmp_path, 200, 10)
    with pytest.raises(ImageError, match="200x10, too oblong"):
        data[FIRST]


def test_pairs_can_be_made_by_taking_the_colours_away(tmp_path: Path) -> None:
    writer.write(Image(smooth(40, 40)), tmp_path / "0.png")
    settings = PairedData(dir=str(tmp_path), validation_share=0.0, make="gray", load_px=24, crop_px=16)
    data = PairedDataset(settings, "training", seed=0)
    sample = data[FIRST]
    np.testing.assert_array_equal(sample.source, degrade.gray(np.ascontiguousarray(sample.target)))
    assert data.describe() == "1 photos, made gray"
