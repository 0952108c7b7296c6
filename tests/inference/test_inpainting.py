"""Holes: known pixels come back as they were, whatever the size, depth and kind; nothing of the hole's own is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gantools import infer
from gantools.checkpoint import weights
from gantools.errors import ModelFileError, UsageError
from gantools.images.image import Image, Metadata
from gantools.images.io import reader, writer
from gantools.images.ops.masks import mean_filled
from gantools.inference import inpainting
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model, open_model
from gantools.inference.options import InferOptions
from gantools.inference.tiling import forward
from gantools.models import GENERATORS
from gantools.models.options import CompactSROptions, ContextEncoderOptions, GeneratorOptions
from gantools.training.recipe import describe_generator

SIDE_PX = 32
CENTER = ContextEncoderOptions(region="center", overlap_px=2, downs=3, base_channels=4, bottleneck_channels=8)
FULL = ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8)
CENTER_PX = SIDE_PX // 2 - 2 * 2
SIZES = ((32, 32), (17, 33), (100, 61), (14, 200))


def saved(path: Path, options: GeneratorOptions, **changed: Any) -> Path:
    torch.manual_seed(0)
    network = GENERATORS.build(options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
    export = replace(describe_generator("generator", network, options, SIDE_PX), takes="masked", **changed)
    weights.save(path, "context_encoder", {"generator": export}, {"generator": network}, {})
    return path


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights") / "center.safetensors", CENTER)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights") / "full.safetensors", FULL)


def opened(path: Path) -> Model:
    return open_model(path, export=None, device=torch.device("cpu"))


def samples(width: int, height: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, 3), dtype)


def square_hole(width: int, height: int, side_px: int, top: int = 2, left: int = 3) -> np.ndarray:
    hole = np.zeros((height, width), np.bool_)
    hole[top : top + side_px, left : left + side_px] = True
    return hole


def saved_mask(path: Path, hole: np.ndarray) -> str:
    writer.write(Image(np.repeat(hole[..., None] * np.uint8(255), 3, axis=2), gray=True), path)
    return str(path)


def filled(model: Path, source: Path, output: Path, **settings: Any) -> Image:
    (result,) = infer(model, source, InferOptions(**settings), output=output, device="cpu")
    assert (result.status, result.error) == ("done", None)
    return reader.read(output)


# --- known pixels


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("region", ["center", "full"])
def test_known_pixels_are_identical_at_any_size(request, tmp_path, region: str, size, bits: int) -> None:
    before, hole = samples(*size, bits), square_hole(*size, 9)
    writer.write(Image(before), tmp_path / "in.png")
    mask = saved_mask(tmp_path / "mask.png", hole)
    after = filled(request.getfixturevalue(region), tmp_path / "in.png", tmp_path / "out.png", mask=mask).pixels
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).mean() > 0.9


@pytest.mark.parametrize("region", ["center", "full"])
@pytest.mark.parametrize("size", SIZES)
def test_the_middle_needs_no_mask_file(request, tmp_path, region: str, size) -> None:
    before = samples(*size)
    writer.write(Image(before), tmp_path / "in.png")
    after = filled(request.getfixturevalue(region), tmp_path / "in.png", tmp_path / "out.png", mask="center").pixels
    rows, columns = np.nonzero((after != before).any(axis=2))
    most_px = CENTER_PX if region == "center" else SIDE_PX // 2
    side_px = min(most_px, min(size) // 2)
    top, left = (size[1] - side_px) // 2, (size[0] - side_px) // 2
    assert (rows.min(), rows.max() + 1) == (top, top + side_px)
    assert (columns.min(), columns.max() + 1) == (left, left + side_px)


@pytest.mark.parametrize("region", ["center", "full"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_erased_to_alpha_is_filled_and_opaque(request, tmp_path, region: str, bits: int) -> None:
    before, hole = samples(40, 30, bits), square_hole(40, 30, 8)
    most = np.iinfo(before.dtype).max
    alpha = np.full((30, 40), most, before.dtype)
    alpha[hole], alpha[2, 3:11] = 0, most // 2  # half erased at the edge is erased too
    writer.write(Image(before, alpha), tmp_path / "in.png")
    after = filled(request.getfixturevalue(region), tmp_path / "in.png", tmp_path / "out.png")
    assert after.alpha is None
    np.testing.assert_array_equal(after.pixels[~hole], before[~hole])
    assert (after.pixels[hole] != before[hole]).any()


def test_gray_stays_gray_and_alpha_and_metadata_stay(full: Path, tmp_path: Path) -> None:
    before = np.repeat(samples(40, 30)[..., :1], 3, axis=2)
    alpha = samples(40, 30, seed=1)[..., 0]
    kept = Metadata(dpi=(300.0, 300.0))
    writer.write(Image(before, alpha, gray=True, metadata=kept), tmp_path / "in.png")
    hole = square_hole(40, 30, 10)
    mask = saved_mask(tmp_path / "mask.png", hole)
    after = filled(full, tmp_path / "in.png", tmp_path / "out.png", mask=mask)
    assert after.gray
    np.testing.assert_array_equal(after.alpha, alpha)
    np.testing.assert_array_equal(after.pixels[~hole], before[~hole])
    assert after.metadata.dpi == pytest.approx((300, 300), abs=0.1)


# --- what the network sees


@pytest.mark.parametrize("region", ["center", "full"])
@pytest.mark.parametrize("side_px", [9, 12])
def test_nothing_of_the_holes_own_pixels_is_seen(request, region: str, side_px: int) -> None:
    model, hole = opened(request.getfixturevalue(region)), square_hole(60, 50, side_px, 20, 7)
    made = []
    for secret in (0, 255):
        pixels = samples(60, 50)
        pixels[hole] = secret
        made.append(ImageTranslator(model, InferOptions()).inpaint(Image(pixels), hole).pixels)
    np.testing.assert_array_equal(*made)


def test_thick_holes_are_seen_smaller_and_nothing_of_them_leaks(full: Path) -> None:
    model, hole = opened(full), square_hole(200, 150, 90, 20, 30)
    made = []
    for secret in (0, 255):
        pixels = samples(200, 150)
        pixels[hole] = secret
        made.append(ImageTranslator(model, InferOptions()).inpaint(Image(pixels), hole).pixels)
    np.testing.assert_array_equal(*made)
    np.testing.assert_array_equal(made[0][~hole], pixels[~hole])


def test_on_its_own_size_the_center_is_the_networks(center: Path) -> None:
    """A hole that is the trained square, in an image of the trained size: the network's output, but for the seam."""
    model, pixels = opened(center), samples(SIDE_PX, SIDE_PX)
    hole = square_hole(SIDE_PX, SIDE_PX, CENTER_PX, 10, 10)
    plain = forward.translate(mean_filled(pixels, hole), model)
    made = ImageTranslator(model, InferOptions()).inpaint(Image(pixels), hole).pixels
    np.testing.assert_array_equal(made[14:18, 14:18], plain[14:18, 14:18])  # deeper than the seam
    np.testing.assert_array_equal(made, inpainting.blended(pixels, hole, plain))


