"""Exported files compute what the networks do, at sizes and batches other than the traced one."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from gantools.checkpoint.weights import Export
from gantools.errors import GantoolsError, UsageError
from gantools.exporting import graph, graph_file, parity
from gantools.exporting.options import ExportOptions
from gantools.images import ranges
from gantools.inference.memory import CpuMemory
from gantools.inference.model import Model
from gantools.inference.tiling.context import ExecutionContext
from gantools.models import GENERATORS
from gantools.models.harmonic import harmonic_square
from gantools.models.options import GeneratorOptions

HEADER: dict[str, Any] = {"schema": 1, "recipe": "demo", "exports": {}, "about": {}}
SMALL = {
    **{"channels": 4, "base_channels": 4, "max_channels": 8, "bottleneck_channels": 8},
    **{"pyramid_channels": 4, "head_channels": 4, "growth_channels": 4},
    **{"blocks": 1, "convolutions": 1, "downs": 2, "encoder": "resnet18"},
}
OTHER = {
    "compact_restoration": {"channels": (4, 4), "scale_blocks": (1, 1), "gate": True},
    "compact_sr": {"scale": 4},
    "fpn": {"norm": "batch", "encoder": "strided", "blocks": 0},
    "resnet": {"downs": 1},
    "rrdb": {"scale": 2, "unshuffle": 2},
    "resnet_unet": {"base_channels": 8},
}
"""What keeps a network small, by option, and what else a network needs or what is harder to export."""


def model_of(name: str, mode: str = "eval", **changes: Any) -> Model:
    read = TypeAdapter(GeneratorOptions).validate_python
    known = type(read({"name": name, **OTHER.get(name, {})})).model_fields
    small = {key: value for key, value in SMALL.items() if key in known}
    options = read({"name": name, **small, **OTHER.get(name, {}), **changes})
    torch.manual_seed(0)
    network: Any = GENERATORS.build(options)
    for place, layer in network.named_modules():
        if re.search(r"layer\d$", place):
            del layer[1:]  # of a ResNet's scales: one block at each
    for parameter in network.parameters():
        if not parameter.any():  # last layers that start at zero
            nn.init.normal_(parameter, std=0.1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    network.requires_grad_(False).train(mode == "train")
    export = Export(
        "generator", options.model_dump(), network.scale, network.size_multiple, network.minimum_size_px, mode=mode
    )
    return Model("demo", export, options, network, None)


def made(model: Model, suffix: str = ".onnx", **options: Any) -> tuple[bytes, Any, Any]:
    return graph_file.made(suffix, model, HEADER, ExportOptions(**options))


@functools.cache
def made_of(name: str) -> tuple[bytes, Any, Any]:
    """The ONNX file of a small generator, which several tests look at."""
    return made(model_of(name), opset=20)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_generator_agrees_with_onnxruntime_at_several_sizes(name):
    model = model_of(name)
    _, differences, _ = made_of(name)
    shapes = [each.shape for each in differences]
    assert len(set(shapes)) == 3
    assert 2 in {shape[0] for shape in shapes}
    traced = graph.Sides(model.generator.size_multiple, model.generator.minimum_size_px).example()
    assert traced not in {shape[2:] for shape in shapes}
    assert max(each.largest for each in differences) <= parity.TOLERANCE


def test_a_network_that_torch_cannot_trace_at_any_size_is_refused_with_a_way_out():
    """Threefold enlargement, which some versions of torch trace and some do not."""
    refused = "try --size N"
    try:
        _, differences, _ = made(model_of("compact_sr", scale=3))
    except GantoolsError as error:
        refused = str(error)
        _, differences, _ = made(model_of("compact_sr", scale=3), size=(8, 8))
    assert "try --size N" in refused
    assert max(each.largest for each in differences) <= parity.TOLERANCE


def test_the_smoothest_continuation_follows_the_image_size():
    class Continued(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return harmonic_square(image, image.shape[-1] // 2 - 2)

    network, side = Continued(), 4 * torch.export.Dim("side", min=2)
    program = graph.traced(network, [torch.rand(1, 1, 12, 12)], [{2: side, 3: side}])
    names = {"image": [1, 1, "side", "side"], "output": [1, 1, "half", "half"]}
    run = graph.run_onnx(graph.onnx_bytes(program, 18, {}, names))
    inputs = [[torch.rand(1, 1, length, length)] for length in (8, 28, 60)]
    parity.require(parity.differences(run, "onnxruntime", network, inputs), 1e-5)


def test_the_file_describes_itself():
    import onnx

    content, _, (line,) = made_of("rrdb")
    stored = onnx.load_from_string(content)
    facts = {each.key: each.value for each in stored.metadata_props}
    assert json.loads(facts["gantools"])["about"]["exported"]["size_multiple"] == 2
    assert facts["images"] == "RGB, float32 NCHW, -1 to 1"
    assert "multiples of 2 px" in line
    (given,), (taken,) = stored.graph.output, stored.graph.input
    axes = [axis.dim_param or axis.dim_value for axis in taken.type.tensor_type.shape.dim]
    assert (taken.name, given.name, axes) == ("image", "output", ["batch", 3, "height", "width"])
    assert stored.opset_import[0].version == 20


def test_8_bit_images_go_in_and_out():
    model = model_of("srvgg", scale=2)
    content, *_ = made(model, uint8=True)
    run = graph.run_onnx(content)
    image = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    (found,) = parity.differences(
        run,
        "onnxruntime",
        lambda images: ranges.batch_from_float(model.network(ranges.batch_to_float(images))),
        [[image]],
    )
    assert run(image).shape == (2, 10, 14, 3)
    assert found.largest <= parity.TOLERANCE


def test_batch_statistics_are_each_images_own():
    model = model_of("unet", mode="train", dropout=0.0)
    content, *_ = made(model, size=(8, 12))
    run = graph.run_onnx(content)
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1
    alone = torch.cat([model.network(image) for image in images.split(1)])
    assert torch.allclose(run(images), alone, atol=1e-5)
    assert not torch.allclose(model.network(images), alone, atol=1e-3)  # what a batch would have made of them


def test_dropout_is_refused_fixed_or_left_out():
    model = model_of("unet", mode="train", dropout=0.5, dropout_ups=1)
    with pytest.raises(UsageError, match=r"--size N fixes the noise .* --dropout off leaves it out"):
        made(model)
    content, differences, (line,) = made(model, size=(8, 12))
    assert "dropout as infer's" in line
    assert {each.shape for each in differences} == {(1, 3, 8, 12), (2, 3, 8, 12)}
    context = ExecutionContext(model, None, None, False, CpuMemory())
    image = torch.rand(1, 3, 8, 12)
    assert torch.allclose(graph.run_onnx(content)(image), context.run(image), atol=1e-5)
    _, _, (line,) = made(model, ".pt2", dropout="off", size=8)
    assert "results differ from infer's" in line
    assert model.network.training


def test_a_size_that_the_network_does_not_take_is_refused():
    with pytest.raises(UsageError, match=r"--size: 6 px; this network's sides are multiples of 4, at least 4 px"):
        made(model_of("compact_restoration"), size=(8, 6))


def test_torch_export_runs_at_other_sizes_and_describes_itself(tmp_path):
    content, differences, _ = made(model_of("compact_sr", scale=2), ".pt2")
    (tmp_path / "model.pt2").write_bytes(content)
    extra = {"gantools.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra["gantools.json"])["recipe"] == "demo"
    assert program.module()(torch.rand(3, 3, 5, 6)).shape == (3, 3, 10, 12)
    assert len(differences) == 3


def test_half_precision_halves_the_file_and_says_so():
    model = model_of("srvgg", channels=32)
    content, _, (line,) = made(model, half=True, size=8)
    assert len(content) < 3 * sum(value.numel() for value in model.network.state_dict().values())
    assert "computed in float16" in line


def test_a_network_that_cannot_be_traced_is_refused_with_what_to_try():
    class Settled(nn.Module):
        scale, size_multiple, minimum_size_px = 4, 1, 1

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image * int(image.sum())

    model = replace(model_of("srvgg"), network=Settled().eval())
    with pytest.raises(GantoolsError, match=r"cannot trace this network for images of any size; try --size N \(.*\)$"):
        made(model)


def test_a_file_that_computes_something_else_is_refused(monkeypatch):
    run = graph.run_pt2
    monkeypatch.setattr(graph, "run_pt2", lambda content: lambda image: run(content)(image) + 2e-4)
    with pytest.raises(GantoolsError, match=r"torch .* differs by 2.0e-04, more than 0.0001; nothing was"):
        made(model_of("srvgg"), ".pt2", size=8)


def test_the_smallest_size_is_one_at_which_the_file_agrees(monkeypatch):
    run = graph.run_pt2
    monkeypatch.setattr(
        graph, "run_pt2", lambda content: lambda image: run(content)(image) + 2e-4 * (image.shape[-1] == 4)
    )
    _, differences, (line,) = made(model_of("resnet"), ".pt2")
    assert differences[0].shape == (1, 3, 6, 6)
    assert "from 6 px on" in line
