from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.image import Image, Metadata
from gantools.images.io import reader, writer
from gantools.images.ops.resize import resize_bicubic
from gantools.images.ops.transparency import spread
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import InferOptions
from gantools.inference.run import deconvolved
from gantools.inference.scaling import Preparation
from gantools.jobs.plan import Job
from gantools.models.options import CompactSROptions, ResNetOptions, SRResNetOptions, UNetOptions
from tests.inference.networks import opened
from tests.inference.running import run_jobs

PLAIN = InferOptions()
SIZES = ((1, 1), (17, 33), (40, 24))
LARGEST = {"8": 255, "16": 65535}


def samples(width: int, height: int, channels: int, bits: str = "8", seed: int = 0) -> npt.NDArray[Any]:
    dtype = np.uint8 if bits == "8" else np.uint16
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, LARGEST[bits] + 1, shape, dtype)


def an_image(width: int = 20, height: int = 12, bits: str = "8", **kept: Any) -> Image:
    return Image(samples(width, height, 3, bits), **kept)


@pytest.fixture
def same(identity: Path) -> Model:
    return opened(identity)


@pytest.fixture
def twice(doubling: Path) -> Model:
    return opened(doubling)


def carried_out(model: Model, source: Path, output: Path, settings: InferOptions = PLAIN) -> Image:
    job = Job(str(source), source, output, writer.FORMATS[output.suffix[1:]])
    (result,) = run_jobs(model, [job], settings)
    assert (result.status, result.error) == ("done", None)
    made = reader.read(output)
    assert result.output_size == (made.width, made.height)
    return made


# The matrix: every mode a file may have, in every format that holds it, at odd sizes.


def write_mode(path: Path, mode: str, width: int, height: int) -> None:
    """Write a file of a Pillow mode, or of 16 bits where its name ends with ;16."""
    channels = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2, "P": 1, "1": 1}[mode.partition(";")[0]]
    pixels = samples(width, height, channels, mode.partition(";")[2] or "8")
    if mode.endswith(";16"):
        assert cv2.imwrite(str(path), pixels)
        return
    image = PillowImage.fromarray(pixels)
    if mode == "P":
        image = PillowImage.fromarray(samples(width, height, 3)).convert("P", palette=PillowImage.Palette.ADAPTIVE)
    image.convert(mode).save(path)


MATRIX = [
    *itertools.product(("RGB", "RGBA", "L", "LA", "P", "1", "RGB;16", "RGBA;16", "L;16"), ("png",), SIZES),
    *itertools.product(("RGB", "RGBA", "L", "P", "1", "RGB;16", "RGBA;16", "L;16"), ("tif",), SIZES),
    *itertools.product(("RGB", "L", "P", "1"), ("bmp",), SIZES),
    *itertools.product(("RGB", "L"), ("ppm",), SIZES),
]


@pytest.mark.parametrize(("mode", "suffix", "size"), MATRIX)
def test_nothing_is_lost_on_the_way(same: Model, tmp_path: Path, mode: str, suffix: str, size: tuple[int, int]) -> None:
    source = tmp_path / f"in.{suffix}"
    write_mode(source, mode, *size)
    before, after = reader.read(source), carried_out(same, source, tmp_path / f"out.{suffix}")
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert after.pixels.dtype == before.pixels.dtype == (np.uint16 if mode.endswith(";16") else np.uint8)
    assert after.gray == before.gray == (mode in ("L", "LA", "1", "L;16"))
    assert (after.alpha is None) == (before.alpha is None)
    if before.alpha is not None:
        np.testing.assert_array_equal(after.alpha, before.alpha)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(twice: Model, tmp_path: Path, orientation: int) -> None:
    source = tmp_path / "in.png"
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    PillowImage.fromarray(samples(6, 4, 3)).save(source, exif=exif)
    upright = reader.read(source)
    after = carried_out(twice, source, tmp_path / "out.png")
    np.testing.assert_array_equal(after.pixels, ImageTranslator(twice)(upright).pixels)
    assert (after.width, after.height) == ((8, 12) if orientation > 4 else (12, 8))
    with PillowImage.open(tmp_path / "out.png") as written:
        assert written.getexif()[0x010F] == "maker"
        assert written.getexif().get(0x0112, 1) == 1


def test_metadata_is_kept_or_stripped(same: Model, tmp_path: Path) -> None:
    icc = b"\0" * 16 + b"RGB " + b"\0" * 108
    writer.write(an_image(metadata=Metadata(icc=icc, xmp=b"<x/>", dpi=(300, 300))), tmp_path / "in.tif")
    kept = carried_out(same, tmp_path / "in.tif", tmp_path / "kept.tif")
    assert (kept.metadata.icc, kept.metadata.xmp, kept.metadata.dpi) == (icc, b"<x/>", (300, 300))
    stripped = carried_out(same, tmp_path / "in.tif", tmp_path / "stripped.tif", InferOptions(metadata="strip"))
    assert (stripped.metadata.icc, stripped.metadata.xmp) == (None, None)