def test_several_parts_are_filled_each_in_a_window_of_its_own(center: Path) -> None:
    model, pixels = opened(center), samples(150, 90)
    hole = square_hole(150, 90, 12, 0, 0) | square_hole(150, 90, 5, 50, 100) | square_hole(150, 90, 12, 78, 138)
    made = ImageTranslator(model, InferOptions()).inpaint(Image(pixels), hole).pixels
    np.testing.assert_array_equal(made[~hole], pixels[~hole])
    alone = ImageTranslator(model, InferOptions()).inpaint(Image(pixels), square_hole(150, 90, 5, 50, 100)).pixels
    np.testing.assert_array_equal(made[50:55, 100:105], alone[50:55, 100:105])


def test_a_right_prediction_is_taken_as_it_is_and_a_wrong_one_has_no_seam() -> None:
    truth, hole = np.full((40, 40, 3), 100, np.uint8), square_hole(40, 40, 20, 10, 10)
    np.testing.assert_array_equal(inpainting.blended(mean_filled(truth, hole), hole, truth), truth)
    off = inpainting.blended(truth, hole, np.full_like(truth, 150))
    depths = off[20, 10:20, 0].astype(int)
    assert (np.diff(depths)[:4] > 0).all()
    assert depths[0] <= 110
    assert set(depths[4:].tolist()) == {150}


