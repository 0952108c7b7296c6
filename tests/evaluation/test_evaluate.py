"""Models measured beside what needs none, folders against folders, and what is told of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gantools import api
from gantools.errors import DataError, ModelFileError, UsageError
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.images.ops.resize import resize_bicubic
from gantools.metrics import pair_metric
from tests.evaluation.conftest import SMALL

BASELINES = {
    "srgan": ["bicubic"],
    "deblur": ["degraded input"],
    "restore": ["degraded input"],
    "pix2pix": ["input"],
    "context_encoder": ["mean fill", "Telea"],
    "cyclegan": ["input"],
}


@pytest.mark.parametrize("spec", SMALL)
def test_every_recipe_is_measured_beside_its_baselines(spec, model, images):
    recipe = spec.partition("/")[0]
    export = "a2b" if recipe == "cyclegan" else None
    found = api.evaluate(model(spec), images[recipe], device="cpu", export=export)
    means = found.means()
    truth = means.pop("truth", {})
    after = ["there and back"] if recipe == "cyclegan" else []
    assert list(means) == [*BASELINES[recipe], "model", *after]
    assert list(truth) == (["colorfulness"] if recipe in ("restore", "pix2pix") else [])
    assert found.images >= 2
    assert not found.failures
    assert len(found.rows) == found.images * (len(means) + bool(truth))
    assert all(set(values) == {metric.name for metric in found.metrics} for values in means.values())
    assert len(found.protocol) == len(found.metrics)
    assert means["model"] != means[BASELINES[recipe][0]]


def test_the_metrics_are_those_of_the_images(model, images):
    found = api.evaluate(model("srgan/compact"), images["srgan"], metrics=("psnr_rgb",), device="cpu")
    expected = []
    for path in sorted(images["srgan"].rglob("*.png")):
        high = reader.read_rgb8(path)
        expected.append(pair_metric("psnr_rgb")(resize_bicubic(resize_bicubic(high, scale=1 / 4), scale=4), high))
    assert len(expected) == found.images
    assert found.means()["bicubic"]["psnr_rgb"] == pytest.approx(np.mean(expected), abs=1e-12)


def test_a_sheet_shows_the_first_images(model, images, tmp_path):
    file = tmp_path / "sheet.png"
    found = api.evaluate(model("srgan/compact"), images["srgan"], metrics=("psnr_rgb",), device="cpu", sheet=file)
    drawn = reader.read_rgb8(tmp_path / "sheet.png")
    assert drawn.shape[0] > found.images * 96
    assert 3 * 96 < drawn.shape[1] < 3 * 110


def test_twice_is_the_same(model, images):
    first, second = (api.evaluate(model("deblur/compact"), images["deblur"], device="cpu") for _ in range(2))
    assert first.rows == second.rows


def test_settings_change_how_inputs_are_made(model, images):
    def degraded(sigma: int) -> float:
        changes = [f"data.blur.noise_sigma=[{sigma}, {sigma}]"]
        found = api.evaluate(model("deblur/compact"), images["deblur"], device="cpu", overrides=changes)
        return found.means()["degraded input"]["psnr_rgb"]

    assert degraded(0) > degraded(40) + 2


@pytest.mark.parametrize("spec", ["pix2pix/shoes-64", "restore/crappify-64"])
def test_inputs_of_the_learnt_size_are_taken_as_they_are(spec, model, images):
    """What the recipe's own validation makes is at the learnt scale, also where it is only a part of an image."""

    def means(scale_to, *overrides):
        folder = images[spec.partition("/")[0]]
        return api.evaluate(model(spec), folder, device="cpu", overrides=overrides, scale_to=scale_to).means()["model"]

    assert means("trained") == means("native")
    larger = ("data.load_px=96", "data.crop_px=96")
    assert means("trained", *larger) != means("native", *larger)
    default = "trained" if spec.startswith("pix2pix") else "native"
    assert means("auto", *larger) == means(default, *larger)


def test_models_are_compared_at_the_size_that_suits_them(model, images):
    from gantools.evaluation.run_model import run_on_file
    from gantools.inference.model import open_model

    drawn = open_model(model("pix2pix/shoes-64"), export=None, device=torch.device("cpu"))
    path = next(iter(sorted(images["pix2pix"].rglob("*.png"))))
    trained, native, auto = (run_on_file(path, drawn, None, scale) for scale in ("trained", "native", "auto"))
    assert trained.shape == native.shape
    assert (auto == trained).all()
    assert (auto != native).any()


