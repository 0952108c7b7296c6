"""Exported files of networks that start from noise compute what those do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantools.checkpoint.weights import Export, Latent
from gantools.errors import UsageError
from gantools.exporting import graph, latent_file
from gantools.exporting.options import ExportOptions
from gantools.generation.model import LatentModel
from gantools.models import LATENT_GENERATORS

HEADER: dict[str, Any] = {"schema": 1, "recipe": "demo", "exports": {}, "about": {}}
SMALL: dict[str, tuple[dict[str, Any], Latent]] = {
    "dense_conv": (
        {"latent_size": 8, "condition_size": 3, "dense_units": 8, "channels": (4,)},
        Latent(8, classes=("a", "b", "c")),
    ),
    "progressive": ({"latent_size": 8, "levels": 3, "channel_base": 64, "max_channels": 8}, Latent(8, levels=3)),
    "style": (
        {"latent_size": 8, "style_size": 8, "image_px": 8, "channel_base": 64, "max_channels": 8, "mapping_layers": 1},
        Latent(8, rows=4),
    ),
}


def model_of(name: str) -> LatentModel:
    arguments, latent = SMALL[name]
    torch.manual_seed(0)
    network: Any = LATENT_GENERATORS.factory(name)(**arguments)
    assert network.latent_size == latent.size
    network.requires_grad_(False).eval()
    if name == "progressive":
        network.grow(1, 0.25)
    export = Export("generator", {"name": name}, 1, 1, takes="latent", latent=latent)
    return LatentModel("demo", export, network, torch.device("cpu"))


@pytest.mark.parametrize("name", list(SMALL))
def test_generators_agree_with_onnxruntime_at_other_batches(name):
    model = model_of(name)
    _, differences, (line,) = latent_file.made(".onnx", model, HEADER, ExportOptions())
    assert [each.shape[0] for each in differences] == [1, 3]
    assert f"latent: {model.latent.size} values" in line


def test_images_of_8_bits_come_out():
    model = model_of("progressive")
    content, _, (line,) = latent_file.made(".pt2", model, HEADER, ExportOptions(uint8=True))
    made = graph.run_pt2(content)(torch.randn(2, 8))
    assert (made.dtype, made.shape) == (torch.uint8, (2, 8, 8, 3))
    assert "images: 8×8 px, 3 channels, uint8 NHWC" in line


def test_options_of_networks_that_take_images_are_refused():
    for options in (ExportOptions(size=8), ExportOptions(dropout="off"), ExportOptions(half=True)):
        with pytest.raises(UsageError, match="makes images from noise, of one size, in float32; leave it out"):
            latent_file.made(".onnx", model_of("style"), HEADER, options)
