"""Networks that only spandrel has: imported and run as ours are, with what spandrel itself makes of the same image."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from gantools import api
from gantools.checkpoint import weights as stored
from gantools.cli.app import app
from gantools.errors import ModelFileError, UsageError
from gantools.importing import families
from gantools.models.generators.spandrel import SpandrelNetwork

spandrel = pytest.importorskip("spandrel")

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "SwiftSRGAN": ("SwiftSRGAN", {"num_channels": 8, "num_blocks": 2}),
    "OmniSR": ("OmniSR", {"num_feat": 16}),
    "DITN": ("DITN", {}),
    "RealCUGAN": ("UpCunet2x", {}),
    "DCTLSA": ("DCTLSA", {}),
    "MixDehazeNet": ("MixDehazeNet", {}),
    "DnCNN": ("DnCNN", {}),
    "PLKSR": ("PLKSR", {"dim": 16, "n_blocks": 2}),
    "RetinexFormer": ("RetinexFormer", {}),
    "HVICIDNet": ("HVICIDNet", {}),
    "SeemoRe": ("SeemoRe", {}),
    "MoSR": ("MoSR", {}),
    "RGT": ("RGT", {}),
    "DAT": ("DAT", {}),
    "CRAFT": ("CRAFT", {}),
}
"""A class of each architecture, and arguments that make it smaller."""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def network(architecture: str, name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = getattr(import_module(f"spandrel.architectures.{architecture}"), name)(**arguments)
    return made.eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", NETWORKS)
def test_an_image_of_odd_sides_becomes_what_spandrel_makes_of_it(architecture: str) -> None:
    name, arguments = NETWORKS[architecture]
    torch.save({"params": network(architecture, name, **arguments).state_dict()}, "theirs.pth")
    image = np.random.default_rng(0).integers(0, 255, (33, 37, 3), np.uint8)
    ours = api.load_model(api.import_weights("theirs.pth"))(image)
    described = spandrel.ModelLoader().load_from_file("theirs.pth").eval()
    given = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    if described.input_channels == 1:
        given = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[None, None].float() / 255
    theirs = described(given)[0].permute(1, 2, 0).numpy() * 255
    assert ours.shape[:2] == (33 * described.scale, 37 * described.scale)
    assert np.abs(ours - theirs).max() < 0.6  # rounding


@pytest.mark.filterwarnings("ignore")
def test_what_is_known_of_a_network_goes_with_its_file() -> None:
    torch.save(network("DnCNN", "DnCNN").state_dict(), "theirs.pth")
    described = stored.describe(api.import_weights("theirs.pth"))
    export = described.exports["generator"]
    assert (export.scale, export.size_multiple, export.minimum_size_px, export.takes) == (1, 1, 1, "picture")
    assert described.about["imported"]["format"] == "DnCNN (restoration)"
    assert "ask those who trained them" in described.about["imported"]["licence"]
    ended = CliRunner().invoke(app, ["eval", "theirs.pth", "--data", "."])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (2, 1)
    assert "does not say how its images were made; run infer, then" in ended.stderr
    for folder in ("given", "truth"):
        Path(folder).mkdir()
        cv2.imwrite(f"{folder}/a.png", np.full((32, 34, 3), 90, np.uint8))
    compared = CliRunner().invoke(app, ["compare", "theirs.pth", "given", "--truth", "truth", "-o", "page.html"])
    assert compared.exit_code == 0, compared.output
    assert "psnr_rgb" in Path("page.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="--precision fp16: DnCNN cannot be computed in it"):
        api.load_model("theirs.safetensors", precision="fp16")


def test_every_architecture_has_a_licence() -> None:
    from gantools.importing.spandrel import ARCHITECTURES

    registered = {str(each.architecture.id) for each in spandrel.MAIN_REGISTRY}
    assert len(registered & set(ARCHITECTURES)) > 35
    assert ARCHITECTURES["SwinIR"] == ("Apache-2.0", "JingyunLiang/SwinIR")


@pytest.mark.filterwarnings("ignore")
def test_a_mask_is_filled_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """With LaMa's shell around one convolution, which sees the image and the mask."""
    seen: list[torch.Tensor] = []
    kinds: list[bool] = []

    def small(tensors: Any) -> Any:
        class Small:
            model, purpose, scale, input_channels, output_channels = nn.Conv2d(4, 3, 1), "Inpainting", 1, 3, 3
            supports_bfloat16, supports_half = True, False
            architecture = type("A", (), {"id": "LaMa"})
            size_requirements = type("S", (), {"multiple_of": 8, "minimum": 16})
            tiling = type("T", (), {"name": "SUPPORTED"})

            def __call__(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
                seen.append(mask)
                kinds.append(torch.is_autocast_enabled("cpu"))
                return torch.full_like(image, 0.5) + self.model.bias[0] * 0

        return Small()

    monkeypatch.setattr("gantools.models.generators.spandrel._described", small)
    made = SpandrelNetwork({})
    options = {"name": "spandrel", "architecture": "LaMa"}
    export = stored.Export("generator", options, 1, 8, 16, takes="masked")
    stored.save(Path("lama.safetensors"), "imported", {"generator": export}, {"generator": made}, {})
    image = np.full((21, 30, 3), 40, np.uint8)
    mask = np.zeros((21, 30), np.uint8)
    mask[5:9, 10:20] = 255
    cv2.imwrite("a.png", image)
    cv2.imwrite("mask.png", mask)
    answer = CliRunner().invoke(app, ["infer", "lama.safetensors", "a.png", "--mask", "mask.png", "-o", "b.png"])
    assert answer.exit_code == 0, answer.output
    filled = cv2.imread("b.png")
    assert (filled[mask == 255] == 128).all()
    assert (filled[mask == 0] == 40).all()
    assert len(seen) == 1
    assert seen[0].shape == (1, 1, 24, 32)
    assert seen[0][..., :21, :30].eq(torch.from_numpy(mask > 0)).all()
    seen.clear()
    cv2.imwrite("deep.png", image.astype(np.uint16) * 257)
    words = ["infer", "lama.safetensors", "deep.png", "--mask", "mask.png", "-o", "c.png", "--tta", "--precision"]
    answer = CliRunner().invoke(app, [*words, "bf16"])
    assert answer.exit_code == 0, answer.output
    assert (len(seen), {mask.dtype for mask in seen}, kinds) == (8, {torch.float32}, [False] * 9)


def test_a_file_says_which_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(network("OmniSR", "OmniSR", num_feat=16).state_dict(), "theirs.pth")
    path = api.import_weights("theirs.pth")
    for module in (families, import_module("gantools.models.generators.spandrel")):
        monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(ModelFileError, match=r"more are known with spandrel: pip install 'gantools\[import\]'"):
        api.import_weights("theirs.pth", overwrite=True)
    with pytest.raises(UsageError, match=r"needs spandrel: pip install 'gantools\[import\]'"):
        api.load_model(path)


def test_numbers_in_names_make_no_layers_without_end() -> None:
    state = network("OmniSR", "OmniSR", num_feat=16).state_dict()
    torch.save({**state, "residual_layer.99999999999.weight": torch.ones(1)}, "wrong.pth")
    with pytest.raises(ModelFileError, match="holds no network that gantools knows"):
        api.import_weights("wrong.pth")
    with pytest.raises(ModelFileError, match="numbers of layers beyond those that it holds"):
        SpandrelNetwork({"layers.999999999.weight": torch.ones(1)})


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_only_look_like_a_network_are_refused_in_one_line() -> None:
    state = network("OmniSR", "OmniSR", num_feat=16).state_dict()
    torch.save({key: value for key, value in state.items() if "residual_layer.0" not in key}, "wrong.pth")
    with pytest.raises(ModelFileError) as refused:
        api.import_weights("wrong.pth")
    assert "\n" not in str(refused.value)
    assert "looks like Omni-SR" in str(refused.value) or "holds no network" in str(refused.value)