# Size, colour and alpha.


def test_enlargement_is_the_networks(twice: Model) -> None:
    given = an_image()
    values = torch.from_numpy(given.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    large = nn.functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    expected = torch.floor((large.clamp(-1, 1) + 1) * 127.5 + 0.5)[0].permute(1, 2, 0).numpy()
    made = ImageTranslator(twice)(given).pixels.astype(int)
    assert np.abs(made - expected).max() <= 1
    assert (made != expected).mean() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (17, 33), (64, 64), (65, 8)])
@pytest.mark.parametrize(
    "options",
    [
        UNetOptions(downs=5, base_channels=4, max_channels=8),
        UNetOptions(downs=8, base_channels=2, max_channels=2, norm="instance"),
        ResNetOptions(base_channels=4, blocks=1),
        SRResNetOptions(channels=4, blocks=1, scale=4),
    ],
    ids=lambda options: f"{options.name}-{getattr(options, 'downs', '')}",
)
def test_every_network_gives_exact_sizes(save_weights: Any, options: Any, size: tuple[int, int]) -> None:
    model = opened(save_weights(options))
    made = ImageTranslator(model)(an_image(*size))
    assert (made.width, made.height) == (model.export.scale * size[0], model.export.scale * size[1])


@pytest.mark.parametrize(("bits", "alpha"), list(itertools.product(("8", "16"), ("keep", "process", "drop"))))
def test_alpha(twice: Model, same: Model, bits: str, alpha: Any) -> None:
    given = an_image(bits=bits, alpha=samples(20, 12, 1, bits, seed=1))
    settings = InferOptions(alpha=alpha)
    made, unchanged = ImageTranslator(twice, settings)(given), ImageTranslator(same, settings)(given)
    seen = given.pixels if alpha == "drop" else spread(given)
    np.testing.assert_array_equal(made.pixels, ImageTranslator(twice)(Image(seen)).pixels)
    if alpha == "drop":
        assert made.alpha is None
        return
    np.testing.assert_array_equal(unchanged.alpha, given.alpha)
    through = ImageTranslator(twice)(Image(np.dstack([given.alpha] * 3))).pixels[..., 0]
    beside = resize_bicubic(given.alpha[..., None], scale=2)[..., 0]
    hidden = np.repeat(np.repeat(given.alpha == 0, 2, 0), 2, 1) & ((beside == 0) | (through <= LARGEST[bits] * 2 / 255))
    through[hidden] = 0
    np.testing.assert_array_equal(made.alpha, through if alpha == "process" else beside)


class Blur(nn.Module):
    """A network that looks at neighbours: a mean over 7 × 7 pixels, and a little more than black where it is black."""

    size_multiple = minimum_size_px = 1

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        padded = nn.functional.pad(image, (3, 3, 3, 3), mode="replicate")
        mean = nn.functional.avg_pool2d(padded, 7, stride=1)
        large = nn.functional.interpolate(mean, scale_factor=self.scale, mode="nearest")
        return torch.maximum(large, torch.full_like(large, -1 + 4 / 255))