def test_ready_pairs_are_taken_as_they_are(model, images, tmp_path):
    for number, path in enumerate(sorted(images["srgan"].rglob("*.png"))):
        high = reader.read_rgb8(path)
        for folder, pixels in (("low", high[::4, ::4]), ("high", high)):
            (tmp_path / folder).mkdir(exist_ok=True)
            writer.write(Image(np.ascontiguousarray(pixels)), tmp_path / folder / f"{number}.png")
    (tmp_path / "low" / "3.png").unlink()
    found = api.evaluate(model("srgan/compact"), tmp_path, device="cpu")
    assert found.images == 3
    assert [(failure.image, "no partner" in failure.error) for failure in found.failures] == [("high/3.png", True)]
    bicubic = resize_bicubic(reader.read_rgb8(tmp_path / "low" / "0.png"), scale=4)
    truth = reader.read_rgb8(tmp_path / "high" / "0.png")
    row = next(row for row in found.rows if (row.image, row.candidate) == ("0", "bicubic"))
    assert row.metrics["psnr_y"] == pair_metric("psnr_y")(bicubic, truth)


def test_a_damaged_image_is_a_failure_and_no_metric(model, images, tmp_path):
    for path in images["srgan"].rglob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "zz.png").write_bytes(b"\x89PNG no more")
    found = api.evaluate(model("srgan/compact"), tmp_path, device="cpu")
    assert [failure.image for failure in found.failures] == ["zz.png"]
    assert found.images == 4


def test_folders_are_compared_by_name(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        truth = rng.integers(0, 250, (24, 30, 3), np.uint8)
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "truth").mkdir(exist_ok=True)
        writer.write(Image(truth + np.uint8(5)), tmp_path / "out" / f"{name}.png")
        writer.write(Image(truth), tmp_path / "truth" / f"{name}.tif")
    found = api.evaluate_pairs(tmp_path / "out", tmp_path / "truth", device="cpu")
    assert found.means()["result"]["psnr_rgb"] == pytest.approx(20 * math.log10(255 / 5))
    same = api.evaluate_pairs(tmp_path / "truth", tmp_path / "truth", device="cpu").as_dict()
    assert same["means"]["result"]["psnr_rgb"] == 100
    assert json.loads(json.dumps(same, allow_nan=False)) == same
    assert found.as_csv().splitlines()[1].startswith("a,result,")
    assert len(found.as_csv().splitlines()) == 3


def test_sets_are_held_against_the_wanted_kind(model, images, tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "squeezenet.pth")
    features, weights = (tmp_path / "squeezenet.pth",), model("cyclegan/apple2orange-64")
    found = api.evaluate(weights, images["cyclegan"], feature_weights=features, device="cpu", export="a2b")
    distances = {candidate: values["frechet_distance"] for candidate, values in found.means().items()}
    assert set(distances) == {"input", "model", "there and back"}
    assert all(math.isfinite(value) and value > 0 for value in distances.values())
    assert "features of squeezenet1_1" in found.protocol[-1]


def test_what_cannot_be_measured_is_refused(model, images, tmp_path):
    srgan, deblur = (model(spec) for spec in ("srgan/compact", "deblur/compact"))
    for weights, data, options, said in (
        (srgan, images["srgan"], {"metrics": ("psnr_q",)}, "unknown metric 'psnr_q'"),
        (srgan, tmp_path / "nowhere", {"device": "cpu"}, "no such folder"),
        (srgan, images["srgan"], {"feature_weights": (Path("none.pth"),)}, "no such file"),
        (deblur, images["deblur"], {"device": "cpu", "overrides": ["data.blor=1"]}, r"data\.blor"),
    ):
        with pytest.raises((UsageError, DataError), match=said):
            api.evaluate(weights, data, **options)
    with pytest.raises(UsageError, match="two folders do not say what was missing"):
        api.evaluate_pairs(tmp_path, tmp_path, metrics=("hole_psnr",))


def test_weights_that_do_not_say_how_they_were_trained(model, images, tmp_path):
    from gantools.checkpoint import weights
    from gantools.inference.model import open_model

    known = weights.describe(model("deblur/compact"))
    opened = open_model(model("deblur/compact"), export=None, device=torch.device("cpu"))
    weights.save(tmp_path / "w.safetensors", "deblur", known.exports, {"generator": opened.network}, {})
    with pytest.raises(ModelFileError, match="gantools eval --pairs RESULTS TRUTHS"):
        api.evaluate(tmp_path / "w.safetensors", images["deblur"], device="cpu")
