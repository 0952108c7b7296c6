"""Missing parts: known pixels come back as they were at any size and depth; missing ones are not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools import api, infer
from gantools.checkpoint import weights
from gantools.errors import ModelFileError, UsageError
from gantools.images import ranges
from gantools.images.image import Image, Metadata
from gantools.images.io import reader, writer
from gantools.images.ops.masks import mean_filled, navier_stokes, telea
from gantools.inference import inpainting
from gantools.inference.image import ImageTranslator
from gantools.inference.options import InferOptions
from gantools.inference.tiling import forward
from gantools.models.options import CompactRestorationOptions, ContextEncoderOptions, GeneratorOptions
from gantools.training.recipe import describe_generator
from tests.inference.networks import build_network, opened

SIDE_PX = 32
CENTER = ContextEncoderOptions(region="center", overlap_px=2, downs=3, base_channels=4, bottleneck_channels=8)
FULL = ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8)
TOLD = FULL.model_copy(update={"in_channels": 4})
COMPACT = CompactRestorationOptions(in_channels=4, channels=(4, 8), scale_blocks=(1, 1))
"""Both see the mask, too."""
CENTER_PX = SIDE_PX // 2 - 2 * 2
SIZES = ((32, 32), (17, 33), (100, 61), (14, 200))


def saved(path: Path, options: GeneratorOptions, takes: str = "masked") -> Path:
    network = build_network(options)
    export = replace(describe_generator("generator", network, options, SIDE_PX), takes=takes)
    weights.save(path, "context_encoder", {"generator": export}, {"generator": network}, {})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    networks = {"center": CENTER, "full": FULL, "told": TOLD, "compact": COMPACT}
    return {name: saved(folder / f"{name}.safetensors", options) for name, options in networks.items()}


@pytest.fixture
def full(files: dict[str, Path]) -> Path:
    return files["full"]


@pytest.fixture
def center(files: dict[str, Path]) -> ImageTranslator:
    return ImageTranslator(opened(files["center"]))


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


def filled(model: Path, given: Image, folder: Path, **settings: Any) -> Image:
    folder.mkdir(exist_ok=True)
    writer.write(given, folder / "in.png")
    (result,) = infer(model, folder / "in.png", InferOptions(**settings), output=folder / "out.png", device="cpu")
    assert (result.status, result.error) == ("done", None)
    return reader.read(folder / "out.png")


# --- known pixels

ALL = pytest.mark.parametrize("region", ["center", "full", "told", "compact"])
REGIONS = pytest.mark.parametrize("region", ["center", "full"])
BITS = pytest.mark.parametrize("bits", [8, 16])


@BITS
@pytest.mark.parametrize("size", SIZES)
@ALL
def test_known_pixels_are_identical_at_any_size(files, tmp_path, region: str, size, bits: int) -> None:
    before, hole = samples(*size, bits), square_hole(*size, 9)
    after = filled(files[region], Image(before), tmp_path, mask=saved_mask(tmp_path / "mask.png", hole)).pixels
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).mean() > 0.9


@REGIONS
@pytest.mark.parametrize("size", SIZES)
def test_the_middle_needs_no_mask_file(files, tmp_path, region: str, size) -> None:
    before = samples(*size)
    rows, columns = np.nonzero((filled(files[region], Image(before), tmp_path, mask="center").pixels != before).any(2))
    side_px = min(CENTER_PX if region == "center" else SIDE_PX // 2, min(size) // 2)
    top, left = (size[1] - side_px) // 2, (size[0] - side_px) // 2
    assert (rows.min(), rows.max() + 1) == (top, top + side_px)
    assert (columns.min(), columns.max() + 1) == (left, left + side_px)


@REGIONS
@BITS
def test_what_is_erased_to_alpha_is_filled_and_opaque(files, tmp_path, region: str, bits: int) -> None:
    before, hole = samples(40, 30, bits), square_hole(40, 30, 8)
    most = np.iinfo(before.dtype).max
    alpha = np.full((30, 40), most, before.dtype)
    alpha[hole], alpha[2, 3:11] = 0, most // 2  # half erased at the edge is erased too
    after = filled(files[region], Image(before, alpha), tmp_path)
    assert after.alpha is None
    np.testing.assert_array_equal(after.pixels[~hole], before[~hole])
    assert (after.pixels[hole] != before[hole]).any()


def test_gray_stays_gray_and_alpha_and_metadata_stay(full: Path, tmp_path: Path) -> None:
    alpha, hole = samples(40, 30, seed=1)[..., 0], square_hole(40, 30, 10)
    before = Image(np.repeat(samples(40, 30)[..., :1], 3, axis=2), alpha, gray=True, metadata=Metadata(dpi=(300, 300)))
    after = filled(full, before, tmp_path, mask=saved_mask(tmp_path / "mask.png", hole))
    assert after.gray
    np.testing.assert_array_equal(after.alpha, alpha)
    np.testing.assert_array_equal(after.pixels[~hole], before.pixels[~hole])
    assert after.metadata.dpi == pytest.approx((300, 300), abs=0.1)


# --- what the network sees


@pytest.mark.parametrize(
    ("region", "side_px"), [("center", 9), ("center", 12), ("full", 12), ("full", 90), ("compact", 12), ("compact", 90)]
)
def test_nothing_of_the_missing_pixels_is_seen(files, region: str, side_px: int) -> None:
    """A mask of 90 px is thick: its surroundings are seen smaller."""
    model, hole = opened(files[region]), square_hole(200, 150, side_px, 20, 30)
    made = []
    for secret in (0, 255):
        pixels = samples(200, 150)
        pixels[hole] = secret
        made.append(ImageTranslator(model).inpaint(Image(pixels), hole).pixels)
    np.testing.assert_array_equal(*made)
    np.testing.assert_array_equal(made[0][~hole], pixels[~hole])


@BITS
def test_a_network_that_is_told_the_mask_sees_it_beside_the_image(files, bits: int) -> None:
    model, hole = opened(files["compact"]), square_hole(SIDE_PX, SIDE_PX, 6, 10, 10)
    pixels = samples(SIDE_PX, SIDE_PX, bits)
    shown, mask = ranges.to_tensor(mean_filled(pixels, hole)), torch.from_numpy(hole * 2 - 1)[None, None].float()
    wanted, blind = (
        ranges.from_tensor(model.network(torch.cat((shown, told), 1)), pixels.dtype)
        for told in (mask, -torch.ones_like(mask))
    )
    made = ImageTranslator(model).inpaint(Image(pixels), hole).pixels
    most = np.iinfo(pixels.dtype).max
    assert np.abs(made[hole].astype(int) - wanted[hole]).max() <= most // 255
    assert (blind[hole] != wanted[hole]).mean() > 0.5


@BITS
def test_weights_that_start_from_telea_are_given_it(tmp_path, bits: int) -> None:
    network = build_network(COMPACT)
    torch.nn.init.zeros_(network.last.weight)  # returns its input
    export = replace(describe_generator("generator", network, COMPACT, SIDE_PX), takes="masked", fill="telea")
    weights.save(tmp_path / "start.safetensors", "context_encoder", {"generator": export}, {"generator": network}, {})
    pixels, hole = samples(40, 30, bits), square_hole(40, 30, 5)
    made = ImageTranslator(opened(tmp_path / "start.safetensors")).inpaint(Image(pixels), hole).pixels
    np.testing.assert_array_equal(made, telea(pixels, hole))


def test_the_mask_is_cut_into_tiles_with_the_image(files) -> None:
    model, hole = opened(files["compact"]), square_hole(90, 70, 9, 30, 40) | square_hole(90, 70, 9, 50, 10)
    pixels = samples(90, 70)
    whole, tiled = (
        forward.translate(pixels, model, mask=hole, tile=side_px).astype(int)
        for side_px in (0, model.generator.halo_px)
    )
    assert np.abs(tiled - whole).max() <= 1


def test_an_onnx_file_of_a_network_that_is_told_the_mask_fills_the_same(files, tmp_path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    api.export_model(files["compact"], tmp_path / "told.onnx")
    before, mask = Image(samples(40, 30)), saved_mask(tmp_path / "mask.png", square_hole(40, 30, 9))
    ours, theirs = (filled(path, before, tmp_path / name, mask=mask).pixels.astype(int) for path, name in
                    ((files["compact"], "ours"), (tmp_path / "told.onnx", "theirs")))  # fmt: skip
    assert np.abs(ours - theirs).max() <= 1


def test_on_its_own_size_the_center_is_the_networks(center: ImageTranslator) -> None:
    """The trained square, in an image of the trained size: the network's output, except for the seam."""
    pixels, hole = samples(SIDE_PX, SIDE_PX), square_hole(SIDE_PX, SIDE_PX, CENTER_PX, 10, 10)
    plain = forward.translate(mean_filled(pixels, hole), center.model)
    made = center.inpaint(Image(pixels), hole).pixels
    np.testing.assert_array_equal(made[14:18, 14:18], plain[14:18, 14:18])  # deeper than the seam
    np.testing.assert_array_equal(made, inpainting.blended(pixels, hole, plain))


