"""``gantools export`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.exporting import graph_file
from gantools.models import GENERATORS
from gantools.models.options import CompactSROptions
from gantools.training.recipe import describe_generator


@pytest.fixture
def model(tmp_path) -> Path:
    torch.manual_seed(0)
    options = CompactSROptions(scale=2, channels=4, blocks=1)
    network = GENERATORS.build(options)
    export = describe_generator("generator", network, options, 64)
    weights.save(tmp_path / "small.safetensors", "srgan", {"generator": export}, {"generator": network}, {"step": 7})
    return tmp_path / "small.safetensors"


def test_onnx_is_written_and_its_difference_is_printed(gantools, model, tmp_path):
    ended = gantools("export", str(model), "-o", str(tmp_path / "out" / "small.onnx"))
    assert (ended.code, ended.out.strip()) == (0, str(tmp_path / "out" / "small.onnx"))
    first, images, difference = ended.err.splitlines()
    assert first == f"weights: {model} (srgan)"
    assert images.endswith("made 2 times as large")
    assert difference.startswith("largest difference from the network, by onnxruntime ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.onnx"]


def test_what_was_exported_is_not_exported_again_and_run_as_onnx_alone(gantools, model, tmp_path):
    for suffix, says in ((".pt2", "is for torch.export.load; give"), (".safetensors", "is what gantools export wrote")):
        assert gantools("export", str(model), "-o", str(tmp_path / f"out{suffix}")).code == 0
        ended = gantools("infer", str(tmp_path / f"out{suffix}"), "in.png", "-o", "out.png")
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        assert says in ended.err
    (tmp_path / "out.onnx").write_bytes(b"")
    ended = gantools("export", str(tmp_path / "out.onnx"), "-o", str(tmp_path / "again.pt2"))
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert "is an exported model already" in ended.err


def test_plain_weights_have_the_networks_own_names(gantools, model, tmp_path):
    ended = gantools("export", str(model), "-o", str(tmp_path / "plain.safetensors"), "--half", "--json")
    facts = json.loads(ended.out)
    assert facts["notes"] == ["11 tensors, 1,001 values in float16"]
    with safe_open(tmp_path / "plain.safetensors", "pt") as stored:
        assert stored.get_tensor("head.weight").dtype == torch.float16
        header = json.loads(stored.metadata()["gantools_export"])
    assert (header["recipe"], header["about"]["step"]) == ("srgan", 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-o there.onnx", "'there.onnx': exists already; --overwrite replaces it"),
        ("-o out.pth", "-o out.pth: its suffix names the format; give one of .onnx, .pt2, .safetensors"),
        ("-o folder.onnx", "-o folder.onnx: is a folder; name a file in it"),
        ("-o o.safetensors --uint8 --size 64", "--size and --uint8: a .safetensors file holds weights alone; leave it"),
        ("-o o.pt2 --opset 20", "--opset: a .pt2 file holds no ONNX; leave it out"),
        ("-o o.onnx --size 0x4", "--size 0x4: give a side in px, such as 512, or width x height, such as 640x480"),
        ("-o o.onnx --export a2b", "--export a2b: '{model}' has no such network; known: generator"),
        ("-o small.safetensors --overwrite", "'small.safetensors': is what is to be exported; give another -o"),
    ],
)
def test_what_cannot_be_exported_is_one_line(gantools, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    Path("there.onnx").touch()
    Path("folder.onnx").mkdir()
    before = sorted(tmp_path.iterdir())
    ended = gantools("export", str(model), *words.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.only_error.startswith(message.format(model=model))
    assert sorted(tmp_path.iterdir()) == before


def test_a_discriminator_and_noise_as_plain_weights_are_refused(gantools, tmp_path):
    path = tmp_path / "noise.safetensors"
    exports = {
        "generator": Export("generator", {"name": "mlp"}, 1, 1, takes="latent", latent=Latent(8), image_px=(8, 8)),
        "critic": Export("critic", {"name": "critic"}, 1, 1, takes="judged"),
    }
    weights.save(path, "gan", exports, {name: torch.nn.Linear(2, 2) for name in exports}, {})
    ended = gantools("export", str(path), "-o", str(tmp_path / "o.safetensors"), "--export", "generator")
    assert ended.code == 2
    assert "makes images from noise; it is exported as .onnx or .pt2" in ended.only_error
    ended = gantools("export", str(path), "-o", str(tmp_path / "o.onnx"), "--export", "critic")
    assert "judges images and makes none" in ended.only_error


def test_a_missing_package_is_named_with_what_to_install(gantools, model, tmp_path, monkeypatch):
    from gantools.exporting import run as exporting

    find = exporting.importlib.util.find_spec
    monkeypatch.setattr(
        exporting.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    ended = gantools("export", str(model), "-o", str(tmp_path / "o.onnx"))
    assert ended.code == 2
    assert ended.only_error == "writing ONNX needs onnxscript: pip install 'gantools[export]'"


def test_ctrl_c_leaves_nothing(gantools, model, tmp_path, monkeypatch):
    def stopped(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(graph_file.parity, "differences", stopped)
    before = sorted(tmp_path.iterdir())
    assert gantools("export", str(model), "-o", str(tmp_path / "o.pt2")).code == 130
    assert sorted(tmp_path.iterdir()) == before
