"""``gantools mix``: which rows are coarse, middle and fine, and what a mixture is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gantools import api
from gantools.errors import UsageError
from gantools.generation import style_files, style_rows
from gantools.generation.mix import mixed
from gantools.generation.model import LatentModel
from gantools.images import ranges
from gantools.images.io import reader
from gantools.models.latent.style import StyleGenerator

SETS = {
    8: "coarse 0-1, fine 2-3",
    16: "coarse 0-1, fine 2-5",
    32: "coarse 0-1, middle 2-3, fine 4-7",
    64: "coarse 0-3, middle 4-5, fine 6-9",
    128: "coarse 0-3, middle 4-7, fine 8-11",
    256: "coarse 0-3, middle 4-7, fine 8-13",
    512: "coarse 0-3, middle 4-7, fine 8-15",
    1024: "coarse 0-3, middle 4-7, fine 8-17",
}


@pytest.mark.parametrize(("image_px", "said"), SETS.items())
def test_rows_are_divided_by_size(image_px: int, said: str) -> None:
    rows = StyleGenerator(latent_size=1, style_size=1, image_px=image_px, channel_base=1, mapping_layers=1).rows
    assert style_rows.described(rows) == said
    assert sorted(sum(style_rows.named(rows).values(), ())) == list(range(rows))
    assert style_rows.side_of(rows - 1) == image_px


def test_rows_are_read_as_typed() -> None:
    assert style_rows.parse("0-3,8", 18) == (0, 1, 2, 3, 8)
    assert style_rows.parse("coarse, fine", 10) == (0, 1, 2, 3, 6, 7, 8, 9)
    assert style_rows.parse("all", 4) == (0, 1, 2, 3)
    assert style_rows.ranges((0, 1, 2, 3, 8, 10, 11)) == "0-3,8,10-11"
    for wrong, reason in {
        "4-9": "the model has the rows 0-7",
        "middling": "none of coarse",
        "3-1": "goes backwards; write 1-3",
    }.items():
        with pytest.raises(UsageError, match=reason):
            style_rows.parse(wrong, 8)
    with pytest.raises(UsageError, match="coarse 0-1, fine 2-5"):
        style_rows.parse("middle", 6)


def by_hand(model: LatentModel, a: str, b: str, rows: list[int]) -> np.ndarray:
    """The image of a with rows of b, without the code under test."""
    network = model.network
    seeds = [int(each.removeprefix("seed:")) for each in (a, b)]
    latents = np.stack([np.random.RandomState(seed).randn(8) for seed in seeds]).astype(np.float32)
    with torch.no_grad():
        first, second = network.mapping(torch.from_numpy(latents))  # type: ignore[operator]
        styles = torch.stack([second if row in rows else first for row in range(6)])[None]
        return ranges.from_tensor(network.synthesis(styles)[0])  # type: ignore[operator]


def test_mixture_has_rows_of_the_other_image(style_model: LatentModel, styles_weights: Path, tmp_path: Path) -> None:
    (result,) = api.mix(styles_weights, ["seed:85", "seed:100"], rows="2-3", output=tmp_path / "m.png")
    assert result.status == "done", result.error
    shown = reader.read_rgb8(tmp_path / "m.png")
    assert np.array_equal(shown, by_hand(style_model, "seed:85", "seed:100", [2, 3]))
    assert not np.array_equal(shown, by_hand(style_model, "seed:85", "seed:100", [2]))


def test_both_directions_share_what_they_mix(style_model: LatentModel, styles_weights: Path, tmp_path: Path) -> None:
    results = list(api.mix(styles_weights, ["seed:1", "seed:2"], rows="coarse", both=True, output=tmp_path / "o"))
    names = [result.output.name for result in results if result.output]
    assert names == ["seed0001-coarse-of-seed0002.png", "seed0002-coarse-of-seed0001.png"]
    shown = [reader.read_rgb8(tmp_path / "o" / name) for name in names]
    assert np.array_equal(shown[0], by_hand(style_model, "seed:1", "seed:2", [0, 1]))
    assert np.array_equal(shown[1], by_hand(style_model, "seed:2", "seed:1", [0, 1]))


def test_each_row_is_the_other_images_and_noise_stays(style_model: LatentModel, tmp_path: Path) -> None:
    planes = [np.ones(shape, np.float32) for shape in style_model.network.synthesis.noise_shapes]  # type: ignore[union-attr]
    own = np.arange(48, dtype=np.float32).reshape(6, 8)
    style_files.write(tmp_path / "a.npz", own[None], planes)
    a, b = (style_files.sample_of(style_model, each) for each in (str(tmp_path / "a.npz"), "seed:3"))
    assert all(np.array_equal(kept, plane) for kept, plane in zip(mixed(a, b, [1]).planes, planes, strict=True))
    other = mixed(b, a, [1, 3])
    assert not other.planes
    assert other.styles is not None
    assert np.array_equal(other.styles[[1, 3]], own[[1, 3]])


def test_sheet_shows_sources_at_its_edges(style_model: LatentModel, styles_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    (result,) = api.mix(styles_weights, row_images="1,2", column_images="5-7", rows="fine", output=path)
    assert result.output_size == (4 * 20 + 4, 3 * 20 + 4)
    sheet = reader.read_rgb8(path)

    def tile(row: int, column: int) -> np.ndarray:
        return sheet[4 + 20 * row :][:16, 4 + 20 * column :][:, :16]

    assert (tile(0, 0) == 255).all()
    assert np.array_equal(tile(0, 2), by_hand(style_model, "seed:6", "seed:6", []))
    assert np.array_equal(tile(2, 0), by_hand(style_model, "seed:2", "seed:2", []))
    assert np.array_equal(tile(2, 2), by_hand(style_model, "seed:2", "seed:6", [2, 3, 4, 5]))