def test_several_parts_are_filled_each_in_a_window_of_its_own(center: ImageTranslator) -> None:
    pixels, part = Image(samples(150, 90)), square_hole(150, 90, 5, 50, 100)
    hole = square_hole(150, 90, 12, 0, 0) | part | square_hole(150, 90, 12, 78, 138)
    made, alone = (center.inpaint(pixels, each).pixels for each in (hole, part))
    np.testing.assert_array_equal(made[~hole], pixels.pixels[~hole])
    np.testing.assert_array_equal(made[part], alone[part])


def test_a_right_prediction_is_taken_as_it_is_and_a_wrong_one_has_no_seam() -> None:
    truth, hole = np.full((40, 40, 3), 100, np.uint8), square_hole(40, 40, 20, 10, 10)
    np.testing.assert_array_equal(inpainting.blended(mean_filled(truth, hole), hole, truth), truth)
    off = inpainting.blended(truth, hole, np.full_like(truth, 150))
    depths = off[20, 10:20, 0].astype(int)
    assert (np.diff(depths)[:4] > 0).all()
    assert depths[0] <= 110
    assert set(depths[4:].tolist()) == {150}


def test_what_a_full_network_makes_of_known_pixels_does_not_matter() -> None:
    pixels, hole = np.full((12, 12, 3), 100, np.uint8), square_hole(12, 12, 3, 4, 5)
    made = inpainting.fill_by_image(
        pixels, hole, lambda _, _mask: np.where(hole[..., None], 90, 0).astype(np.uint8), 12
    )
    np.testing.assert_array_equal(made, np.where(hole[..., None], 90, pixels))


