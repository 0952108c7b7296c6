"""StyleGAN2 of NVIDIA and of rosinality as weights of ours: the same numbers, or one line that says why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
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
from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.generation.model import open_model
from gantools.importing import nvidia, stylegan2_files
from gantools.importing.opening import opened
from gantools.models.latent.style import StyleDiscriminator, StyleGenerator
from tests.importing import theirs

SHAPE = {"image_px": 16, "channel_base": 64, "max_channels": 8, "mapping_layers": 2}


def networks(classes: int = 0, clamp: float | None = None) -> dict[str, nn.Module]:
    """G, D and G's average with no two tensors alike."""
    torch.manual_seed(1)
    size = {"latent_size": 8, "style_size": 8}
    made: dict[str, nn.Module] = {
        "G": StyleGenerator(condition_size=classes, clamp=clamp, **size, **SHAPE),
        "D": StyleDiscriminator(condition_size=classes, clamp=clamp, group_images=2, **SHAPE),
        "G_ema": StyleGenerator(condition_size=classes, clamp=clamp, **size, **SHAPE),
    }
    for network in made.values():
        for name, value in network.state_dict().items():
            if value.ndim < 2 and not (name == "mapping.running_mean" and network is made["D"]):
                value.add_(torch.randn(value.shape))
    return {name: network.eval().requires_grad_(False) for name, network in made.items()}


def kind_of(file: Any) -> stylegan2_files.Format:
    kind = stylegan2_files.format_of(file.content)
    assert kind is not None
    return kind


def torch_file(path: Path, made: dict[str, nn.Module]) -> Path:
    return theirs.save_torch(path, made)


def tensorflow_file(path: Path, made: dict[str, nn.Module]) -> Path:
    known = {"mapping_lrmul": 0.01, "mbstd_group_size": 2, "conv_clamp": made["D"].clamp}
    return theirs.save_tensorflow(path, made, **known)


def rosinality_file(path: Path, made: dict[str, nn.Module]) -> Path:
    return theirs.save_rosinality(path, made, mean=True)


FORMATS = [
    (torch_file, 0, None),
    (torch_file, 3, 0.5),
    (tensorflow_file, 0, 256.0),
    (tensorflow_file, 3, None),
    (rosinality_file, 0, None),
]


@pytest.mark.parametrize(("write", "classes", "clamp"), FORMATS)
def test_every_tensor_comes_across(write: Any, classes: int, clamp: float | None, tmp_path: Path) -> None:
    made = networks(classes, clamp)
    file = write(tmp_path / "theirs.pkl", made)
    path = api.import_weights(file, output=tmp_path / "ours.safetensors", discriminator=True)
    found = stored.load(path)
    assert found.recipe == "stylegan2"
    for name, original in (("generator", made["G_ema"]), ("discriminator", made["D"])):
        expected = original.state_dict()
        assert set(found.tensors[name]) == set(expected)
        for key, value in expected.items():
            torch.testing.assert_close(found.tensors[name][key], value, atol=1e-6, rtol=0, msg=key)
    export = found.exports["generator"]
    assert export.options["clamp"] == clamp
    assert (export.takes, export.image_px) == ("latent", (16, 16))
    assert export.latent == stored.Latent(8, "normal", classes=tuple("012"[:classes]), rows=6)
    model = open_model(path)
    assert isinstance(model.network, StyleGenerator)
    latent, label = torch.randn(2, 8), torch.eye(3)[[2, 0]] if classes else None
    torch.testing.assert_close(model.network(latent, label), made["G_ema"](latent, label), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("write", "classes", "clamp"), FORMATS)
def test_discriminators_score_the_same(write: Any, classes: int, clamp: float | None, tmp_path: Path) -> None:
    made = networks(classes, clamp if write is not rosinality_file else None)
    if write is rosinality_file:
        made["D"].group_images = 4  # which its code has fixed
    file = write(tmp_path / "theirs", made)
    with opened(file) as content:
        discriminator = kind_of(content).found(content, "D").network()
    image, label = torch.randn(4, 3, 16, 16), torch.eye(3)[[0, 1, 2, 0]] if classes else None
    torch.testing.assert_close(discriminator(image, label), made["D"](image, label), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("stored_as", "expected"), [(8, 8), (None, nvidia.WHOLE_BATCH)])
