"""What a model is called on the command line: installed names, runs, files; blends; labels of results."""

from __future__ import annotations

import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools.checkpoint import weights
from gantools.errors import ModelFileError, UsageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference.find_weights import label_of, recipe_of, resolve, resolve_blend


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def put(identity: Path) -> Any:
    def at(name: str) -> Path:
        path = Path(name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(identity, path))

    return at


def test_a_name_means_installed_weights_and_dot_slash_or_a_path_object_a_path(put: Any) -> None:
    installed = put("home/weights/demo.safetensors")
    put("demo/weights/last.safetensors")
    assert resolve("demo") == installed
    for path in ("./demo", Path("demo")):
        assert resolve(path) == Path("demo/weights/last.safetensors")
    with pytest.raises(UsageError, match='did you mean "demo"'):
        resolve("dmo")


def test_two_words_are_a_name_where_such_weights_are_installed(put: Any) -> None:
    installed = put("home/weights/demo/soft.safetensors")
    put("runs/demo/weights/last.safetensors")
    assert resolve("demo/soft") == installed
    assert resolve("runs/demo") == Path("runs/demo/weights/last.safetensors")
    with pytest.raises(UsageError, match='did you mean "demo/soft"'):
        resolve("demo/sof")


def test_a_run_means_its_best_weights(put: Any, tmp_path: Path) -> None:
    for name in ("last", "best"):
        put(f"run/weights/{name}.safetensors")
    assert resolve(str(tmp_path / "run")) == tmp_path / "run" / "weights" / "best.safetensors"
    assert resolve("run").name == "best.safetensors", "a plain word that is no installed name is a path"


def test_what_holds_no_weights_is_refused() -> None:
    for name in ("run", "young"):
        Path(name).mkdir()
    for name in ("run.json", "config.yaml"):
        Path("young", name).touch()
    writer.save(Image(np.zeros((2, 3, 3), np.uint8)), Path("photos/a.png"))
    for typed, said in (
        ("./run", r"'run': no run with weights \(it has no weights/last.safetensors\)"),
        ("./young", "'young': a run without weights yet: they come with its first checkpoint"),
        ("./photos", "'photos': is a folder of images, not a run"),
        ("./x.safetensors", "x.safetensors': no such"),
    ):
        with pytest.raises(UsageError, match=said):
            resolve(typed)


def test_foreign_files_are_named_in_one_line(identity: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, "new.pth")
    torch.save({"weight": torch.zeros(2)}, "old.pth", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    writer.save(Image(np.zeros((2, 3, 3), np.uint8)), Path("a.png"))
    Path("mine.yaml").write_text("recipe: pix2pix\n")
    for name, content in (
        ("net.onnx", bytes([8, 9, 18, 7]) + b"pytorch"),
        ("text", b"hello"),
        ("empty", b""),
        ("other", struct.pack("<Q", 2) + b"{}"),
        ("cut", identity.read_bytes()[:-100]),
    ):
        Path(name).write_bytes(content)
    for name, says in (
        ("new.pth", "'new.pth': is a PyTorch checkpoint; gantools reads"),
        ("old.pth", "is a PyTorch checkpoint; gantools reads"),
        ("net.onnx", "has 0 inputs; models from one image to one image are run"),
        ("all.zip", "is a zip archive"),
        ("mine.yaml", "is a configuration, not a model: gantools train mine.yaml"),
        ("a.png", "is an image, not a model: type the model first"),
        ("text", "not an intact safetensors file"),
        ("empty", "is empty: download it again"),
        ("cut", "not an intact safetensors file"),
        ("other", "not gantools weights"),
    ):
        for read in (recipe_of, weights.describe):
            with pytest.raises(ModelFileError, match=says if read is recipe_of else says[-20:]) as caught:
                read(Path(name))
            assert "\n" not in str(caught.value)
    assert recipe_of(identity) == "demo"


def test_a_blend_needs_a_share_and_something_to_blend_with(identity: Path) -> None:
    assert resolve_blend(resolve("srgan/gan"), 0.5, None) == (resolve("srgan/psnr"), 0.5)
    assert resolve_blend(identity, 1, identity) == (identity, 1)
    assert resolve_blend(identity, None, None) is None
    with pytest.raises(UsageError, match="add --blend and how much of"):
        resolve_blend(identity, None, "srgan")
    with pytest.raises(UsageError, match=r"--blend 1\.5: give a number from 0 to 1"):
        resolve_blend(identity, 1.5, identity)
    with pytest.raises(UsageError, match="names nothing to blend with; add --blend-with"):
        resolve_blend(identity, 0.5, None)


@pytest.mark.parametrize(
    ("typed", "chosen", "label"),
    [
        ("srgan", {}, "srgan"),
        ("srgan/psnr", {}, "srgan-psnr"),
        ("srgan", {"blend": 0.5}, "srgan-0.5"),
        ("srgan", {"blend": 0.5, "blend_with": "deblur"}, "srgan-0.5-deblur"),
        ("runs/apples", {"network": "a2b"}, "apples-a2b"),
        ("runs/apples/", {}, "apples"),
        (Path("runs/apples/weights/last.safetensors"), {}, "apples-last"),
        ("runs/apples/weights/best.safetensors", {"blend": 1.0}, "apples-best-1"),
        ("./mine.safetensors", {}, "mine"),
        ("weights/mine.v2.safetensors", {}, "mine.v2"),
        ("fpn_mobilenet.h5", {}, "fpn_mobilenet"),
    ],
)
def test_results_are_named_after_what_was_typed(tmp_path: Path, typed: str | Path, chosen: Any, label: str) -> None:
    (tmp_path / "runs" / "apples" / "weights").mkdir(parents=True)
    (tmp_path / "runs" / "apples" / "config.yaml").touch()
    assert label_of(typed, **chosen) == label


def test_here_is_named_after_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shoes").mkdir()
    monkeypatch.chdir(tmp_path / "shoes")
    assert label_of(".") == label_of(Path()) == "shoes"
