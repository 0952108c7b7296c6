"""``gantools weights`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gantools.cli.commands import weights
from gantools.cli.output import console
from gantools.pretrained import catalogue, feature_networks


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(console.Settings, "quiet", False)
    return lambda *words: CliRunner().invoke(weights.app, list(words))


def put_weights(folder: Path, name: str) -> Path:
    """Weights as the loop exports them."""
    import torch

    from gantools.checkpoint import weights as stored

    export = stored.Export("generator", {"name": "compact_sr"}, scale=4, size_multiple=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    stored.save(path, "srgan", {"generator": export}, {"generator": torch.nn.Conv2d(3, 3, 1)}, {"steps": 7})
    return path


def test_list_shows_installed_weights_and_the_networks_to_be_had(run, tmp_path):
    put_weights(tmp_path / "home" / "weights", "mine")
    (tmp_path / "home" / "weights" / "vgg16.pth").write_bytes(b"")
    answer = run("list", "--json")
    assert answer.exit_code == 0
    rows = {row["name"]: row for row in map(json.loads, answer.stdout.splitlines())}
    assert rows["mine"]["state"] == "installed"
    states = {name: rows[name]["state"] for name in feature_networks.FEATURE_NETWORKS}
    assert states == {name: "installed" if name == "vgg16" else "not installed" for name in states}
    plain = run("list").stdout.splitlines()
    assert len(plain) == len(rows)
    assert plain[0].startswith("mine ")
    assert len({line.index(" MB ") for line in plain}) == 1, "the columns are straight"


def test_info_tells_what_the_file_says(run, tmp_path):
    path = put_weights(tmp_path / "home" / "weights", "mine")
    for name in ("mine", str(path)):
        facts = json.loads(run("info", name, "--json").stdout)
        assert facts["file"]["exports"]["generator"]["scale"] == 4
        assert facts["file"]["about"] == {"steps": 7}
        assert "tensors" not in facts["file"]
        assert facts["card"] is None
    assert "scale: 4" in run("info", "mine").stdout
    assert "vgg16-397923af.pth" in run("info", "vgg16").stdout


def test_info_takes_a_run_and_names_of_two_words(run, tmp_path):
    path = put_weights(tmp_path / "run" / "weights", "best")
    assert f"path: {path}" in run("info", str(tmp_path / "run")).stdout
    path = put_weights(tmp_path / "home" / "weights" / "mine", "soft")
    assert f"path: {path}" in run("info", "mine/soft").stdout
    assert 'did you mean "mine/soft"' in run("info", "mine/sof").stderr


def test_fetch_without_a_network_is_one_line_with_address_and_the_other_way(run, monkeypatch):
    def unreachable(*_: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    answer = run("fetch", "vgg19")
    assert answer.exit_code == 1
    assert answer.stdout == ""
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("gantools:")]
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in line
    assert "--from FILE" in line


def test_fetch_prints_the_installed_path_alone(run, tmp_path, monkeypatch):
    monkeypatch.setattr("gantools.files.sha256", lambda _file: feature_networks.find("resnet18").sha256)
    (tmp_path / "here.pth").write_bytes(b"weights")
    answer = run("fetch", "resnet18", "--from", str(tmp_path / "here.pth"))
    assert answer.exit_code == 0
    assert answer.stdout == f"{tmp_path / 'home' / 'weights' / 'resnet18.pth'}\n"