def test_groups_of_the_discriminator_are_as_stored(stored_as: int | None, expected: int, tmp_path: Path) -> None:
    file = theirs.save_torch(tmp_path / "theirs.pkl", networks(), {"b4.mbstd": {"group_size": stored_as}})
    path = api.import_weights(file, discriminator=True)
    assert stored.describe(path).exports["discriminator"].options["group_images"] == expected


def test_network_g_is_there_too(tmp_path: Path) -> None:
    made = networks()
    file = torch_file(tmp_path / "theirs.pkl", made)
    path = api.import_weights(file, network="G")
    assert path == tmp_path / "theirs.safetensors"
    assert torch.equal(stored.load(path).tensors["generator"]["synthesis.start"], made["G"].synthesis.start)
    file = theirs.save_rosinality(tmp_path / "converted.pt", {"G_ema": made["G_ema"]}, mean=True)
    with pytest.raises(ModelFileError, match=r"converted.pt': has no network G; it has G_ema$"):
        api.import_weights(file, network="G")


def test_a_mapping_with_another_learning_rate_is_scaled(tmp_path: Path) -> None:
    """What is stored is divided by the rate, and multiplied when it runs."""
    made = networks()
    expected = made["G_ema"](torch.ones(1, 8))
    for name, value in made["G_ema"].state_dict().items():
        if name.startswith("mapping.layers"):
            value.div_(5)
    settings = {"mapping.fc0": {"bias_gain": 0.05, "activation": "lrelu"}}
    file = theirs.save_torch(tmp_path / "theirs.pkl", {"G_ema": made["G_ema"]}, settings)
    network = open_model(api.import_weights(file)).network
    torch.testing.assert_close(network(torch.ones(1, 8)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("old", [False, True])
def test_what_rosinalitys_files_lack_is_made(old: bool, tmp_path: Path) -> None:
    """The mean style is measured; noise that early files did not have is drawn, the same each time."""
    made = networks()
    file = theirs.save_rosinality(tmp_path / "550000.pt", made, mean=False, old=old)
    content = torch.load(file, weights_only=False)
    for network in ("g_ema", "g"):
        content[network] = {key: value for key, value in content[network].items() if not key.startswith("noises.")}
    torch.save(content, file)
    first, second = (
        stored.load(api.import_weights(file, output=tmp_path / f"{number}.safetensors")).tensors["generator"]
        for number in range(2)
    )
    latents = torch.from_numpy(np.random.RandomState(123).randn(10_000, 8))
    expected = made["G_ema"].mapping(latents).mean(dim=0)
    torch.testing.assert_close(first["mapping.running_mean"], expected, atol=1e-5, rtol=0)
    planes = [value for key, value in first.items() if key.endswith(".noise")]
    assert [tuple(plane.shape) for plane in planes] == [(4, 4), (8, 8), (8, 8), (16, 16), (16, 16)]
    assert 0.8 < torch.cat([plane.flatten() for plane in planes]).std() < 1.2
    assert all(torch.equal(second[key], value) for key, value in first.items())


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    """So that the other networks of a large file cost no memory: their bytes stay in it."""
    made = networks()
    file = torch_file(tmp_path / "theirs.pkl", made)
    with opened(file) as content:
        before = content.reader.bytes_read
        kind_of(content).found(content, "G_ema").network()
        read = content.reader.bytes_read
    size = sum(value.numel() * 4 for value in made["G_ema"].state_dict().values())
    assert before < 1000
    assert size < read < file.stat().st_size / 2


def with_settings(**settings: Any) -> Callable[[Path], Path]:
    return lambda path: theirs.save_torch(
        path, networks(), {name.replace("_", ".", 2): value for name, value in settings.items()}
    )


def with_tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], Path]:
    """A snapshot whose G_ema has other tensors, by their names."""

    def write(path: Path) -> Path:
        made = networks()
        tensors = theirs.named(made["G_ema"])
        change(tensors)
        content = {"G_ema": theirs.nested("Generator", tensors, theirs.settings_of(made["G_ema"]))}
        return theirs.pickled(path, content)

    return write


def text_file(path: Path) -> Path:
    path.write_text("weights")
    return path


