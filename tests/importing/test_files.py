"""Files of other codes in all the ways they are stored: found, imported, run, downloaded and trained on from."""

from __future__ import annotations

import http.server
import pickle
import threading
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from gantools import api
from gantools.api.settings import with_generator_of
from gantools.checkpoint import weights as stored
from gantools.cli.app import app
from gantools.errors import ConfigError, ModelFileError, UsageError
from gantools.importing import families
from gantools.importing.networks import networks
from gantools.importing.opening import opened
from gantools.inference import find_weights
from gantools.models.generators.rrdb import RRDBNet
from gantools.pretrained import feature_networks
from tests.importing.test_basicsr import rrdb_tensors

run_ = CliRunner().invoke


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return rrdb_tensors(blocks=1)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Generator(nn.Module):
    """A module as other codes store whole: its class is not known here once it is stored."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.activation = torch.nn.functional.relu  # a function of another code as an attribute
        self.sizes = torch.Size([3, 4])
        for key, value in tensors.items():
            place: nn.Module = self
            *path, name = key.split(".")
            for part in path:
                if not hasattr(place, part):
                    place.add_module(part, nn.Module())
                place = getattr(place, part)
            place.register_parameter(name, nn.Parameter(value))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)


class Settings(dict[str, Any]):
    """A dict of another code, whose class is not known here once it is stored."""


def _older(content: Any, path: Path, **how: Any) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False, **how)


class _Python2(pickle._Pickler):
    """Writes text as Python 2 does."""

    dispatch: ClassVar[dict[type, Any]] = {
        **pickle._Pickler.dispatch,
        str: lambda self, text: self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode()),
    }


def _of_python_2(content: Any, path: Path) -> None:
    def dump(value: Any, stream: Any, protocol: int) -> None:
        _Python2(stream, protocol).dump(value)

    _older(content, path, pickle_module=SimpleNamespace(__name__="pickle", Pickler=_Python2, dump=dump))


WAYS: dict[str, Callable[[dict[str, torch.Tensor], Path], Any]] = {
    "plain": torch.save,
    "ordered": lambda state, path: torch.save(OrderedDict(state), path),
    "not an archive": _older,
    "of Python 2": _of_python_2,
    "averaged": lambda state, path: torch.save(
        {"params": {key: value + 1 for key, value in state.items()}, "params_ema": state}, path
    ),
    "of several GPUs": lambda state, path: torch.save({f"module.{key}": value for key, value in state.items()}, path),
    "in a training": lambda state, path: torch.save(
        {"epoch": 3, "netG": state, "optimizer": {"state": {0: {"step": 1}}}, "size": np.float64(3)}, path
    ),
    "beside a scheduler": lambda state, path: torch.save(
        {"g": state, "scheduler": {"milestones": Counter([3, 5]), "last": defaultdict(list)}, "options": Settings(a=1)},
        path,
    ),
    "compiled": lambda state, path: torch.save(
        {"state_dict": {f"_orig_mod.{key}": value for key, value in state.items()}}, path
    ),
    "of a whole GAN": lambda state, path: torch.save(
        {"state_dict": {f"net_g.{key}": each for key, each in state.items()} | {"net_d.0.weight": torch.ones(3)}}, path
    ),
    "half precision": lambda state, path: torch.save({key: value.half() for key, value in state.items()}, path),
    "whole module": lambda state, path: torch.save(
        {"generator": Generator(state), "discriminator": nn.Conv2d(3, 4, 3)}, path
    ),
    "whole module, not an archive": lambda state, path: _older(Generator(state), path),
    "safetensors": lambda state, path: save_file(state, path.with_suffix(".safetensors")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_the_network_is_found_however_it_is_stored(way: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    WAYS[way](state, tmp_path / "theirs.pth")
    (file,) = (path for path in tmp_path.iterdir() if path.is_file())
    ours = stored.load(api.import_weights(file, output=tmp_path / "ours.safetensors"))
    assert ours.recipe == "srgan"
    assert ours.exports["generator"].options["name"] == "rrdb"
    assert ours.about["imported"]["sha256"] == sha256(file.read_bytes()).hexdigest()
    network = RRDBNet(**{key: value for key, value in ours.exports["generator"].options.items() if key != "name"})
    network.load_state_dict(ours.tensors["generator"])
    values = sorted(float(value.float().sum()) for value in state.values())
    found = sorted(float(value.sum()) for value in network.state_dict().values())
    assert found == pytest.approx(values, rel=1e-2 if way == "half precision" else 1e-6, abs=1e-2)


def test_a_module_is_read_without_what_is_not_saved(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"generator": Generator(state)}, tmp_path / "theirs.pth")
    with opened(tmp_path / "theirs.pth") as file:
        assert set(networks(file.content)) == {"generator"}
        assert set(networks(file.content)["generator"]) == set(state)


def test_a_script_of_torch_is_read_like_a_module(tmp_path: Path) -> None:
    torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)))).save(str(tmp_path / "a.pt"))
    with opened(tmp_path / "a.pt") as file:
        (found,) = networks(file.content).values()
        shapes = {key: each.shape for key, each in found.items()}
    assert shapes["0.weight"] == (4, 3, 3, 3)
    assert shapes["1.0.running_mean"] == (4,)


def test_networks_are_chosen_by_name(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"first": state, "second": {key: value * 2 for key, value in state.items()}}, tmp_path / "two.pth")
    with pytest.raises(
        ModelFileError, match=r"two\.pth': holds several networks; .*weights import --network NAME of first"
    ):
        api.import_weights(tmp_path / "two.pth")
    with pytest.raises(ModelFileError, match="has no network third; it has first, second"):
        api.import_weights(tmp_path / "two.pth", network="third")
    ours = stored.load(api.import_weights(tmp_path / "two.pth", network="second"))
    assert ours.about["imported"]["network"] == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two.pth", "two.safetensors"]
    with pytest.raises(ModelFileError, match="is a weights file of gantools already"):
        api.import_weights(tmp_path / "two.safetensors", output=tmp_path / "again.safetensors")


@pytest.mark.parametrize("asked", [{"output": "-"}, {"output": "ours.pth"}, {"name": "ours.pth"}, {"name": "a/b"}])
def test_names_that_would_not_be_found_again_are_refused(
    asked: dict[str, str], state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTOOLS_HOME", "home")
    torch.save(state, "theirs.pth")
    with pytest.raises(UsageError, match="give a name"):
        api.import_weights("theirs.pth", **asked)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pth"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4f\nsize 67\n", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>Not found</html>", "is a web page"),
    ],
)
def test_what_came_instead_of_a_file_is_named(content: bytes, what: str, tmp_path: Path) -> None:
    file = tmp_path / "theirs.pth"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"theirs\.pth': {what}"):
        api.import_weights(file)
    with pytest.raises(ModelFileError, match=rf"theirs\.pth': {what}"):
        find_weights.recipe_of(find_weights.resolve(file))


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "holds no network: no tensors with names"),
    "numbers": ({"a": 1, "b": [2, 3]}, "holds no network: no tensors with names"),
    "one tensor": (torch.zeros(3), "holds no network: no tensors with names"),
    "classifier": (
        {"fc.weight": torch.zeros(5, 4)},
        r"knows: 1 tensors of 0\.00 M values, the first 'fc\.weight' \(5×4\)",
    ),
    "optimizer": ({"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}, "holds no network"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_network_of_ours_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, says = WRONG[case]
    torch.save(content, tmp_path / "wrong.pth")
    with pytest.raises(ModelFileError, match=says) as refused:
        api.import_weights(tmp_path / "wrong.pth")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.pth"]


@pytest.mark.parametrize("member", ["byteorder", "data.pkl", "data/0"])
def test_members_of_an_archive_are_never_unpacked(member: str, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(9)}, tmp_path / "theirs.pth")
    with zipfile.ZipFile(tmp_path / "theirs.pth") as whole, zipfile.ZipFile(tmp_path / "packed.pth", "w") as packed:
        for each in whole.infolist():
            how = zipfile.ZIP_DEFLATED if each.filename.partition("/")[2] == member else zipfile.ZIP_STORED
            packed.writestr(each.filename, whole.read(each), how)
    with pytest.raises(ModelFileError, match="has compressed tensors, as PyTorch writes none"):
        api.import_weights(tmp_path / "packed.pth")


@pytest.mark.parametrize("older", [False, True])
def test_damaged_files_end_in_a_network_or_in_one_line(
    older: bool, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "theirs.pth"
    torch.save({"generator": Generator(state)}, file, _use_new_zipfile_serialization=not older)
    whole, random = file.read_bytes(), np.random.default_rng(0)
    names = range(whole.index(b"ccollections"), len(whole)) if older else range(len(whole))
    refused = []
    for number in range(60):
        changed = bytearray(whole)
        for place in random.choice(names, random.integers(1, 4)):
            changed[place] = random.integers(256)
        file.write_bytes(changed[: random.integers(len(whole))] if number % 5 == 0 else changed)
        try:
            with opened(file) as content:
                families.recognise(networks(content.content), None)[2].network()
        except ModelFileError as error:
            refused.append(str(error))
    assert len(refused) > 12
    assert all(len(line.splitlines()) == 1 for line in refused)


def test_a_file_of_another_code_is_used_where_weights_are(
    state: dict[str, torch.Tensor], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"params_ema": state}, "theirs.pth")
    cv2.imwrite("a.png", np.random.default_rng(0).integers(0, 255, (9, 11, 3), np.uint8))
    answer = run_(app, ["infer", "theirs.pth", "a.png"])
    assert answer.exit_code == 0, answer.output
    assert "RRDBNet, imported from theirs.pth; licence: BSD-3-Clause" in answer.stderr
    (made,) = (path for path in tmp_path.iterdir() if path.suffix == ".png" and path.name != "a.png")
    assert "theirs" in made.name
    assert cv2.imread(str(made)).shape == (36, 44, 3)
    (kept,) = (home / "imported").iterdir()
    before = kept.stat().st_mtime_ns
    installed = run_(app, ["weights", "import", "theirs.pth", "--as", "mine"])
    assert installed.exit_code == 0, installed.output
    again = run_(app, ["infer", "mine", "a.png", "-o", "again.png"])
    assert again.exit_code == 0, again.output
    assert np.array_equal(cv2.imread("again.png"), cv2.imread(str(made)))
    assert kept.stat().st_mtime_ns == before
    torch.save({key: value / 2 for key, value in state.items()}, "others.pth")
    blended = run_(app, ["infer", "mine", "a.png", "-o", "b.png", "--blend", "0.5", "--blend-with", "others.pth"])
    assert [line.partition(";")[0] for line in blended.stderr.splitlines()[1:]] == [
        f"RRDBNet, imported from {name}.pth" for name in ("theirs", "others")
    ]
    for taken in ("srgan", "pix2pix"):
        refused = run_(app, ["weights", "import", "theirs.pth", "--as", taken])
        assert (refused.exit_code, f"--as {taken}: stands for weights or a recipe" in refused.stderr) == (2, True)
    assert "--as a/b: give a name" in run_(app, ["weights", "import", "theirs.pth", "--as", "a/b"]).stderr


def test_the_generator_of_imported_weights_is_trained_on(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(state, "theirs.pth")
    Path("images").mkdir()
    for number in range(2):
        image = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
        cv2.imwrite(f"images/{number}.png", image)
    small = ["data.crop_px=16", "data.batch_images=1", "data.workers=0", "train.precision=fp32"]
    small += ["model.discriminator={name: srgan_fully_convolutional}"]
    settings = api.configure("srgan/mse", data=["images"], overrides=small)
    run = api.train(settings, run_dir="run", init_from="theirs.pth", device="cpu", max_steps=1)
    made = stored.load(run.path / "weights" / "last.safetensors")
    assert made.exports["generator"].options["name"] == "rrdb"
    assert made.about["started_from"]["file"] == "theirs.pth"
    before = stored.load(api.import_weights("theirs.pth")).tensors["generator"]
    moved = max(float((made.tensors["generator"][key] - value).abs().max()) for key, value in before.items())
    assert 0 < moved < 0.01
    ended = run_(app, ["eval", "theirs.pth", "--data", "images"])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (2, 1)
    assert "does not say how its images were made; run infer, then" in ended.stderr
    again = api.train(settings, run_dir="again", init_from="run", device="cpu", max_steps=1)
    assert stored.describe(again.path / "weights" / "last.safetensors").about["started_from"]["file"] == "theirs.pth"
    with pytest.raises(ConfigError, match=r"--init-from theirs\.pth"):
        api.train("context_encoder", data=["images"], init_from="theirs.pth", device="cpu", max_steps=1)


def test_data_are_enlarged_as_the_imported_generator_does_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(rrdb_tensors(doublings=1), "twice.pth")
    ours = api.import_weights("twice.pth")
    settings = with_generator_of(api.configure("srgan/mse"), ours)
    assert (settings.config.data.scale, settings.config.model.generator.scale) == (2, 2)
    typed = "model.generator={name: rrdb, scale: 2, growth_channels: 5}"
    own = with_generator_of(api.configure("srgan/mse", overrides=[typed, "data.scale=2"]), ours)
    assert own.config.model.generator.growth_channels == 5
    with pytest.raises(ConfigError, match=r"data\.scale \(4\) and model\.generator\.scale \(2\) must be equal"):
        with_generator_of(api.configure("srgan/mse", overrides=["data.scale=4"]), ours)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_weights_of_others_are_fetched_imported_and_called_by_name(
    state: dict[str, torch.Tensor], server: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"params_ema": state}, tmp_path / "served" / "theirs.pth")
    digest = sha256((tmp_path / "served" / "theirs.pth").read_bytes()).hexdigest()
    known = feature_networks.PUBLIC_WEIGHTS["realesrgan-x4plus"]
    here = replace(known, sha256=digest, address=f"{server}/theirs.pth")
    monkeypatch.setitem(feature_networks.PUBLIC_WEIGHTS, "realesrgan-x4plus", here)
    with pytest.raises(UsageError, match="`gantools weights fetch realesrgan-x4plus` downloads them"):
        api.load_model("realesrgan-x4plus")
    path = api.fetch_weights("realesrgan-x4plus")
    assert path == home / "weights" / "realesrgan-x4plus.safetensors"
    assert [each.name for each in (home / "downloads").iterdir()] == []
    imported = stored.describe(path).about["imported"]
    assert (imported["origin"], imported["licence"], imported["sha256"]) == (here.url, "BSD-3-Clause", digest)
    assert api.load_model("realesrgan-x4plus") is not None
    rows = {row["name"]: row["state"] for row in api.list_weights()}
    assert (rows["realesrgan-x4plus"], rows["big-lama"]) == ("installed", "not installed")
    other = replace(here, sha256="0" * 64)
    monkeypatch.setitem(feature_networks.PUBLIC_WEIGHTS, "realesrgan-x2plus", replace(other, name="realesrgan-x2plus"))
    with pytest.raises(ModelFileError, match="another file"):
        api.fetch_weights("realesrgan-x2plus")
    assert [each.name for each in (home / "weights").iterdir()] == [path.name]


@pytest.mark.parametrize("name", feature_networks.PUBLIC_WEIGHTS)
def test_public_weights_are_pinned_whole(name: str) -> None:
    known = feature_networks.PUBLIC_WEIGHTS[name]
    assert len(bytes.fromhex(known.sha256)) == 32
    assert known.licence
    assert known.url.startswith("https://")


def test_names_of_files_and_networks_may_be_long_and_odd(
    state: dict[str, torch.Tensor], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"\x1b[31m\nnet": state}, "odd.pth")
    answer = run_(app, ["weights", "import", "odd.pth"])
    assert answer.exit_code == 0, answer.output
    assert r"RRDBNet, \x1b[31m\nnet; licence" in answer.stderr
    Path("odd.pth").rename("n" * 246 + ".pth")
    assert api.load_model("n" * 246 + ".pth") is not None
    (kept,) = (home / "imported").iterdir()
    assert kept.name.startswith("n" * 40 + "-")
