"""What is missing: never nothing, never too much, the same for the same random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantools.data.datasets.inpainting import InpaintingDataset
from gantools.data.degrade import masks
from gantools.data.loading.batches import to_network
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import MaskedData
from gantools.data.options.masks import CenterMask, FileMask, RandomBlockMask, RandomRegionMask
from gantools.errors import DataError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.images.ops.masks import mask_of, mean_filled, telea

RANDOM = [
    RandomBlockMask(),
    RandomBlockMask(max_share=0.1, max_side_share=0.3),
    RandomRegionMask(silhouette_share=0.0),
    RandomRegionMask(silhouette_share=1.0),
]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(options, seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return masks.draw(height, width, generator(seed), options)


@pytest.mark.parametrize("options", RANDOM, ids=lambda options: options.name)
@pytest.mark.parametrize("shape", [(128, 128), (96, 50), (9, 7), (2, 2)])
def test_random_masks_leave_enough_and_something_out(options, shape: tuple[int, int]) -> None:
    for seed in range(60):
        hole = drawn(options, seed, *shape)
        assert hole.shape == shape
        assert hole.dtype == np.bool_
        assert 0 < hole.sum() <= max(1, options.max_share * hole.size)


@pytest.mark.parametrize("options", RANDOM, ids=lambda options: options.name)
def test_masks_depend_on_the_random_numbers_alone(options) -> None:
    for seed in range(5):
        np.testing.assert_array_equal(drawn(options, seed), drawn(options, seed))
    assert len({drawn(options, seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("options", RANDOM, ids=lambda options: options.name)
def test_holes_are_everywhere_and_of_all_sizes(options) -> None:
    holes = np.stack([drawn(options, seed, 64, 64) for seed in range(400)])
    shares = holes.mean(axis=(1, 2))
    assert holes.mean(axis=0)[4:-4, 4:-4].min() > 0  # corners are rare
    assert shares.min() < 0.04
    assert shares.max() > 0.8 * options.max_share
    assert shares.mean() > 0.2 * options.max_share


def test_blocks_are_squares_that_may_overlap() -> None:
    single = drawn(RandomBlockMask(most_squares=1), 3)
    rows, columns = np.nonzero(single)
    assert np.ptp(rows) == np.ptp(columns)
    assert single.sum() == (np.ptp(rows) + 1) ** 2


def test_the_middle_is_half_the_side_without_the_overlap() -> None:
    hole = drawn(CenterMask(), 0, 128, 128)
    rows, columns = np.nonzero(hole)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (36, 91, 36, 91)  # 32 + 4 … 96 - 4, as the source
    assert hole.sum() == 56**2


def test_a_masked_image_has_the_mean_colour_in_its_hole() -> None:
    photo = np.full((64, 64, 3), 7, np.uint8)
    masked = masks.masked(photo, generator(), RandomBlockMask())
    hole = drawn(RandomBlockMask(), 0, 64, 64)
    np.testing.assert_array_equal(masked[hole], np.tile([117, 104, 123], (hole.sum(), 1)))
    np.testing.assert_array_equal(masked[~hole], 7)
    assert photo.max() == 7


def test_mean_colour_of_16_bits_is_the_same_colour() -> None:
    filled = mean_filled(np.zeros((1, 1, 3), np.uint16), np.ones((1, 1), np.bool_))
    assert filled[0, 0].tolist() == [117 * 257, 104 * 257, 123 * 257]


def test_telea_leaves_known_pixels_and_continues_them() -> None:
    photo = np.tile(np.linspace(0, 200, 40, dtype=np.uint8)[:, None, None], (1, 40, 3))
    hole = masks.center(40, 40, CenterMask())
    made = telea(mean_filled(photo, hole), hole)
    np.testing.assert_array_equal(made[~hole], photo[~hole])
    assert np.abs(made[hole].astype(int) - photo[hole]).max() < 25


def test_a_mask_image_is_white_where_something_is_missing() -> None:
    gray = np.repeat(np.array([[0, 127, 128, 255]], np.uint8)[..., None], 3, axis=2)
    assert mask_of(Image(gray)).tolist() == [[False, False, True, True]]
    assert mask_of(Image(gray.astype(np.uint16) * 257)).tolist() == [[False, False, True, True]]
    alpha = np.array([[255, 255, 255, 0]], np.uint8)
    assert mask_of(Image(gray, alpha)).tolist() == [[False, False, True, False]]


# --- the data set


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    for number, size in enumerate([(40, 30), (30, 50), (33, 33), (20, 10)]):
        save(tmp_path / "photos" / f"{number}.png", *size, seed=number)
    return tmp_path / "photos"


def data(photos: Path, split: str = "training", **given) -> InpaintingDataset:
    options = MaskedData(dir=str(photos), **{"load_px": 24, "crop_px": 16, "validation_share": 0.25, **given})
    return InpaintingDataset(options, split, seed=5)


def test_samples_are_photos_with_a_mask(photos: Path) -> None:
    training = data(photos, mask=RandomBlockMask())
    assert training.describe() == "3 photos, mask random_block"
    batch = training.collate([training[SampleKey(0, index)] for index in range(3)])
    assert batch.image.shape == (3, 16, 16, 3)
    assert batch.mask.shape == (3, 16, 16, 1)
    assert set(batch.mask.unique().tolist()) == {0, 255}
    ready = to_network(batch, "cpu")
    assert ready.missing.shape == (3, 1, 16, 16)
    assert set(ready.missing.unique().tolist()) == {0.0, 1.0}
    assert (ready.missing[:, 0] == (batch.mask[..., 0] == 255)).all()


def test_a_center_crop_is_the_sources(photos: Path) -> None:
    fixed = data(photos, crop="center", flip=False, load_px=16)
    np.testing.assert_array_equal(fixed[SampleKey(0, 0)].image, fixed[SampleKey(9, 0)].image)
    moving = data(photos, crop="random", flip=False)
    assert (moving[SampleKey(0, 0)].image != moving[SampleKey(9, 0)].image).any()


def test_zoom_shrinks_larger_crops(photos: Path) -> None:
    plain, zoomed = data(photos, flip=False), data(photos, flip=False, zoom=1.5)
    (photo,) = zoomed.load(0)
    keys = [SampleKey(epoch, 0) for epoch in range(12)]
    assert {zoomed[key].image.shape for key in keys} == {(16, 16, 3)}

    def is_cut(image: np.ndarray) -> bool:
        windows = np.lib.stride_tricks.sliding_window_view(photo, image.shape)[:, :, 0]
        return bool((windows == image).all(axis=(-3, -2, -1)).any())

    assert all(is_cut(plain[key].image) for key in keys)
    assert any(not is_cut(zoomed[key].image) for key in keys)


def own_mask(path: Path, shape: tuple[int, int], white: slice = np.s_[2:5]) -> str:
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[white] = 255
    path.parent.mkdir(exist_ok=True)
    writer.write(Image(pixels), path)
    return str(path)


def test_masks_of_the_users_own(photos: Path, tmp_path: Path) -> None:
    one = own_mask(tmp_path / "masks" / "a.png", (16, 16))
    own_mask(tmp_path / "masks" / "b.png", (16, 16), np.s_[8:])
    sample = data(photos, mask=FileMask(path=one))[SampleKey(0, 0)]
    assert np.flatnonzero(sample.mask[:, 0, 0]).tolist() == [2, 3, 4]
    several = data(photos, mask=FileMask(path=str(tmp_path / "masks")))
    assert {int((several[SampleKey(epoch, 0)].mask > 0).sum()) for epoch in range(20)} == {48, 128}


@pytest.mark.parametrize(
    ("shape", "white", "said"),
    [
        ((16, 20), np.s_[2:5], "is 20x16 but data.crop_px is 16; a mask has the size of the images"),
        ((16, 16), np.s_[:0], "leaves out nothing; white is missing"),
        ((16, 16), np.s_[:], "leaves out everything; white is missing"),
    ],
)
def test_unfit_masks_are_refused_in_one_line(photos: Path, tmp_path: Path, shape, white, said: str) -> None:
    path = own_mask(tmp_path / "mask.png", shape, white)
    with pytest.raises(DataError) as refused:
        data(photos, mask=FileMask(path=path))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_mask_that_may_be_inverted_gets_a_warning(photos: Path, tmp_path: Path) -> None:
    path = own_mask(tmp_path / "mask.png", (16, 16), np.s_[3:])
    with pytest.warns(UserWarning, match=r"mask\.png': the mask leaves out 81% of the image; is it inverted\?"):
        data(photos, mask=FileMask(path=path))


@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_mask_that_cannot_be_read_is_refused(photos: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mask.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.mask\.path: .*mask\.png"):
        data(photos, mask=FileMask(path=str(path)))