# --- refusals


def refused(model: Path, tmp_path: Path, size: tuple[int, int] = (40, 30), **settings: Any) -> str:
    writer.write(Image(samples(*size)), tmp_path / "in.png")
    output = tmp_path / "out.png"
    (result,) = infer(model, tmp_path / "in.png", InferOptions(**settings), output=output, device="cpu")
    assert (result.status, result.exit_code) == ("failed", 2)
    assert not output.exists()
    assert result.error is not None
    assert "\n" not in result.error
    return result.error


@pytest.mark.parametrize(
    ("hole", "said"),
    [
        (square_hole(40, 30, 0), "leaves out nothing"),
        (np.ones((30, 40), np.bool_), "leaves out the whole image"),
        (square_hole(41, 30, 5), "is 41×30, the image 40×30; make both the same size"),
    ],
)
def test_masks_that_do_not_fit(full: Path, tmp_path: Path, hole: np.ndarray, said: str) -> None:
    assert said in refused(full, tmp_path, mask=saved_mask(tmp_path / "mask.png", hole))


def test_a_folder_of_masks_goes_by_name(full: Path, tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.jpg", 2), ("c.png", 3)):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        writer.write(Image(samples(40, 30, seed=seed)), path)
    (tmp_path / "masks").mkdir()
    saved_mask(tmp_path / "masks" / "a.png", square_hole(40, 30, 4))
    saved_mask(tmp_path / "masks" / "b.png", square_hole(40, 30, 4))
    settings = InferOptions(mask=str(tmp_path / "masks"))
    results = list(infer(full, tmp_path / "in", settings, output=tmp_path / "out", device="cpu"))
    assert [result.status for result in results] == ["done", "done", "failed"]
    assert "no mask called 'c' in it" in (results[2].error or "")


def test_a_folder_of_masks_is_read_once(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        (tmp_path / "in").mkdir(exist_ok=True)
        writer.write(Image(samples(40, 30, seed=number)), tmp_path / "in" / f"{number}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        saved_mask(tmp_path / "masks" / f"{number}.png", square_hole(40, 30, 4))
    looked_at: list[object] = []
    monkeypatch.setattr(inpainting, "known", lambda name: looked_at.append(name) or True)
    settings = InferOptions(mask=str(tmp_path / "masks"))
    results = list(infer(full, tmp_path / "in", settings, output=tmp_path / "out", device="cpu"))
    assert [result.status for result in results] == ["done"] * 6
    assert len(looked_at) == 6


def test_a_missing_mask_is_refused_before_any_work(full: Path, tmp_path: Path) -> None:
    writer.write(Image(samples(8, 8)), tmp_path / "in.png")
    with pytest.raises(UsageError, match=r"no such file or folder; give a mask image"):
        infer(full, tmp_path / "in.png", mask=tmp_path / "none.png")


def test_networks_for_whole_images_take_no_mask(identity: Path, tmp_path: Path) -> None:
    writer.write(Image(samples(8, 8)), tmp_path / "in.png")
    with pytest.raises(UsageError, match="demo takes whole images; it fills in no missing parts"):
        infer(identity, tmp_path / "in.png", device="cpu", mask="center")


def test_what_a_network_takes_is_checked(tmp_path: Path) -> None:
    network = GENERATORS.build(CompactSROptions(scale=1, channels=4, blocks=1))
    options = CompactSROptions(scale=1, channels=4, blocks=1)
    export = replace(describe_generator("generator", network, options, 8), takes="sound")
    weights.save(tmp_path / "odd.safetensors", "demo", {"generator": export}, {"generator": network}, {})
    with pytest.raises(ModelFileError, match="takes 'sound', which this gantools cannot give"):
        opened(tmp_path / "odd.safetensors")


def test_what_a_full_network_makes_of_known_pixels_does_not_matter() -> None:
    pixels, hole = np.full((12, 12, 3), 100, np.uint8), np.zeros((12, 12), np.bool_)
    hole[4:7, 5:8] = True

    def predict(shown: Any) -> Any:
        made = np.zeros_like(shown)
        made[hole] = 90
        return made

    filled = inpainting.fill_by_image(pixels, hole, predict, 12)
    assert (filled[hole] == 90).all()
    assert (filled[~hole] == 100).all()
