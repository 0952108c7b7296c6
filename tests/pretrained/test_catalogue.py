"""Installed weights by name, their cards, the table of feature networks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.pretrained import catalogue, feature_networks, feature_weights
from gantools.pretrained.card import find_image, read_card

CARD = {
    "purpose": "a photo, four times as large",
    "recipe": "srgan",
    "config": "srgan/compact",
    "licence": "MIT",
    "trained": "2026-01-01",
    "data": [{"name": "drawn scenes", "images": 10, "licence": "MIT", "source": "gantools data synth srgan"}],
    "steps": {"pretraining": 10},
    "minutes": 0.5,
    "hardware": "2 cores",
    "seed": 0,
    "measured": [{"metric": "psnr_y", "value": 30.0, "data": "Set5", "protocol": "x4, 4 px border"}],
    "limits": ["small faces"],
}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "shipped")
    for folder in (tmp_path / "home" / "weights", tmp_path / "shipped"):
        folder.mkdir(parents=True)
    return tmp_path


def put(folder: Path, name: str, card: dict | None = None) -> Path:
    path = folder / f"{name}.safetensors"
    path.write_bytes(b"weights")
    if card is not None:
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def test_weights_are_found_by_name_then_by_recipe_and_the_users_own_come_first(home):
    shipped = put(home / "shipped", "srgan", CARD)
    own = put(home / "home" / "weights", "photos", CARD)
    assert catalogue.find("srgan").path == shipped
    assert catalogue.find("photos").path == own
    own_srgan = put(home / "home" / "weights", "srgan")
    assert catalogue.find("srgan").path == own_srgan
    own_srgan.unlink()
    shipped.unlink()
    assert catalogue.find("srgan").path == own


def test_a_recipes_name_means_the_weights_whose_card_says_so_else_the_first(home):
    shipped = {name: put(home / "shipped", name, CARD) for name in ("large-b", "large-c", "large-a")}
    assert catalogue.find("srgan").path == shipped["large-a"]
    put(home / "shipped", "large-c", {**CARD, "default": True})
    assert catalogue.find("srgan").path == shipped["large-c"]
    own = put(home / "home" / "weights", "own", CARD)
    assert catalogue.find("srgan").path == own


def test_feature_networks_and_unfinished_files_are_no_recipes_weights(home):
    for name in ("vgg16", ".gantools-ab12"):
        put(home / "home" / "weights", name)
    assert catalogue.installed() == []
    assert feature_weights.find_feature_weights("vgg16") == catalogue.weights_folder() / "vgg16.safetensors"
    put(home / "shipped", "srgan")
    with pytest.raises(UsageError, match='did you mean "srgan"'):
        catalogue.find("srgam")


def test_a_card_is_read_and_a_wrong_one_refused(home):
    path = put(home / "shipped", "srgan", CARD)
    assert read_card(path).measured[0].metric == "psnr_y"
    for content, said in ((json.dumps({**CARD, "minutes": "soon"}), r"srgan\.json': .*minutes"), ("{", r"srgan\.json")):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(ModelFileError, match=said):
            read_card(path)
    path.with_suffix(".json").unlink()
    assert read_card(path) is None


def test_all_shipped_weights_have_a_sound_card():
    shipped = sorted(catalogue.shipped_folder().rglob("*.safetensors"))
    cards = sorted(catalogue.shipped_folder().rglob("*.json"))
    assert [path.stem for path in shipped] == [path.stem for path in cards]
    for path in shipped:
        assert read_card(path) is not None
        assert find_image(path) is not None


def test_every_network_comes_over_https_and_is_pinned():
    for name, network in feature_networks.FEATURE_NETWORKS.items():
        assert network.url.startswith("https://")
        if network.address is None:
            assert network.url.endswith(f"-{network.sha256[:8]}.pth")
            assert f"/{name}-" in network.url
        else:
            assert re.search(r"/[0-9a-f]{40}/.*\.onnx$", network.url), "pinned by a commit"
        assert re.fullmatch(r"[0-9a-f]{64}|b66bff10", network.sha256)


@pytest.fixture
def network() -> feature_networks.FeatureNetwork:
    return replace(feature_networks.find("squeezenet1_0"), sha256=sha256(b"weights").hexdigest())


def test_a_file_at_hand_is_installed_after_the_same_check(home, network):
    file, folder = home / "here.pth", catalogue.weights_folder()
    with pytest.raises(UsageError, match="no such file"):
        feature_networks.install(network, file, folder)
    file.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=network.sha256):
        feature_networks.install(network, file, folder)
    assert list(folder.iterdir()) == []
    file.write_bytes(b"weights")
    assert feature_networks.install(network, file, folder) == folder / "squeezenet1_0.pth"
    assert feature_weights.find_feature_weights("squeezenet1_0").read_bytes() == b"weights"
    assert feature_networks.installed_file(network, folder) == folder / "squeezenet1_0.pth"


@pytest.mark.usefixtures("home")
def test_an_intact_installed_file_is_not_fetched_again(network, monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("https://example.invalid: no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    folder = catalogue.weights_folder()
    (folder / "squeezenet1_0.pth").write_bytes(b"weights")
    assert feature_networks.fetch(network, folder) == folder / "squeezenet1_0.pth"
    (folder / "squeezenet1_0.pth").write_bytes(b"damaged")
    with pytest.raises(GantoolsError, match="gantools weights fetch squeezenet1_0 --from FILE"):
        feature_networks.fetch(network, folder)
