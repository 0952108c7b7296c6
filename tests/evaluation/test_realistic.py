"""Inputs as users bring them: made by a fixed chain, told in the result, a row for each kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gantools import api
from gantools.data.synthetic import drawing
from gantools.errors import ImageError, UsageError
from gantools.evaluation.realistic import Chain
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.images.ops.resize import resize_bicubic
from gantools.metrics import pair_metric


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two drawn photos that are large enough for every metric; 258 px leave two over."""
    drawn, folder = tmp_path_factory.mktemp("drawn"), tmp_path_factory.mktemp("photos")
    drawing.draw_dataset("scenes", drawn, count=2, size_px=258, seed=1)
    for number, path in enumerate(sorted(drawn.rglob("*.png"))[:2]):
        writer.write(Image(reader.read_rgb8(path)), folder / f"{number}.png")
    return folder


def as_jpeg(photo, quality):
    """By OpenCV, its sampling of colours given."""
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, stored = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])
    return cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1]


def test_a_photo_is_cut_shrunk_and_saved(photos):
    photo = reader.read_rgb8(photos / "0.png")
    truth, inputs = Chain(4, (80,)).inputs(photo)
    assert np.array_equal(truth, photo[1:257, 1:257])
    assert list(inputs) == ["JPEG 80"]
    assert np.array_equal(inputs["JPEG 80"], as_jpeg(resize_bicubic(truth, scale=1 / 4), 80))
    with pytest.raises(ImageError, match="too small to be shrunk 4 times"):
        Chain(4, (80,)).inputs(photo[:3])


def test_a_photo_that_is_not_shrunk_keeps_every_pixel(photos):
    photo = reader.read_rgb8(photos / "0.png")
    truth, inputs = Chain(1, (15, 95)).inputs(photo)
    assert np.array_equal(truth, photo)
    assert all(np.array_equal(inputs[f"JPEG {quality}"], as_jpeg(photo, quality)) for quality in (15, 95))


def test_a_model_that_enlarges(model, photos):
    found = api.evaluate(model("srgan/compact"), photos, inputs="realistic", device="cpu")
    names = ["psnr_y", "ssim_y", "flat_texture", "lattice", "niqe_kodak"]
    assert [metric.name for metric in found.metrics] == names
    assert list(found.means()) == ["bicubic", "model", "truth"]
    assert found.inputs.startswith("realistic 1: cut to multiples of 4 px, shrunk by antialiased bicubic")
    assert found.as_dict()["inputs"] == found.inputs
    assert "JPEG 80 (4:2:0, OpenCV " in found.inputs
    truth, inputs = Chain(4, (80,)).inputs(reader.read_rgb8(photos / "0.png"))
    row = found.rows[0]
    assert (row.image, row.candidate) == ("0.png", "bicubic")
    bicubic = resize_bicubic(inputs["JPEG 80"], scale=4)
    assert row.metrics["psnr_y"] == pair_metric("psnr_y")(bicubic, truth)
    assert row.metrics["flat_texture"] == pair_metric("flat_texture")(bicubic, truth)


def test_each_quality_is_a_row_and_a_limit_holds_for_each(model, photos):
    found = api.evaluate(model("restore/crappify-64"), photos, inputs="realistic", metrics=["psnr"], device="cpu")
    means = {name: values["psnr_rgb"] for name, values in found.means().items()}
    kinds = [f"JPEG {quality}" for quality in (15, 25, 40, 80, 95)]
    assert list(means) == [f"{who}, {kind}" for kind in kinds for who in ("degraded input", "model")]
    given = [means[f"degraded input, {kind}"] for kind in kinds]
    assert given == sorted(given)
    middle = sorted(means[f"model, {kind}"] for kind in kinds)[2]
    missed = found.missed([f"psnr_rgb={middle}"])
    assert len(missed) == 2
    assert missed[0].startswith("model, JPEG ")
    assert found.inputs.startswith("realistic 1: saved as JPEG 15, 25, 40, 80, 95 (4:2:0")


def test_of_pairs_the_truths_are_taken(model, photos, tmp_path):
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    photo = reader.read_rgb8(photos / "0.png")
    writer.write(Image(photo), tmp_path / "high" / "a.png")
    writer.write(Image(resize_bicubic(photo, size=(64, 64))), tmp_path / "low" / "a.png")
    found = api.evaluate(model("srgan/compact"), tmp_path, inputs="realistic", metrics=["psnr_y"], device="cpu")
    assert found.images == 1
    assert not found.failures


def test_recipes_without_such_inputs_are_refused(model, photos):
    with pytest.raises(UsageError, match="only for models that enlarge or restore"):
        api.evaluate(model("deblur/compact"), photos, inputs="realistic", device="cpu")