def logo_file(path: Path, kind: str) -> None:
    """A white disc, black where it is transparent, with soft edges where the kind of file has any."""
    y, x = np.mgrid[:48, :64]
    inside = np.clip(16.5 - np.hypot(y - 24, x - 32), 0, 1)
    if kind in ("palette png", "gray key png", "colour key png"):
        inside = np.round(inside)
    colour = np.where(inside[..., None] > 0, 255, 0).astype(np.uint8).repeat(3, 2)
    alpha = np.round(inside * 255).astype(np.uint8)
    if kind == "palette png":
        image = PillowImage.fromarray((alpha > 0).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(path, transparency=0)
    elif kind == "gray key png":
        PillowImage.fromarray(colour[..., 0]).save(path, transparency=0)
    elif kind == "colour key png":
        PillowImage.fromarray(colour).save(path, transparency=(0, 0, 0))
    elif kind == "gray and alpha png":
        PillowImage.fromarray(np.dstack([colour[..., 0], alpha])).save(path)
    elif kind == "16-bit png":
        deep = np.dstack([colour, alpha]).astype(np.uint16) * 257
        assert cv2.imwrite(str(path), deep)
    else:
        options = {"lossless": True, "exact": True} if kind == "webp" else {}
        PillowImage.fromarray(np.dstack([colour, alpha])).save(path, **options)


LOGOS = {
    "png": "png", "webp": "webp", "tif": "tif", "palette png": "png", "gray key png": "png", "colour key png": "png",
    "gray and alpha png": "png", "16-bit png": "png",
}  # fmt: skip


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("alpha", ["keep", "process"])
@pytest.mark.parametrize("kind", LOGOS)
def test_a_logo_gets_no_fringe(
    same: Model, twice: Model, tmp_path: Path, kind: str, alpha: Any, scale: int, batch: int | None
) -> None:
    """What is visible of a white logo stays white: black that nobody sees is not among a pixel's neighbours."""
    suffix = LOGOS[kind]
    names = [f"{each}.{suffix}" for each in "ab"]
    for name in names:
        logo_file(tmp_path / name, kind)
    model = replace(twice if scale == 2 else same, network=Blur(scale))
    jobs = [Job(name, tmp_path / name, tmp_path / f"out-{name}.png", "png") for name in names]
    for result in run_jobs(model, jobs, InferOptions(alpha=alpha, batch=batch, gray="keep", io_workers=0)):
        assert (result.status, result.error) == ("done", None)
    before = reader.read(tmp_path / names[0])
    for name in names:
        made = reader.read(tmp_path / f"out-{name}.png")
        assert made.alpha is not None
        assert (made.width, made.height) == (64 * scale, 48 * scale)
        full = np.iinfo(made.pixels.dtype).max
        assert made.pixels[made.alpha > 0].min() == full
        assert made.alpha[24 * scale, 32 * scale] == full
        clear = np.repeat(np.repeat(before.alpha == 0, scale, 0), scale, 1)
        veil = clear & (made.alpha > 0) & (made.alpha <= full * 2 / 255)
        assert alpha == "keep" or not veil.any()
        assert not made.alpha[: 4 * scale].any(), "far from the logo nothing appears"
        if scale == 1:
            assert not made.alpha[clear].any()
            np.testing.assert_array_equal(made.pixels[clear], before.pixels[clear])


def test_a_known_blur_is_undone_without_a_fringe(tmp_path: Path) -> None:
    logo_file(tmp_path / "in.png", "png")
    given = reader.read(tmp_path / "in.png")
    assert given.alpha is not None
    for alpha, dark in (("keep", False), ("drop", True)):
        options = InferOptions(alpha=alpha)
        made = deconvolved(given, "in.png", undo=lambda pixels: cv2.blur(pixels, (7, 7)), options=options)
        assert (made.pixels[given.alpha > 0].min() < 255) == dark
        assert not made.pixels[0, 0].any(), "hidden colours stay the file's"


def test_what_is_hidden_is_not_seen_beside_a_hole(save_weights: Any) -> None:
    """A mask's hole is filled from what is visible; colours under transparency stay in the file."""
    given = an_image(64, 64, alpha=np.full((64, 64), 255, np.uint8))
    given.alpha[:, :20] = 0
    other = replace(given, pixels=given.pixels.copy())
    other.pixels[:, :20] = 255 - other.pixels[:, :20]
    model = opened(save_weights(UNetOptions(downs=4, base_channels=4, max_channels=8)))
    hole = np.zeros((64, 64), np.bool_)
    hole[20:40, 24:44] = True
    filled = [ImageTranslator(model).inpaint(each, hole).pixels for each in (given, other)]
    np.testing.assert_array_equal(filled[0][hole], filled[1][hole])
    np.testing.assert_array_equal(filled[1][:, :20], other.pixels[:, :20])


class Tint(nn.Module):
    """A network that makes everything red."""

    scale = size_multiple = minimum_size_px = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat((torch.ones_like(image[:, :1]), image[:, 1:]), dim=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("trained", ["keep", "color"])
def test_gray_stays_gray_and_says_what_that_costs_unless_weights_learned_colours(same: Model, trained: Any) -> None:
    gray = Image(np.zeros((4, 4, 3), np.uint8), gray=True)
    tinting = replace(same, network=Tint(), export=replace(same.export, gray=trained))
    for wanted in ("auto", "keep", "color"):
        keeps = "keep" in (wanted, trained if wanted == "auto" else "")
        with pytest.warns(UserWarning, match="--gray color") if keeps else contextlib.nullcontext():
            made = ImageTranslator(tinting, InferOptions(gray=wanted))(gray)
        assert made.gray == keeps
        assert (made.pixels == (76 if keeps else (255, 0, 0))).all(), "76 is the luminance of red"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bits", ["8", "16"])
def test_every_gray_value_survives(same: Model, bits: str) -> None:
    values = np.arange(LARGEST[bits] + 1).astype(np.uint8 if bits == "8" else np.uint16).reshape(16, -1)
    made = ImageTranslator(same)(Image(np.dstack([values] * 3), gray=True))
    np.testing.assert_array_equal(made.pixels[..., 1], values)


def test_networks_of_other_than_three_channels(save_weights: Any) -> None:
    given, gray = an_image(), CompactSROptions(scale=1, channels=4, blocks=1, in_channels=1)
    for outputs in (1, 3):
        made = ImageTranslator(opened(save_weights(gray.model_copy(update={"out_channels": outputs}))))(given)
        np.testing.assert_array_equal(made.pixels[..., 2], cv2.cvtColor(given.pixels, cv2.COLOR_RGB2GRAY))
        assert made.gray == (outputs == 1)
    four = CompactSROptions(scale=1, channels=4, blocks=1, in_channels=4, out_channels=4)
    with pytest.raises(UsageError, match="reads 4 channels"):
        ImageTranslator(opened(save_weights(four)))(given)


def test_a_photo_is_prepared_first(same: Model, tmp_path: Path) -> None:
    given = an_image()
    writer.write(given, tmp_path / "in.png")
    jobs = [Job("in.png", tmp_path / "in.png", None, "png")] * 2
    inverted = Preparation(lambda photo: replace(photo, pixels=255 - photo.pixels))
    np.testing.assert_array_equal(ImageTranslator(same, PLAIN, inverted)(given).pixels, 255 - given.pixels)
    for batch in (1, 2):
        results = run_jobs(same, jobs, InferOptions(batch=batch, io_workers=0), inverted)
        made = [reader.read(result.content or b"").pixels for result in results]
        np.testing.assert_array_equal(made, [255 - given.pixels] * 2)


def test_too_large_results_are_refused_before_the_network_runs(same: Model) -> None:
    with pytest.raises(
        ImageError, match=r"40×24 would be 960 pixels, over the limit of 956; raise it with --max-pixels"
    ):
        ImageTranslator(same, InferOptions(max_pixels=239))(an_image(40, 24))


# Arithmetic.


class OverflowsInHalf(Tint):
    """A network whose result is infinite under autocast."""

    def forward(self, image: Tensor) -> Tensor:
        return image / 0 if torch.is_autocast_enabled("cpu") else image


class AlwaysNan(Tint):
    def forward(self, image: Tensor) -> Tensor:
        return image * torch.nan


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_what_overflows_in_a_small_type_is_computed_again(identity: Path, precision: Any) -> None:
    given, model = an_image(), replace(opened(identity, precision=precision), network=OverflowsInHalf())
    np.testing.assert_array_equal(ImageTranslator(model)(given).pixels, given.pixels)


def test_nan_is_never_written(same: Model, tmp_path: Path) -> None:
    writer.write(an_image(), tmp_path / "in.png")
    job = Job("in.png", tmp_path / "in.png", tmp_path / "out.png", "png")
    (result,) = run_jobs(replace(same, network=AlwaysNan()), [job], PLAIN)
    assert (result.status, result.error) == ("failed", "the network's result has NaN or infinite values")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_bf16_is_close_and_16_bits_are_computed_in_float32(save_weights: Any) -> None:
    path = save_weights(SRResNetOptions(channels=8, blocks=1, scale=2, tanh=True))
    exact, fast = opened(path), opened(path, precision="bf16")
    shallow, deep = an_image(), an_image(bits="16")
    difference = ImageTranslator(exact)(shallow).pixels.astype(int) - ImageTranslator(fast)(shallow).pixels
    assert 0 < np.abs(difference).max() <= 8
    np.testing.assert_array_equal(ImageTranslator(exact)(deep).pixels, ImageTranslator(fast)(deep).pixels)


def test_dropout_and_batch_statistics_do_not_depend_on_what_came_before(save_weights: Any) -> None:
    options = UNetOptions(downs=4, base_channels=4, max_channels=8)
    playing, fixed = opened(save_weights(options, mode="train")), opened(save_weights(options, "eval.safetensors"))
    first, other = an_image(), Image(samples(31, 9, 3, seed=5))
    alone = ImageTranslator(playing)(first).pixels
    ImageTranslator(playing)(other)
    torch.rand(7)
    np.testing.assert_array_equal(ImageTranslator(playing)(first).pixels, alone)
    assert (ImageTranslator(fixed)(first).pixels != alone).any()
    state = torch.random.get_rng_state()
    ImageTranslator(playing)(first)
    assert torch.equal(torch.random.get_rng_state(), state), "the program's own random numbers are left alone"
