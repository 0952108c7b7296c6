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
def installed(tmp_path: Path, identity: Path) -> Path:
    target = tmp_path / "home" / "weights" / "demo.safetensors"
    target.parent.mkdir(parents=True)
    shutil.copy(identity, target)
    return target


def test_a_name_means_installed_weights_even_beside_a_folder_of_that_name(tmp_path: Path, installed: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert resolve("demo") == installed


@pytest.mark.usefixtures("installed")
def test_dot_slash_and_path_objects_are_paths(tmp_path: Path, identity: Path) -> None:
    run = tmp_path / "demo" / "weights"
    run.mkdir(parents=True)
    shutil.copy(identity, run / "last.safetensors")
    assert resolve("./demo") == Path("demo/weights/last.safetensors")
    assert resolve(Path("demo")) == Path("demo/weights/last.safetensors")


def test_a_run_means_its_best_weights(tmp_path: Path, identity: Path) -> None:
    folder = tmp_path / "run" / "weights"
    folder.mkdir(parents=True)
    for name in ("last", "best"):
        shutil.copy(identity, folder / f"{name}.safetensors")
    assert resolve(str(tmp_path / "run")) == folder / "best.safetensors"
    assert resolve("run").name == "best.safetensors", "a plain word that is no installed name is a path"


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match=r"'run': no run with weights \(it has no weights/last.safetensors\)"):
        resolve("./run")


@pytest.mark.usefixtures("installed")
def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match='did you mean "demo"'):
        resolve("dmo")


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'./x.safetensors': no such|'x.safetensors': no such"):
        resolve("./x.safetensors")


def test_the_recipe_is_read_from_the_header(identity: Path) -> None:
    assert recipe_of(identity) == "demo"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "not an intact safetensors file"),
        (b"", "not an intact safetensors file"),
        (struct.pack("<Q", 2) + b"{}", "not gantools weights"),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=reason) as caught:
        recipe_of(path)
    assert "\n" not in str(caught.value)


def test_truncated_weights_are_refused(tmp_path: Path, identity: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(identity.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="not an intact safetensors file"):
        recipe_of(path)


def test_two_words_are_a_name_where_such_weights_are_installed(tmp_path: Path, identity: Path) -> None:
    weights, run = tmp_path / "home" / "weights" / "demo" / "soft.safetensors", tmp_path / "runs" / "demo" / "weights"
    for folder in (weights.parent, run):
        folder.mkdir(parents=True)
    shutil.copy(identity, weights)
    shutil.copy(identity, run / "last.safetensors")
    assert resolve("demo/soft") == weights
    assert resolve("runs/demo") == Path("runs/demo/weights/last.safetensors")
    with pytest.raises(UsageError, match='did you mean "demo/soft"'):
        resolve("demo/sof")


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
        ("colorize", {}, "colorize"),
        ("restore", {}, "restore"),
        ("srgan", {"blend": 0.5}, "srgan-0.5"),
        ("srgan", {"blend": 0.5, "blend_with": "deblur"}, "srgan-0.5-deblur"),
        ("runs/apples", {"network": "a2b"}, "apples-a2b"),
        ("runs/apples/", {}, "apples"),
        (Path("runs/apples/weights/last.safetensors"), {}, "apples-last"),
        ("runs/apples/weights/best.safetensors", {"blend": 1.0}, "apples-best-1"),
        ("./mine.safetensors", {}, "mine"),
        ("weights/mine.v2.safetensors", {}, "mine.v2"),
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


def test_files_of_others_are_named(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "new.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "net.onnx").write_bytes(bytes([8, 9, 18, 7]) + b"pytorch")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "mine.yaml").write_text("recipe: pix2pix\n")
    (tmp_path / "photos").mkdir()
    writer.write(Image(np.zeros((2, 3, 3), np.uint8)), tmp_path / "photos" / "a.png")
    for name, says in (
        ("new.pth", "'new.pth': is a PyTorch checkpoint \\(pickle\\); gantools reads"),
        ("old.pth", "is a PyTorch checkpoint \\(pickle\\)"),
        ("net.onnx", "is an ONNX model"),
        ("all.zip", "is a zip archive"),
        ("mine.yaml", "is a configuration, not a model: gantools train mine.yaml"),
        ("photos/a.png", "is an image, not a model: type the model first"),
    ):
        for read in (recipe_of, weights.describe):
            with pytest.raises(ModelFileError, match=says if read is recipe_of else says[-20:]):
                read(Path(name))
    with pytest.raises(UsageError, match="'photos': is a folder of images, not a run"):
        resolve(Path("photos"))


def test_a_run_before_its_first_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "young").mkdir()
    for name in ("run.json", "config.yaml"):
        (tmp_path / "young" / name).touch()
    with pytest.raises(UsageError, match="'young': a run without weights yet: they come with its first checkpoint"):
        resolve(Path("young"))
