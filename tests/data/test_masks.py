"""Masks: never nothing, never too much, the same for the same random numbers; photos with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gantools.checkpoint.learnt_scale import learnt_scale
from gantools.data.datasets.inpainting import InpaintingDataset
from gantools.data.degrade import masks
from gantools.data.loading.batches import to_network
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import MaskedData
from gantools.data.options.masks import (
    BorderMask,
    CenterMask,
    FileMask,
    MixedMask,
    RandomBlockMask,
    RandomRegionMask,
    RectanglesMask,
    ScratchesMask,
    TextMask,
)
from gantools.errors import DataError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.images.ops.masks import mask_of, mean_filled, navier_stokes, started, telea


def drawn(options, seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return masks.draw(height, width, np.random.default_rng(seed), options)


@pytest.mark.parametrize(
    "options",
    [
        RandomBlockMask(),
        RandomBlockMask(max_share=0.1, max_side_share=0.3),
        RandomRegionMask(silhouette_share=0.0),
        RandomRegionMask(silhouette_share=1.0),
        RectanglesMask(),
        ScratchesMask(most_scratches=40),
        TextMask(most_lines=12),
    ],
    ids=lambda options: options.name,
)
def test_random_masks_are_everywhere_of_all_sizes_and_leave_enough(options) -> None:
    for shape in ((128, 128), (96, 50), (9, 7), (2, 2)):
        for seed in range(60):
            mask = drawn(options, seed, *shape)
            assert (mask.shape, mask.dtype) == (shape, np.bool_)
            assert 0 < mask.sum() <= max(1, options.max_share * mask.size)
    many = np.stack([drawn(options, seed, 64, 64) for seed in range(400)])
    np.testing.assert_array_equal(many[7], drawn(options, 7, 64, 64))
    assert len({mask.tobytes() for mask in many[:20]}) == 20
    assert many.mean(axis=0)[4:-4, 4:-4].min() > 0  # corners are rare
    shares = many.mean(axis=(1, 2))
    assert shares.min() < 0.04
    assert shares.max() > 0.8 * options.max_share
    assert shares.mean() > 0.2 * options.max_share


@pytest.mark.parametrize("options", [BorderMask(), ScratchesMask(), TextMask(), MixedMask()], ids=lambda o: o.name)
def test_masks_are_the_same_for_a_seed_and_leave_enough_of_the_smallest_images(options) -> None:
    for shape in ((128, 96), (9, 7), (3, 40), (2, 2)):
        for seed in range(40):
            mask = drawn(options, seed, *shape)
            assert 0 < mask.sum() <= max(1, 0.25 * mask.size)
            np.testing.assert_array_equal(mask, drawn(options, seed, *shape))
    assert len({drawn(options, seed).tobytes() for seed in range(20)}) > 10


def test_scratches_are_thin_and_strips_lie_at_borders() -> None:
    for seed in range(40):
        thin = np.pad(drawn(ScratchesMask(most_scratches=1, max_width_px=3, most_turns=1), seed), 1).astype(np.uint8)
        assert cv2.distanceTransform(thin, cv2.DIST_L2, 5).max() <= 3
        strip = drawn(BorderMask(most_sides=1), seed)
        assert any(np.rot90(strip, turns)[0].all() for turns in range(4))
        assert not strip[30:-30, 40:-40].any()


def test_a_mixed_mask_is_of_any_of_its_kinds() -> None:
    kinds = (CenterMask(), RectanglesMask(most_rectangles=1))
    center = drawn(CenterMask(), 0)
    centers = sum(np.array_equal(drawn(MixedMask(masks=kinds), seed), center) for seed in range(60))
    assert 10 < centers < 50


def test_blocks_are_squares_and_the_center_is_half_the_side_without_the_overlap() -> None:
    single = drawn(RandomBlockMask(most_squares=1), 3)
    rows, columns = np.nonzero(single)
    assert np.ptp(rows) == np.ptp(columns)
    assert single.sum() == (np.ptp(rows) + 1) ** 2
    expected = np.zeros((128, 128), bool)
    expected[36:92, 36:92] = True  # 32 + 4 … 96 - 4, as the source
    np.testing.assert_array_equal(drawn(CenterMask(), 0, 128, 128), expected)


def test_a_masked_image_has_the_mean_colour_in_its_mask() -> None:
    photo = np.full((64, 64, 3), 7, np.uint8)
    masked = masks.masked(photo, np.random.default_rng(0), RandomBlockMask())
    mask = drawn(RandomBlockMask(), 0, 64, 64)
    np.testing.assert_array_equal(masked, np.where(mask[..., None], (117, 104, 123), 7))
    assert photo.max() == 7
    deep = mean_filled(np.zeros((1, 1, 3), np.uint16), np.ones((1, 1), np.bool_))
    assert deep[0, 0].tolist() == [117 * 257, 104 * 257, 123 * 257]


@pytest.mark.parametrize("fill", ["mean", "telea", "ns"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_start_leaves_known_pixels_and_does_not_see_what_is_missing(fill: Any, dtype: Any) -> None:
    unit = np.iinfo(dtype).max // 255
    photo = np.tile(np.linspace(0, 200 * unit, 40, dtype=dtype)[:, None, None], (1, 40, 3))
    mask = masks.center(40, 40, CenterMask())
    made = started(photo, mask, fill)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made[~mask], photo[~mask])
    np.testing.assert_array_equal(made, started(np.where(mask[..., None], dtype(0), photo), mask, fill))
    if fill != "mean":
        np.testing.assert_array_equal(made, {"telea": telea, "ns": navier_stokes}[fill](photo, mask))
        assert np.abs(made[mask].astype(int) - photo[mask]).max() < 25 * unit


@pytest.mark.parametrize("fill", ["mean", "telea", "ns"])
def test_a_loader_shows_the_start_and_weights_say_which(tmp_path: Path, fill: Any) -> None:
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        writer.write(Image(pixels), tmp_path / f"{number}.png")
    options = MaskedData(dir=str(tmp_path), load_px=40, crop_px=32, fill=fill, mask=RandomBlockMask())
    sample = InpaintingDataset(options, split="training", seed=0)[SampleKey(0, 0)]
    np.testing.assert_array_equal(sample.shown, started(sample.image, sample.mask[..., 0] > 0, fill))
    assert learnt_scale(options.model_dump())["fill"] == fill


def test_a_mask_image_is_white_and_opaque_where_something_is_missing() -> None:
    gray = np.repeat(np.array([[0, 127, 128, 255]], np.uint8)[..., None], 3, axis=2)
    assert mask_of(Image(gray)).tolist() == [[False, False, True, True]]
    assert mask_of(Image(gray.astype(np.uint16) * 257)).tolist() == [[False, False, True, True]]
    alpha = np.array([[255, 255, 255, 0]], np.uint8)
    assert mask_of(Image(gray, alpha)).tolist() == [[False, False, True, False]]


# The data set


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    for number, size in enumerate([(40, 30), (30, 50), (33, 33), (20, 10)]):
        save(tmp_path / "photos" / f"{number}.png", *size, seed=number)
    return tmp_path / "photos"


def opened(photos: Path, **given) -> InpaintingDataset:
    options = MaskedData(dir=str(photos), **{"load_px": 24, "crop_px": 16, "validation_share": 0.25, **given})
    return InpaintingDataset(options, "training", seed=5)


def test_samples_are_photos_with_a_mask(photos: Path) -> None:
    training = opened(photos, mask=RandomBlockMask())
    assert training.describe() == "3 photos, mask random_block"
    batch = training.collate([training[SampleKey(0, index)] for index in range(3)])
    assert (batch.image.shape, batch.mask.shape) == ((3, 16, 16, 3), (3, 16, 16, 1))
    assert set(batch.mask.unique().tolist()) == {0, 255}
    missing = to_network(batch, "cpu").missing
    assert missing.shape == (3, 1, 16, 16)
    assert set(missing.unique().tolist()) == {0.0, 1.0}
    assert (missing[:, 0] == (batch.mask[..., 0] == 255)).all()


def test_crops_are_central_or_random_and_shrunk_by_zoom(photos: Path) -> None:
    fixed, moving, zoomed = (
        opened(photos, flip=False, **given)
        for given in ({"crop": "center", "load_px": 16}, {"crop": "random"}, {"zoom": 1.5})
    )
    (photo,) = zoomed.load(0)
    windows = np.lib.stride_tricks.sliding_window_view(photo, (16, 16, 3))[:, :, 0]

    def crops(data: InpaintingDataset) -> list[np.ndarray]:
        return [data[SampleKey(epoch, 0)].image for epoch in range(12)]

    def cut(crop: np.ndarray) -> bool:
        return bool((windows == crop).all(axis=(-3, -2, -1)).any())

    assert len({crop.tobytes() for crop in crops(fixed)}) == 1
    assert len({crop.tobytes() for crop in crops(moving)}) > 1
    assert all(cut(crop) for crop in crops(moving))
    assert not all(cut(crop) for crop in crops(zoomed))
    assert {crop.shape for crop in crops(zoomed)} == {(16, 16, 3)}


def own_mask(path: Path, white: slice = np.s_[2:5], width: int = 16) -> str:
    pixels = np.zeros((16, width, 3), np.uint8)
    pixels[white] = 255
    path.parent.mkdir(exist_ok=True)
    writer.write(Image(pixels), path)
    return str(path)


def test_masks_of_the_users_own(photos: Path, tmp_path: Path) -> None:
    one = own_mask(tmp_path / "masks" / "a.png")
    own_mask(tmp_path / "masks" / "b.png", np.s_[8:])
    sample = opened(photos, mask=FileMask(path=one))[SampleKey(0, 0)]
    assert np.flatnonzero(sample.mask[:, 0, 0]).tolist() == [2, 3, 4]
    several = opened(photos, mask=FileMask(path=str(tmp_path / "masks")))
    assert {int((several[SampleKey(epoch, 0)].mask > 0).sum()) for epoch in range(20)} == {48, 128}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda path: own_mask(path, width=20), "is 20x16 but data.crop_px is 16; a mask has the size of the images"),
        (lambda path: own_mask(path, np.s_[:0]), "leaves out nothing; white is missing"),
        (lambda path: own_mask(path, np.s_[:]), "leaves out everything; white is missing"),
        (lambda path: path.write_bytes(b"no image"), "not a PNG"),
        (lambda path: None, "does not exist"),
    ],
)
def test_masks_that_cannot_be_used_are_refused_in_one_line(photos: Path, tmp_path: Path, made, message: str) -> None:
    made(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"data\.mask\.path: .*mask\.png") as refused:
        opened(photos, mask=FileMask(path=str(tmp_path / "mask.png")))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_mask_that_may_be_inverted_gets_a_warning(photos: Path, tmp_path: Path) -> None:
    path = own_mask(tmp_path / "mask.png", np.s_[3:])
    with pytest.warns(UserWarning, match=r"mask\.png': the mask leaves out 81% of the image; is it inverted\?"):
        opened(photos, mask=FileMask(path=path))
