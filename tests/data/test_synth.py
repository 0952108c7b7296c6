"""Drawn data: from a seed, usable by the recipes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from gantools import recipes
from gantools.data.folders import layout
from gantools.data.synthetic import drawing, shoes
from gantools.images.io import reader


@pytest.mark.parametrize("kind", ["shoes", "fruit", "scenes"])
def test_images_vary_and_depend_on_kind_seed_and_index_alone(kind: drawing.Kind, tmp_path: Path) -> None:
    paths = drawing.draw_dataset(kind, tmp_path, 3, 32, 5)
    np.testing.assert_array_equal(reader.read_rgb8(paths[2]), drawing.draw_image(kind, 2, 32, 5))
    assert not np.array_equal(drawing.draw_image(kind, 2, 32, 5), drawing.draw_image(kind, 2, 32, 6))
    for size_px in (8, 64):
        images = np.stack([drawing.draw_image(kind, index, size_px, 1) for index in range(25)])
        assert images.shape == (25, size_px, size_px, 3)
        assert len({image.tobytes() for image in images}) == 25
        assert images.reshape(25, -1).std(axis=1).min() > 5


def test_shoes_stand_on_white_and_fill_the_width() -> None:
    for index in range(30):
        shoe = drawing.draw_image("shoes", index, 64, 2)
        assert (shoe[0] == 255).all()
        assert (shoe[:, 0] > 245).all()
        columns = np.flatnonzero((shoe < 200).any(axis=(0, 2)))
        assert columns[-1] - columns[0] > 0.75 * 64
        assert 0.08 < (shoe < 235).any(-1).mean() < 0.7


def test_fruit_are_two_domains_told_apart_by_colour(tmp_path: Path) -> None:
    paths = drawing.draw_dataset("fruit", tmp_path, 12, 32, 0, suffix=".jpg")
    a, b = (layout.all_images(side).items for side in layout.domain_folders(tmp_path))
    assert len(a) == len(b) == 12
    assert len(paths) == 24
    shares = []
    for side in (a, b):
        middle = np.stack([reader.read_rgb8(item.files[0])[12:24, 12:20] for item in side]).astype(float)
        red, green, blue = np.moveaxis(middle, -1, 0)
        shares.append(((red > 1.3 * green) & (green > 1.6 * blue)).mean())
    assert shares[1] > 0.4 > shares[0]


def test_scenes_are_richer_in_detail_than_shoes() -> None:
    def detail(kind: drawing.Kind) -> float:
        images = np.stack([drawing.draw_image(kind, index, 64, 3) for index in range(10)]).astype(float)
        return float(np.abs(np.diff(images, axis=2)).mean())

    assert detail("scenes") > 1.5 * detail("shoes")


def test_each_recipe_has_data_to_try() -> None:
    kinds = {name: recipes.find(name).drawings for name in recipes.names()}
    assert set(kinds.values()) == {"scenes", "shoes", "fruit", "digits", "captioned-shoes"}
    assert (kinds["pix2pix"], kinds["cyclegan"]) == ("shoes", "fruit")


def test_drawn_digits_lie_in_class_folders_and_differ(tmp_path: Path) -> None:
    drawing.draw_dataset("digits", tmp_path, 2, 28, 0)
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert folders == [str(digit) for digit in range(10)]
    images = [reader.read_rgb8(path) for path in sorted(tmp_path.rglob("*.png"))]
    assert len({image.tobytes() for image in images}) == 20
    assert all((image[..., 0] == image[..., 1]).all() and image[0, 0, 0] == 0 < image.max() for image in images)


def test_captions_say_what_was_drawn(tmp_path: Path) -> None:
    drawing.draw_dataset("captioned-shoes", tmp_path, 12, 64, 3)
    rows = list(csv.DictReader((tmp_path / "captions.csv").open()))
    assert [row["file"] for row in rows] == sorted(path.name for path in tmp_path.glob("*.png"))
    for row in rows:
        assert {row["kind"], row["main"], row["sole"], row["accent"]} <= set(row["caption"].replace(",", "").split())
        assert ("heel" in row["caption"]) == (row["heel"] == "True")
        pixels = reader.read_rgb8(tmp_path / row["file"]).reshape(-1, 3) / 255
        wanted = np.asarray(shoes.NAMED_COLOURS[row["main"]])
        assert np.abs(pixels - wanted).max(axis=1).min() < 0.12  # some of it is in the colour that the caption names
