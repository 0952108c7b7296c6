"""ONNX files as models: our own, other programs', those of one size, and those that want what they must not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from gantools import api, infer, load_model
from gantools.checkpoint import weights
from gantools.errors import GantoolsError, ImageError, ModelFileError, UsageError
from gantools.images.io import reader
from gantools.inference import onnx_session
from gantools.inference.memory import CpuMemory
from gantools.inference.model import open_model
from gantools.inference.onnx_model import OnnxNetwork
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import translate
from gantools.models.options import CompactRestorationOptions, CompactSROptions, ResNetOptions
from gantools.training.recipe import describe_generator
from tests.inference.networks import CPU, LimitedMemory, build_network, image

ANY = ("n", 3, "h", "w")


def put(path: Path, nodes: list[Any], given: Any = ANY, made: Any = ANY, **other: Any) -> Path:
    """A file of another program: ``nodes`` between ``image`` and ``output``."""
    kind = other.get("kind", TensorProto.FLOAT)
    inputs = [helper.make_tensor_value_info(name, kind, given) for name in other.get("inputs", ["image"])]
    outputs = [helper.make_tensor_value_info(name, kind, made) for name in other.get("outputs", ["output"])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, other.get("tensors", []))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    for key, value in other.get("metadata", {}).items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def constant(name: str, value: Any) -> Any:
    return numpy_helper.from_array(np.asarray(value), name)


def negative(path: Path, given: Any = ANY, **other: Any) -> Path:
    """1 - x."""
    return put(
        path,
        [helper.make_node("Sub", ["one", "image"], ["output"])],
        given,
        given,
        tensors=[constant("one", np.float32(1))],
        **other,
    )


def pooled(path: Path) -> Path:
    """Means of 4×4 pixels, repeated 8 times: twice as large, for multiples of 4."""
    nodes = [
        helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Resize", ["small", "", "scales"], ["output"], mode="nearest"),
    ]
    return put(path, nodes, tensors=[constant("scales", np.float32([1, 1, 8, 8]))])


def blurred(path: Path, side: int) -> Path:
    """A 5×5 mean with reflection at the border, of one size."""
    kernel = np.zeros((3, 3, 5, 5), np.float32)
    kernel[range(3), range(3)] = 1 / 25
    nodes = [
        helper.make_node("Pad", ["image", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Conv", ["padded", "kernel"], ["output"]),
    ]
    tensors = [constant("kernel", kernel), constant("pads", np.int64([0, 0, 2, 2, 0, 0, 2, 2]))]
    shape = (1, 3, side, side) if side else ANY
    return put(path, nodes, shape, shape, tensors=tensors)


def run(path: Path, pixels: Any, **options: Any) -> Any:
    return np.asarray(load_model(path, device="cpu", **options)(pixels))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, Path]:
    """Weights, and the ONNX file made of them."""
    tmp_path = tmp_path_factory.mktemp("exported")
    options = CompactRestorationOptions(channels=(4, 8), scale_blocks=(1, 1))
    network = build_network(options)
    export = describe_generator("generator", network, options, 64)
    weights.save(tmp_path / "own.safetensors", "deblur", {"generator": export}, {"generator": network}, {"step": 3})
    api.export_model(tmp_path / "own.safetensors", tmp_path / "own.onnx")
    return tmp_path / "own.safetensors", tmp_path / "own.onnx"


def test_an_exported_file_makes_what_its_weights_make(exported, tmp_path):
    ours, onnx_file = exported
    for pixels in (image(37, 50), image(3, 1), image(150, 90, np.uint16)):
        wanted, made = run(ours, pixels), run(onnx_file, pixels)
        assert made.dtype == wanted.dtype
        assert np.abs(made.astype(int) - wanted).max() <= (1 if made.dtype == np.uint8 else 2)
    whole = run(onnx_file, image(150, 90))
    assert np.abs(run(onnx_file, image(150, 90), tile=32).astype(int) - whole).max() <= 1


def test_what_does_not_fit_the_memory_is_cut(exported):
    pixels = image(150, 90)
    ours, model = (open_model(path, export=None, device=CPU) for path in exported)
    bytes_per_px = ExecutionContext(model, None, None, False, CpuMemory()).activation_bytes_per_px()
    ours_per_px = ExecutionContext(ours, None, None, False, CpuMemory()).activation_bytes_per_px()
    assert 0.5 < bytes_per_px / ours_per_px < 2  # equal but for what torch's own layers keep
    made = translate(pixels, model, memory=LimitedMemory(int(bytes_per_px * 100 * 90)))
    assert np.abs(made.astype(int) - translate(pixels, ours)).max() <= 1


def test_files_go_through_the_whole_pipeline(exported, tmp_path):
    (tmp_path / "in").mkdir()
    veiled = np.dstack([image(30, 20), np.full((20, 30), 100, np.uint8)])
    for number in range(3):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), veiled)
    with infer(exported[1], [tmp_path / "in"], output=tmp_path / "out", device="cpu", io_workers=0) as results:
        assert [result.status for result in results] == ["done"] * 3
        assert "deblur" in results.notes[0]
        assert results.notes[-1].startswith("onnxruntime ")
    made = reader.read(tmp_path / "out" / "0.png")
    assert made.pixels.shape == (20, 30, 3)
    assert made.alpha is not None
    assert api.describe_weights(str(exported[1]))["file"]["about"]["step"] == 3


def test_another_programs_file_is_read_as_unit_range_rgb(tmp_path):
    path = negative(tmp_path / "negative.onnx")
    pixels = image(30, 21)
    assert np.array_equal(run(path, pixels), 255 - pixels)
    model = open_model(path, export=None, device=CPU)
    assert "another program's file: RGB in [0, 1] in and out, ×1; sides in multiples of 1 px" in model.note
    assert (tmp_path / "x.png").exists() is False


def test_scale_and_multiple_are_found_by_trying(tmp_path):
    path = pooled(tmp_path / "pooled.onnx")
    model = open_model(path, export=None, device=CPU)
    assert (model.generator.scale, model.generator.size_multiple) == (2, 4)
    pixels = image(65, 71)
    made = run(path, pixels)
    assert made.shape == (142, 130, 3)
    assert abs(int(made[0, 0, 0]) - pixels[:4, :4, 0].mean()) <= 1


@pytest.mark.parametrize("size", [(64, 64), (200, 150), (20, 100)])
def test_a_file_of_one_size_is_given_overlapping_parts(tmp_path, size):
    fixed, free = blurred(tmp_path / "fixed.onnx", 64), blurred(tmp_path / "free.onnx", 0)
    pixels = image(*size)
    made, wanted = run(fixed, pixels), run(free, pixels)
    assert made.shape == pixels.shape
    inside = (slice(0, -3), slice(0, -3))  # what is smaller than a part is continued by reflection of another border
    assert np.abs(made[inside].astype(int) - wanted[inside]).max() <= 1


def test_an_exported_file_of_one_size_computes_larger_images_in_parts(tmp_path):
    options = CompactSROptions(scale=2, channels=4, blocks=1)
    network = build_network(options)
    export = describe_generator("generator", network, options, 64)
    path = tmp_path / "own.safetensors"
    weights.save(path, "srgan", {"generator": export}, {"generator": network}, {})
    api.export_model(path, tmp_path / "fixed.onnx", size=40, uint8=True)
    pixels = image(101, 77)
    assert np.abs(run(tmp_path / "fixed.onnx", pixels).astype(int) - run(path, pixels)).max() <= 1
    with pytest.raises(UsageError, match=r"--tile 32: .* takes 40×40 px alone; leave it out"):
        run(tmp_path / "fixed.onnx", pixels, tile=32)


@pytest.mark.parametrize(("norm", "said"), [("instance", True), ("batch", False)])
def test_parts_of_a_network_that_sees_the_whole_image_are_said_to_differ(tmp_path, norm, said):
    options = ResNetOptions(base_channels=4, blocks=1, norm=norm)
    network = build_network(options)
    export = describe_generator("generator", network, options, 64)
    weights.save(tmp_path / "own.safetensors", "cyclegan", {"generator": export}, {"generator": network}, {})
    api.export_model(tmp_path / "own.safetensors", tmp_path / "fixed.onnx", size=32)
    note = open_model(tmp_path / "fixed.onnx", export=None, device=CPU).note
    assert ("parts differ from the whole" in note) == said


def test_half_floats_and_gray_are_taken(tmp_path):
    nodes = [helper.make_node("Sub", ["one", "image"], ["output"])]
    shape = ("n", 1, "h", "w")
    path = put(
        tmp_path / "half.onnx",
        nodes,
        shape,
        shape,
        kind=TensorProto.FLOAT16,
        tensors=[constant("one", np.float16(1))],
    )
    pixels = np.repeat(image(12, 9)[..., :1], 3, axis=2)
    assert np.abs(run(path, pixels).astype(int) - (255 - pixels)).max() <= 1


NEGATE = [helper.make_node("Neg", ["image"], ["output"])]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: put(path, NEGATE, ("n", "l"), ("n", "l")), "'image' has 2 axes; images have four: batch"),
        (lambda path: put(path, NEGATE, ("n", "h", "w", 3), ("n", "h", "w", 3)), None),
        (lambda path: put(path, NEGATE, (1, 64, 64, 3), (1, 64, 64, 3)), "takes 1×64×64×3 .* channels first"),
        (lambda path: put(path, NEGATE, (4, 3, 8, 8), (4, 3, 8, 8)), "takes 4 images at once; one, or any"),
        (
            lambda path: put(path, NEGATE, (1, 3, 8, "w"), (1, 3, 8, "w")),
            "one fixed side; both sides fixed, or",
        ),
        (lambda path: put(path, NEGATE, (1, 3, 1 << 40, 9), (1, 3, 9, 9)), "images of 9×1099511627776 px alone"),
        (lambda path: put(path, NEGATE, inputs=["image", "mask"]), "has 2 inputs; models from one image to one"),
        (lambda path: put(path, NEGATE, outputs=["output", "image"]), "has 2 outputs; models from one image"),
        (lambda path: put(path, NEGATE, kind=TensorProto.INT64), "'image' is no tensor of float32, float16 or uint8"),
        (lambda path: put(path, NEGATE, kind=TensorProto.UINT8), "takes uint8 and makes uint8; floats in and out"),
        (lambda path: put(path, [helper.make_node("Nothing", ["image"], ["output"])]), "onnxruntime refuses it"),
        (lambda path: put(path, NEGATE, metadata={"gantools": "[]"}), "has a description that gantools did not write"),
        (lambda path: put(path, NEGATE, metadata={"gantools": '{"exports": 1}'}), "has a description that gantools"),
        (
            lambda path: put(path, NEGATE, metadata={"gantools": '{"recipe": "a", "exports": {"a": 1}, "about": {}}'}),
            "has a description that gantools",
        ),
        (lambda path: path.write_bytes(b""), "has 0 inputs"),
        (lambda path: path.write_bytes(b"\xff" * 99), "is no ONNX model, or a damaged one"),
        (lambda path: path.write_bytes(negative(path).read_bytes()[:-9]), "is no ONNX model, or a damaged one"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(tmp_path, make, message):
    path = tmp_path / "other.onnx"
    make(path)
    with pytest.raises(ModelFileError, match=message) as refused:
        open_model(path, export=None, device=CPU)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../secret", "wants to read '../secret', which is outside of its folder"),
        ("/etc/passwd", "wants to read '/etc/passwd', which is outside of its folder"),
        ("..\\secret", "which is outside of its folder"),
        ("C:secret", "which is outside of its folder"),
        ("link", "wants to read 'link', a link out of its folder"),
        ("missing.data", "lacks 'missing.data', which holds its tensors and belongs beside it"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_tensors_outside_of_the_folder_are_never_read(tmp_path, location, message, nested):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4))
    (folder / "link").symlink_to(tmp_path / "secret")
    outside = constant("one", np.float32([1]))
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=location)
    nodes = [helper.make_node("Sub", ["one", "image"], ["output"])]
    if nested:
        nodes.insert(0, helper.make_node("Constant", [], ["one"], value=outside))
    path = put(folder / "other.onnx", nodes, tensors=[] if nested else [outside])
    with pytest.raises(ModelFileError, match=message.replace("\\", "\\\\")):
        open_model(path, export=None, device=CPU)


def test_tensors_beside_the_file_are_read(tmp_path):
    path = negative(tmp_path / "other.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="other.onnx.data", size_threshold=0)
    assert (tmp_path / "other.onnx.data").exists()
    pixels = image(9, 9)
    assert np.array_equal(run(path, pixels), 255 - pixels)


def test_a_description_that_does_not_fit_is_refused(exported, tmp_path):
    model = onnx.load(exported[1])
    stored = next(each for each in model.metadata_props if each.key == "gantools")
    for changes, message in (
        ({"scale": 3}, "does not fit its compact_restoration"),
        ({"options": {"name": "compact_sr", "blocks": 10**6}}, "too few|no network"),
        ({"options": {"name": "compact_sr", "in_channels": 1, "out_channels": 1}}, "other channels than it says"),
        ({"scale": "x"}, "does not fit"),
    ):
        header = json.loads(stored.value)
        header["exports"]["generator"].update(changes)
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        next(each for each in changed.metadata_props if each.key == "gantools").value = json.dumps(header)
        onnx.save(changed, tmp_path / "changed.onnx")
        with pytest.raises(ModelFileError, match=message):
            open_model(tmp_path / "changed.onnx", export=None, device=CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "bf16"}, "--precision bf16: .* computes as it was exported; leave it out"),
        ({"compile": True}, "--compile: .* is an ONNX file"),
        ({"blend": 0.5, "blend_with": "srgan"}, "--blend: .* is an ONNX file"),
        ({"device": "tpu"}, "--device tpu: no such device; give auto, cpu, cuda"),
        ({"device": "cuda"}, "--device cuda: this onnxruntime runs on CPU; pip install onnxruntime-gpu"),
        ({"export": "a2b"}, "--export a2b: .* has no such network"),
    ],
)
def test_options_that_an_onnx_file_cannot_have(tmp_path, monkeypatch, options, message):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx_session.CPU])
    with pytest.raises(UsageError, match=message):
        load_model(negative(tmp_path / "other.onnx"), **options)


def test_what_does_not_run_says_so(tmp_path):
    path = put(
        tmp_path / "other.onnx",
        [helper.make_node("Add", ["image", "plane"], ["output"])],
        tensors=[constant("plane", np.zeros((1, 1, 64, 64), np.float32))],
    )
    with pytest.raises(ModelFileError, match="runs on 64×64 px, but on no other size that was tried"):
        open_model(path, export=None, device=CPU)
    session = onnx_session.open_session(path, "cpu")
    with pytest.raises(ImageError, match=r"does not run on an input of 1×3×9×9 \([^/]*\)$"):
        session.run(np.zeros((1, 3, 9, 9), np.float32))


def test_a_network_says_what_it_made(tmp_path):
    path = put(tmp_path / "other.onnx", NEGATE)
    model = open_model(path, export=None, device=CPU)
    network = model.network
    assert isinstance(network, OnnxNetwork)
    network.scale = 2
    with pytest.raises(GantoolsError, match="made 1×3×4×4 where 1×3×8×8 was expected"):
        network(torch.zeros(1, 3, 4, 4))


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    import sys

    path = negative(tmp_path / "other.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"running ONNX files needs onnx and onnxruntime: pip install '"):
        open_model(path, export=None, device=CPU)