REFUSED = {
    "StyleGAN3": (
        with_tensors(lambda all_: all_.update({"synthesis.input.freqs": torch.ones(4, 2)})),
        "holds StyleGAN3, which gantools does not have; it imports StyleGAN2",
    ),
    "StyleGAN1": (
        lambda path: theirs.save_tensorflow(path, networks(), version=3),
        "holds StyleGAN1 or ProGAN of TensorFlow; gantools imports StyleGAN2",
    ),
    "architecture": (
        with_settings(synthesis_b4={"architecture": "resnet"}),
        "holds a generator of the architecture resnet; gantools has skip",
    ),
    "activation": (
        with_settings(mapping_fc0={"activation": "relu"}),
        "holds a generator with the activation relu; gantools has lrelu",
    ),
    "filter": (
        with_tensors(lambda all_: all_.update({"synthesis.b8.resample_filter": torch.ones(4, 4) / 16})),
        r"holds a network with another resampling filter than \[1, 3, 3, 1\]",
    ),
    "NaN": (
        with_tensors(lambda all_: all_.update({"synthesis.b8.conv0.bias": torch.full((8,), torch.nan)})),
        "has NaN or infinite values in synthesis.levels.1.up.bias; such weights are not written",
    ),
    "missing": (
        with_tensors(lambda all_: all_.pop("synthesis.b8.conv0.bias")),
        "lacks synthesis.levels.1.up.bias of the network that it seems to hold",
    ),
    "another": (
        with_tensors(lambda all_: all_.update({"synthesis.b8.attention.weight": torch.ones(1)})),
        "has synthesis.b8.attention.weight, which the network that it seems to hold does not have",
    ),
    "shape": (
        with_tensors(lambda all_: all_.update({"synthesis.b8.conv0.bias": torch.ones(7)})),
        r"has synthesis.levels.1.up.bias of the shape \(7,\), where \(8,\) is expected",
    ),
    "channels": (
        with_tensors(lambda all_: all_.update({"synthesis.b8.conv1.weight": torch.ones(3, 8, 3, 3)})),
        r"holds a StyleGAN2 whose channels are not min\(base / side, most\): {4: 8, 8: 3, 16: 4}",
    ),
    "no blocks": (
        with_tensors(lambda all_: all_.pop("synthesis.b8.conv1.weight")),
        "holds no StyleGAN2: has blocks of the sides 4, 16",
    ),
    "no generator": (
        lambda path: theirs.pickled(path, {"G_ema": theirs.nested("VAE", {"encoder.weight": torch.ones(2)}, {})}),
        "holds no StyleGAN2: b4.conv.weight is missing",
    ),
    "other pickle": (lambda path: theirs.pickled(path, {"a": 1}), "holds no network: no tensors with names"),
    "text": (text_file, "is neither a pickle, nor a checkpoint of PyTorch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_ours_to_run_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    write, message = REFUSED[name]
    file = write(tmp_path / "theirs.pkl")
    with pytest.raises(ModelFileError, match=f"^'{file}': {message}") as caught:
        api.import_weights(file)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pkl"]


def test_size_and_names_are_looked_at_first(tmp_path: Path) -> None:
    file = text_file(tmp_path / "theirs.pkl")
    with pytest.raises(ModelFileError, match=r"has 7 bytes, more than the 6 of --max-bytes"):
        api.import_weights(file, max_bytes=6)
    with pytest.raises(UsageError, match="is a folder; name the file in it"):
        api.import_weights(tmp_path)
    with pytest.raises(UsageError, match=r"absent\.pkl': no such file"):
        api.import_weights(tmp_path / "absent.pkl")
    with pytest.raises(UsageError, match=r"ffhq\.pkl': no such file; download it first"):
        api.import_weights("https://nvlabs-fi-cdn.nvidia.com/ffhq.pkl")
    with pytest.raises(UsageError, match="exists already"):
        api.import_weights(text_file(tmp_path / "theirs.safetensors"), overwrite=True)
    with pytest.raises(UsageError, match=r"--check absent\.png: no such file"):
        api.import_weights(file, check="absent.png")


def seed_0(network: nn.Module, truncation: float, label: torch.Tensor | None = None) -> np.ndarray:
    """The image that the original code makes of seed 0, as it writes it."""
    latent = torch.from_numpy(np.random.RandomState(0).randn(1, 8)).float()
    mean, style = network.mapping.running_mean, network.mapping(latent, label)
    image = network.synthesis((mean + truncation * (style - mean))[:, None].repeat(1, 6, 1))
    return (image[0] * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()[:, :, ::-1]


@pytest.mark.parametrize("classes", [0, 3])
def test_check_compares_with_an_image_of_the_original(classes: int, tmp_path: Path) -> None:
    made = networks(classes)
    file = torch_file(tmp_path / "theirs.pkl", made)
    label = torch.eye(3)[:1] if classes else None
    whole = seed_0(made["G_ema"], 0.7, label)
    for name, size in (("whole.png", 16), ("small.png", 8)):
        cv2.imwrite(str(tmp_path / name), cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA))
        path = api.import_weights(file, check=tmp_path / name, truncation=0.7, overwrite=True)
        checked = stored.describe(path).about["imported"]["checked"]
        assert checked["image"] == name
        assert checked["largest_difference"] <= 1.6
    path.unlink()
    for change in ({"truncation": 1.0}, {"truncation": 0.7, "network": "G"}):
        with pytest.raises(
            GantoolsError, match=r"levels differ by up to [\d.]+ of 255 .*; nothing was written"
        ) as caught:
            api.import_weights(file, check=tmp_path / "whole.png", **change)
        assert caught.value.exit_code == 1
    assert not path.exists()


def test_check_notices_a_mirrored_kernel(tmp_path: Path) -> None:
    made = networks()
    cv2.imwrite(str(tmp_path / "whole.png"), seed_0(made["G_ema"], 1.0))
    weight = made["G_ema"].synthesis.levels[1].up.convolution.weight
    weight.copy_(weight.flip(2, 3))
    with pytest.raises(GantoolsError, match="levels differ"):
        api.import_weights(torch_file(tmp_path / "theirs.pkl", made), check=tmp_path / "whole.png")


def test_command_says_whose_weights_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    file = torch_file(tmp_path / "ffhq.pkl", networks(3))
    run_ = CliRunner().invoke
    ours = tmp_path / "home" / "weights" / "ffhq.safetensors"
    answer = run_(app, ["weights", "import", str(file), "-o", str(ours)])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == f"{ours}\n"
    assert "NVIDIA Source Code License, non-commercial" in answer.stderr
    imported = json.loads(run_(app, ["weights", "info", "ffhq", "--json"]).stdout)["file"]["about"]["imported"]
    assert imported["file"] == "ffhq.pkl"
    assert imported["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert imported["origin"] == "https://github.com/NVlabs/stylegan2-ada-pytorch"
    row = next(line for line in run_(app, ["weights", "list"]).stdout.splitlines() if line.startswith("ffhq "))
    assert "StyleGAN2 of NVIDIA (PyTorch), imported from ffhq.pkl; licence: NVIDIA" in row
    assert run_(app, ["generate", "ffhq", "--label", "1", "-n", "1", "-o", "one.png"]).exit_code == 0
    assert cv2.imread("one.png").shape == (16, 16, 3)
    answer = run_(app, ["infer", "ffhq", "one.png", "-o", "two.png"])
    assert answer.exit_code == 2
    (line,) = (line for line in answer.stderr.splitlines() if line.startswith("gantools:"))
    assert "makes images from noise; use: gantools generate" in line
    both = run_(app, ["weights", "import", str(file), "--discriminator", "-o", "both.safetensors"])
    assert both.exit_code == 0, both.output
    for words in (["infer", "both.safetensors", "one.png", "-o", "two.png"], ["generate", "both.safetensors"]):
        answer = run_(app, [*words, "--export", "discriminator"])
        assert answer.exit_code == 2
        assert "judges images and makes none; training starts from it by --init-from" in answer.stderr
    answer = run_(app, ["weights", "import", str(file), "-o", str(ours)])
    assert (answer.exit_code, answer.stderr) == (
        2,
        f"gantools: '{ours}': exists already; give another -o, or --overwrite\n",
    )
    refused = run_(app, ["infer", str(file), "one.png"])
    assert f"{str(file)!r} (stylegan2) makes images from noise; use: gantools generate {file}" in refused.stderr