# --- masks


@pytest.mark.parametrize(
    ("hole", "said"),
    [
        (square_hole(40, 30, 0), "leaves out nothing"),
        (np.ones((30, 40), np.bool_), "leaves out the whole image"),
        (square_hole(41, 30, 5), "is 41×30, the image 40×30; make both the same size"),
    ],
)
def test_masks_that_do_not_fit(full: Path, tmp_path: Path, hole: np.ndarray, said: str) -> None:
    writer.write(Image(samples(40, 30)), tmp_path / "in.png")
    settings = InferOptions(mask=saved_mask(tmp_path / "mask.png", hole))
    (result,) = infer(full, tmp_path / "in.png", settings, output=tmp_path / "out.png", device="cpu")
    assert (result.status, result.exit_code) == ("failed", 2)
    assert not (tmp_path / "out.png").exists()
    assert said in str(result.error)
    assert "\n" not in str(result.error)


def test_a_folder_of_masks_is_read_once_and_goes_by_name(full: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.png", "d.png")):
        writer.write(Image(samples(40, 30, seed=number)), tmp_path / "in" / name)
    for name in "abx":
        saved_mask(tmp_path / "masks" / f"{name}.png", square_hole(40, 30, 4))
    looked_at: list[object] = []
    monkeypatch.setattr(inpainting, "known", lambda name: looked_at.append(name) or True)
    settings = InferOptions(mask=str(tmp_path / "masks"))
    results = list(infer(full, tmp_path / "in", settings, output=tmp_path / "out", device="cpu"))
    assert [result.status for result in results] == ["done", "done", "failed", "failed"]
    assert "no mask called 'c' in it" in str(results[2].error)
    assert len(looked_at) == 3


def test_masks_are_refused_before_any_work(full: Path, identity: Path, tmp_path: Path) -> None:
    writer.write(Image(samples(8, 8)), tmp_path / "in.png")
    with pytest.raises(UsageError, match=r"no such file or folder; give a mask image"):
        infer(full, tmp_path / "in.png", mask=tmp_path / "none.png")
    with pytest.raises(UsageError, match="demo takes whole images; it fills in no missing parts"):
        infer(identity, tmp_path / "in.png", device="cpu", mask="center")
    with pytest.raises(ModelFileError, match="takes 'sound', which this gantools cannot give"):
        opened(saved(tmp_path / "odd.safetensors", FULL, takes="sound"))


# --- other methods


@pytest.mark.parametrize("method", ["telea", "ns"])
@BITS
def test_opencvs_methods_open_no_network(full: Path, tmp_path: Path, method: str, bits: int) -> None:
    before, hole = samples(40, 30, bits), square_hole(40, 30, 9)
    writer.write(Image(before), tmp_path / "in.png")
    mask = saved_mask(tmp_path / "mask.png", hole)
    with infer(full, tmp_path / "in.png", mask=mask, method=method, device="nowhere") as results:
        (result,) = results
        assert results.facts == {"recipe": "context_encoder", "method": method}
    assert result.output == tmp_path / f"in.full-{method}.png"
    after = reader.read(result.output).pixels
    np.testing.assert_array_equal(after, {"telea": telea, "ns": navier_stokes}[method](before, hole))
    opened_model = api.load_model(full, InferOptions(method=method, mask=mask), device="cpu")
    np.testing.assert_array_equal(opened_model(before), after)


def test_opencvs_methods_keep_gray_alpha_and_metadata(full: Path, tmp_path: Path) -> None:
    alpha, hole = samples(40, 30, seed=1)[..., 0], square_hole(40, 30, 10)
    before = Image(np.repeat(samples(40, 30)[..., :1], 3, axis=2), alpha, gray=True, metadata=Metadata(dpi=(300, 300)))
    after = filled(full, before, tmp_path, mask=saved_mask(tmp_path / "mask.png", hole), method="telea")
    assert after.gray
    np.testing.assert_array_equal(after.alpha, alpha)
    np.testing.assert_array_equal(after.pixels[~hole], before.pixels[~hole])
    assert after.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    erased = Image(samples(40, 30), np.where(hole, 0, 255).astype(np.uint8))
    after = filled(full, erased, tmp_path / "erased", method="ns")
    assert after.alpha is None
    np.testing.assert_array_equal(after.pixels, navier_stokes(erased.pixels, hole))


def test_auto_takes_navier_stokes_for_thin_parts_and_the_network_for_thick_ones(full: Path) -> None:
    pixels, thick = samples(100, 80), square_hole(100, 80, 20, 50, 60)
    thin = np.zeros_like(thick)
    thin[10:16, 5:95] = True
    thin[78:, :30] = True  # at the border
    assert not (thin & thick).any()
    np.testing.assert_array_equal(inpainting.thin_parts(thin | thick), thin)
    network = ImageTranslator(opened(full), InferOptions(method="model"))
    auto = ImageTranslator(opened(full), InferOptions(method="auto")).inpaint(Image(pixels), thin | thick).pixels
    np.testing.assert_array_equal(auto[thin], navier_stokes(pixels, thin | thick)[thin])
    repaired = np.where(thin[..., None], auto, pixels)
    np.testing.assert_array_equal(auto, network.inpaint(Image(repaired), thick).pixels)
    only_thin = ImageTranslator(opened(full), InferOptions(method="auto")).inpaint(Image(pixels), thin).pixels
    np.testing.assert_array_equal(only_thin, navier_stokes(pixels, thin))


def test_methods_that_do_not_fit(full: Path, identity: Path, tmp_path: Path) -> None:
    writer.write(Image(samples(8, 8)), tmp_path / "in.png")
    for model, options, said in (
        (identity, {"method": "telea"}, "--method telea: demo takes whole images; it fills in no missing parts"),
        (identity, {"method": "auto"}, "--method auto: demo takes whole images"),
        (
            full,
            {"method": "ns", "tta": True},
            "--method ns fills in what is missing without a network: leave out --tta",
        ),
        (
            full,
            {"method": "wiener", "mask": "center"},
            "--method wiener undoes the blur of a --kernel, which is not given",
        ),
        ("deblur", {"method": "telea", "kernel": "k.npy"}, "--method telea undoes no blur"),
        (full, {"method": "best"}, "method 'best': give one of model, telea, ns, auto"),
    ):
        with pytest.raises(UsageError, match=said):
            infer(model, tmp_path / "in.png", **options)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
