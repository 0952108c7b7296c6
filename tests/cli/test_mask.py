"""``gantools infer --mask``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.checkpoint import weights
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.models import GENERATORS
from gantools.models.options import ContextEncoderOptions
from gantools.training.recipe import describe_generator


@pytest.fixture
def filler(here: Path) -> str:
    options = ContextEncoderOptions(overlap_px=2, downs=3, base_channels=4, bottleneck_channels=8)
    network = GENERATORS.build(options)
    export = replace(describe_generator("generator", network, options, 32), takes="masked")
    weights.save(here / "filler.safetensors", "context_encoder", {"generator": export}, {"generator": network}, {})
    return "filler.safetensors"


def photo(name: str, height: int = 30, width: int = 40) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    writer.write(Image(pixels), Path(name))
    return pixels


def mask(name: str, height: int = 30, width: int = 40, side_px: int = 6) -> np.ndarray:
    hole = np.zeros((height, width, 3), np.uint8)
    hole[4 : 4 + side_px, 5 : 5 + side_px] = 255
    writer.write(Image(hole), Path(name))
    return hole[..., 0] > 0


def test_a_mask_file(gantools: Any, filler: str) -> None:
    before, hole = photo("in.png"), mask("mask.png")
    done = gantools("infer", filler, "in.png", "--mask", "mask.png")
    assert (done.code, done.out) == (0, "in.filler.png\n"), done.err
    after = reader.read("in.filler.png").pixels
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).any()


def test_a_mask_that_leaves_out_most_of_the_image_gets_a_warning(gantools: Any, filler: str) -> None:
    photo("in.png")
    mask("mask.png", side_px=6)
    assert "inverted" not in gantools("infer", filler, "in.png", "--mask", "mask.png").err
    inverted = 255 - reader.read("mask.png").pixels
    writer.write(Image(inverted), Path("inverted.png"))
    done = gantools("infer", filler, "in.png", "--mask", "inverted.png", "--overwrite")
    assert (
        "'in.png': the mask leaves out 97% of the image; is it inverted? White is missing, black is known" in done.err
    )
    pixels = reader.read("in.png").pixels
    for name, alpha in (("few.png", inverted), ("most.png", reader.read("mask.png").pixels)):
        writer.write(Image(pixels, alpha[..., 0]), Path(name))
    done = gantools("infer", filler, "few.png", "most.png", "-o", "filled")
    assert [line for line in done.err.splitlines() if "leaves out" in line] == [
        "gantools: warning: 'most.png': the transparency leaves out 97% of the image; is it inverted? Opaque is known"
    ]


def test_a_method_is_named_in_results_and_in_the_summary(gantools: Any, filler: str) -> None:
    before, hole = photo("in.png"), mask("mask.png")
    planned = gantools("infer", filler, "in.png", "--mask", "mask.png", "--method", "telea", "-n", "-v")
    assert (planned.code, planned.out) == (0, "in.filler-telea.png\n"), planned.err
    assert not Path("in.filler-telea.png").exists()
    done = gantools("infer", filler, "in.png", "--mask", "mask.png", "--method", "auto", "--json")
    first, summary = map(json.loads, done.out.splitlines())
    assert (done.code, first["output"], first["status"]) == (0, "in.filler-auto.png", "done"), done.err
    assert (summary["summary"]["method"], summary["summary"]["done"]) == ("auto", 1)
    after = reader.read("in.filler-auto.png").pixels
    np.testing.assert_array_equal(after[~hole], before[~hole])
