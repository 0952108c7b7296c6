"""Images go through a network at the size at which it does best, and come back at their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from gantools import api
from gantools.api import models
from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.data.degrade.edges import outline
from gantools.data.options.datasets import EdgeOptions
from gantools.errors import ImageError, ModelFileError, UsageError
from gantools.images.image import Image, Pixels
from gantools.images.ops.color import with_luminance
from gantools.images.ops.masks import Mask
from gantools.images.ops.resize import MOST_OBLONG, resized, size_at
from gantools.inference import inpainting
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import InferOptions, parse_scale_to
from gantools.inference.scaling import Scaling, described
from gantools.pretrained import catalogue
from tests.inference.networks import opened

SIDE_PX = 8


def saying(path: Path, **says: Any) -> Model:
    """The model, whose weights say something else of themselves."""
    model = opened(path)
    return replace(model, export=replace(model.export, **says))


@pytest.fixture
def same(identity: Path) -> Model:
    """A network that changes nothing and was trained on images of eight pixels."""
    return saying(identity, resized_px=SIDE_PX, applied_at="trained")


@pytest.fixture
def tinting(identity: Path) -> Model:
    """The same, but it makes everything darker, and red, and keeps the luminance of what it is given."""
    model = saying(identity, resized_px=SIDE_PX, applied_at="trained", luminance="kept", gray="color")
    *_, last = (each for each in model.network.modules() if isinstance(each, torch.nn.Conv2d))
    assert last.bias is not None
    last.bias.data += torch.tensor([0.1, -0.3, -0.3])
    return model


def image(width: int = 33, height: int = 20, dtype: type = np.uint8, seed: int = 0) -> Pixels:
    largest = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(largest // 4, 3 * largest // 4, (height, width, 3)).astype(dtype)


def luminance(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_network_sees_images_at_the_size_that_it_was_trained_at(same: Model, dtype: type) -> None:
    given = Image(image(dtype=dtype))
    made = ImageTranslator(same)(given).pixels
    assert Scaling.of(same.export, "auto").size(20, 33) == (SIDE_PX, 13)
    np.testing.assert_array_equal(made, resized(resized(given.pixels, (SIDE_PX, 13)), (20, 33)))
    assert (made != given.pixels).any()


@pytest.mark.parametrize(("scale_to", "side_px"), [("native", 20), ("trained", SIDE_PX), (10, 10), (40, 40)])
def test_the_user_chooses(same: Model, scale_to: Any, side_px: int) -> None:
    given, settings = Image(image()), InferOptions(scale_to=scale_to)
    assert min(Scaling.of(same.export, scale_to).size(20, 33)) == side_px
    made = ImageTranslator(same, settings)(given).pixels
    assert made.shape == given.pixels.shape
    assert np.array_equal(made, given.pixels) == (scale_to == "native")


def test_what_was_trained_on_crops_sees_images_at_their_own_size(identity: Path, doubling: Path) -> None:
    given = Image(image())
    native = saying(identity, resized_px=SIDE_PX)
    np.testing.assert_array_equal(ImageTranslator(native)(given).pixels, given.pixels)
    enlarged = ImageTranslator(opened(doubling), InferOptions(scale_to=10))(given)
    assert (enlarged.height, enlarged.width) == (40, 66)
    with pytest.raises(UsageError, match=r"^--scale-to trained: this network was trained on images at their own size"):
        ImageTranslator(opened(doubling), InferOptions(scale_to="trained"))(given)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale_to", ["trained", "native"])
def test_coloured_images_keep_their_luminance_and_their_own_colours_are_not_seen(
    tinting: Model, dtype: type, scale_to: Any
) -> None:
    translate, gray = ImageTranslator(tinting, InferOptions(scale_to=scale_to)), image(dtype=dtype)
    gray[:] = gray[..., :1]
    made, step = translate(Image(gray, gray=True)), np.iinfo(dtype).max / 255
    assert np.abs(luminance(made.pixels) - gray[..., 0]).max() <= 1.01 * step
    assert not made.gray
    assert (made.pixels[..., 0].astype(float) - made.pixels[..., 1]).min() > 20 * step, "red"
    coloured = image(dtype=dtype)
    assert np.ptp(coloured, axis=2).max() > 100 * step
    gray = np.repeat(luminance(coloured)[..., None].astype(dtype), 3, axis=2)
    off = translate(Image(coloured)).pixels.astype(float) - translate(Image(gray)).pixels
    assert np.abs(off).max() <= 2 * step


def test_transparency_gray_and_depth_stay(same: Model) -> None:
    alpha = image(dtype=np.uint16)[..., 0]
    given = Image(image(dtype=np.uint16), alpha=alpha)
    made = ImageTranslator(same, InferOptions(tta=True, tile=4))(given)
    assert made.pixels.dtype == np.uint16
    np.testing.assert_array_equal(made.alpha, alpha)
    gray = ImageTranslator(same)(Image(np.repeat(image()[..., :1], 3, axis=2), gray=True))
    assert gray.gray
    through = ImageTranslator(same, InferOptions(alpha="process"))(given)
    assert (through.alpha != alpha).any()


def test_lines_stay_lines() -> None:
    drawing = np.full((64, 64, 3), 255, np.uint8)
    drawing[:, 30] = 0
    assert resized(drawing, (16, 16)).min() > 150
    assert resized(drawing, (16, 16), darkest=True).min(axis=(1, 2)).max() < 100
    assert (resized(drawing, (16, 16), darkest=True) == 255).mean() > 0.8


def test_strips_do_not_fill_the_memory(same: Model) -> None:
    assert size_at(1, 60_000, 64) == (1, 60_000)
    assert size_at(1, 100, 64) == (20, 64 * MOST_OBLONG)
    assert size_at(6000, 4000, 64) == (96, 64)
    assert size_at(1, 1, 64) == (64, 64)
    with pytest.raises(ImageError, match=r"over the limit of .* raise it with --max-pixels"):
        ImageTranslator(same, InferOptions(scale_to=99_999))(Image(image()))


def test_bands_of_rows_leave_no_seam() -> None:
    given, colours = image(5, 600), image(5, 600, seed=1)
    halves = [with_luminance(colours[part], given[part]) for part in (slice(0, 100), slice(100, 600))]
    np.testing.assert_array_equal(with_luminance(colours, given), np.vstack(halves))


# --- missing parts


def test_known_pixels_stay_when_a_hole_is_filled_at_another_size() -> None:
    scaling = Scaling(SIDE_PX, 1, keeps_luminance=False)
    pixels, hole = image(40, 32), np.zeros((32, 40), np.bool_)
    hole[8:24, 10:30] = True
    seen = []

    def fill(small: Pixels, missing: Any) -> Pixels:
        seen.append((small.shape, missing.shape))
        return np.full_like(small, 77)

    made = scaling.filled(pixels, hole, fill)
    assert seen == [((8, 10, 3), (8, 10))]
    np.testing.assert_array_equal(made[~hole], pixels[~hole])
    assert (made[hole] == 77).all()
    with pytest.raises(UsageError, match="leaves nothing of the image"):
        Scaling(1, 1, keeps_luminance=False).filled(pixels, hole, fill)


def test_thick_holes_are_seen_with_enough_around_them() -> None:
    pixels, hole = image(256, 256), np.zeros((256, 256), np.bool_)
    hole[64:192, 64:192] = True
    seen: list[tuple[int, ...]] = []

    def predict(small: Pixels, mask: Mask) -> Pixels:
        assert mask.shape == small.shape[:2]
        seen.append(small.shape)
        return small

    inpainting.fill_by_image(pixels, hole, predict, 64)
    inpainting.fill_by_image(resized(pixels, (64, 64)), hole[::4, ::4], predict, 64)
    assert seen == [(64, 64, 3), (64, 64, 3)], "a training image's size; one of that size is not shrunk"


# --- what the weights say

SHIPPED = {
    "context_encoder": ("native", 256, "area", "made"),
    "deblur": ("native", None, "area", "made"),
    "pix2pix": ("trained", 64, "darkest", "made"),
    "restore": ("native", 400, "area", "made"),
    "srgan/fast": ("native", None, "area", "made"),
    "srgan/gan": ("native", None, "area", "made"),
    "srgan/psnr": ("native", None, "area", "made"),
    "srgan/real": ("native", None, "area", "made"),
}
NEW = [
    ("pix2pix/shoes-64", [], ("trained", 64, "darkest", "made")),
    ("pix2pix/facades-64", [], ("trained", 64, "area", "made")),
    ("pix2pix/shoes-64", ["data.make=gray"], ("trained", 64, "area", "kept")),
    ("cyclegan/apple2orange-64", [], ("trained", 64, "area", "made")),
    ("restore/colorize-64", [], ("trained", 96, "area", "kept")),
    ("restore/crappify-64", [], ("native", 128, "area", "made")),
    ("context_encoder/center-64", [], ("native", 112, "area", "made")),
    ("deblur/compact", [], ("native", None, "area", "made")),
    ("srgan/mse", [], ("native", None, "area", "made")),
]


def says(export: Export) -> tuple[object, ...]:
    return export.applied_at, export.resized_px, export.shrunk_by, export.luminance


def test_weights_from_before_say_it_by_their_configuration() -> None:
    shipped = {each.name: each for each in catalogue.installed() if each.shipped}
    exports = {name: weights.describe(each.path).exports["generator"] for name, each in shipped.items()}
    exports = {name: export for name, export in exports.items() if export.takes != "latent"}
    assert {name: says(export) for name, export in exports.items()} == SHIPPED
    cards = {name: shipped[name].card() for name in exports}
    assert {name: card and card.applied_at for name, card in cards.items()} == {n: s[0] for n, s in SHIPPED.items()}


@pytest.mark.parametrize(("spec", "overrides", "said"), NEW)
def test_new_weights_say_how_their_images_were_prepared(spec: str, overrides: list[str], said: object) -> None:
    settings = api.configure(spec, overrides=overrides)
    assert {says(export) for export in settings.recipe(settings.config).exports().values()} == {said}


@pytest.mark.parametrize("name", ["applied_at", "shrunk_by", "luminance", "resized_px", "fill"])
def test_what_is_not_known_is_refused(same: Model, tmp_path: Path, name: str) -> None:
    export = replace(same.export, **{name: 0 if name == "resized_px" else "odd"})
    weights.save(tmp_path / "odd.safetensors", "demo", {"generator": export}, {"generator": same.network}, {})
    with pytest.raises(ModelFileError, match=name):
        opened(tmp_path / "odd.safetensors")


def test_one_line_says_what_is_done(same: Model, doubling: Path) -> None:
    assert "short side of 8 px, as in training" in str(described(same.export, "auto"))
    assert "--scale-to native" in str(described(same.export, 5))
    assert "--scale-to trained" in str(described(same.export, "native"))
    assert "thick masks are filled at a smaller size" in str(described(replace(same.export, takes="masked"), "native"))
    assert described(opened(doubling).export, "auto") is None
    with pytest.raises(UsageError, match="give trained, native, or a short side"):
        parse_scale_to("0")


# --- outlines of photos


def test_outlines_are_drawn_at_the_training_size() -> None:
    path = catalogue.shipped_folder() / "pix2pix.safetensors"
    preparation = models.photo_preparation(path)
    photo = image(200, 130)
    photo[40:90, 60:140] = 10
    seen = Scaling.of(weights.describe(path).exports["generator"], "auto", preparation).seen(photo)
    options = EdgeOptions.model_validate(weights.describe(path).about["config"]["data"]["edges"])
    np.testing.assert_array_equal(seen, outline(resized(photo, (64, 98)), options))


@pytest.mark.parametrize(
    ("scale", "size"), [(None, (64, 48)), (4, (64, 48)), (2, (32, 24)), (1.5, (24, 18)), (1, (16, 12))]
)
def test_results_are_shrunk_to_the_scale_that_is_asked_for(scale, size) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (12, 16, 4), np.uint8)
    enlarge, whole = api.load_model("srgan/psnr", scale=scale), api.load_model("srgan/psnr")
    made = enlarge(rgba)
    assert made.shape == (size[1], size[0], 4)
    assert enlarge.scale == (scale or 4)
    np.testing.assert_array_equal(made[..., :3], resized(np.ascontiguousarray(whole(rgba)[..., :3]), made.shape[:2]))


@pytest.mark.parametrize(
    ("model", "scale", "said"),
    [
        ("srgan/psnr", 5, "--scale 5: srgan makes images 4 times as large; give 4 at most"),
        ("deblur", 2, "--scale 2: deblur makes images 1 times as large; give 1 at most"),
        ("context_encoder", 0.5, r"--scale 0\.5: context_encoder fills in what is missing; leave it out"),
    ],
)
def test_scales_that_a_model_cannot_make_are_refused(tmp_path: Path, model: str, scale: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        api.infer(model, str(tmp_path), scale=scale)
