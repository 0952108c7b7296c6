"""``list``, ``show``, ``check`` and ``schema``; and every shipped preset from its YAML to an image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools import api
from gantools.checkpoint import state, weights
from gantools.config import presets
from gantools.config.source import parse_yaml
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.training.recipe import networks_of

# What the wheel ships. A new preset is added here and nothing else: everything below is done to every one of them.
SPECS = [
    "cgan/fashion-64",
    "cgan/mnist",
    "cgan/source",
    "context_encoder/center-64",
    "context_encoder/center",
    "context_encoder/photos-128",
    "context_encoder/random_block",
    "context_encoder/random_region-64",
    "context_encoder/random_region",
    "cyclegan/apple2orange-64",
    "cyclegan/apple2orange",
    "cyclegan/paper",
    "dcgan/fashion-64",
    "dcgan/mnist-32",
    "dcgan/paper-64",
    "deblur/compact",
    "deblur/fpn",
    "deblur/motion",
    "deblur/photos",
    "deblur/vgg16",
    "gan/mnist",
    "gan/paper",
    "infogan/mnist",
    "infogan/paper",
    "lapgan/fashion-32",
    "lapgan/paper-32",
    "pix2pix/colorize",
    "pix2pix/edges2shoes",
    "pix2pix/facades-64",
    "pix2pix/facades",
    "pix2pix/paper",
    "pix2pix/shoes-64",
    "progan/paper-256",
    "progan/shoes-64",
    "restore/colorize-64",
    "restore/colorize",
    "restore/crappify-64",
    "restore/crappify",
    "restore/photos",
    "srgan/compact",
    "srgan/fast",
    "srgan/mse",
    "srgan/paper",
    "srgan/real",
    "stackgan/paper-256",
    "stackgan/shoes-64",
    "stylegan2/auto",
    "stylegan2/paper-1024",
    "stylegan2/paper-256",
    "stylegan2/paper-512",
    "stylegan2/shoes-32",
]
# Parameters of the generator at full size, in millions, as published where there is a publication.
MILLIONS = {"deblur/motion": 11.38, "pix2pix/paper": 54.41, "srgan/mse": 1.55, "srgan/paper": 1.55}

Small = Callable[[str], list[str]]


def test_no_preset_is_missing_or_left_out() -> None:
    files = sorted(presets.folder().rglob("*.yaml"))
    assert [f"{path.parent.name}/{path.stem}" for path in files] == SPECS


@pytest.mark.parametrize("spec", SPECS)
def test_a_preset_builds_on_the_meta_device(spec: str) -> None:
    model = dict(api.configure(spec).config.model)
    random = ["model.perceptual.weights=random"] if model.get("perceptual") else []
    random += ["model.encoder_weights=random"] if "encoder_weights" in model else []
    settings = api.configure(spec, overrides=random)
    with torch.device("meta"):
        networks = networks_of(list(settings.recipe(settings.config).stages()))
    assert all(parameter.is_meta for network in networks.values() for parameter in network.parameters())
    if spec in MILLIONS:
        found = sum(parameter.numel() for parameter in networks["generator"].parameters()) / 1e6
        assert found == pytest.approx(MILLIONS[spec], abs=0.01)


@pytest.mark.parametrize("spec", SPECS)
def test_a_preset_trains_stops_resumes_exports_and_infers(
    spec: str, gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    recipe, run = spec.partition("/")[0], here / "run"
    started = gantools("train", spec, "--data", drawn[recipe], "--run-dir", run, "--max-steps", "1", *small(spec))
    assert (started.code, started.out) == (0, f"{run}\n"), started.err
    assert started.err.splitlines()[-2:] == ["limit at step 1", f"resume with: gantools train --resume {run}"]
    assert state.steps(run / "checkpoints") == [1]
    resumed = gantools("train", "--resume", run)
    assert (resumed.code, resumed.out) == (0, f"{run}\n"), resumed.err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    played = [(row["stage"], row["step"]) for row in rows if "images_per_second" in row]
    assert played == [(stage, 2 * number + step) for number, stage in enumerate(stages) for step in (1, 2)]
    assert json.loads((run / "run.json").read_bytes())["status"] == "finished"
    _applies_to_an_odd_size(spec, gantools, run)


def _applies_to_an_odd_size(spec: str, gantools: Any, run: Path) -> None:
    exports = weights.describe(run / "weights" / "last.safetensors").exports
    pixels = np.random.default_rng(0).integers(0, 256, (17, 33, 3), np.uint8)
    writer.write(Image(pixels), Path("odd.png"))
    for name, export in exports.items():
        if export.takes == "latent":
            _generates(gantools, run, export)
            continue
        chosen = ["--direction", name] if len(exports) > 1 else []
        chosen += ["--mask", "center"] if export.takes == "masked" else []
        applied = gantools("infer", run, "odd.png", "-o", f"{name}.png", *chosen)
        assert applied.code == 0, applied.err
        made = reader.read(f"{name}.png")
        assert export.scale == (4 if spec.startswith("srgan/") else 1)
        assert (made.width, made.height) == (33 * export.scale, 17 * export.scale)
        assert made.pixels.std() > 0


def _generates(gantools: Any, run: Path, export: weights.Export) -> None:
    words = ["--text", "a red boot"] if export.latent is not None and export.latent.text_size else []
    made = gantools("generate", run, "--seeds", "3", "-o", "made", *words)
    assert made.code == 0, made.err
    images = [reader.read(path) for path in sorted(Path("made").iterdir())]
    assert len(images) == (len(export.latent.classes) or 1 if export.latent else 0)
    assert {(image.height, image.width) for image in images} == {export.image_px}


def test_list_names_every_preset(gantools: Any) -> None:
    listed = gantools("list")
    assert (listed.code, listed.err) == (0, "")
    for spec in SPECS:
        (line,) = [line for line in listed.out.splitlines() if line.startswith(f"{spec} ")]
        assert presets.find(*spec.split("/")).purpose() in line
    rows = [json.loads(line) for line in gantools("list", "--json").out.splitlines()]
    assert [f"{row['recipe']}/{row['preset']}" for row in rows] == SPECS
    assert {row["schema"] for row in rows} == {1}


def test_show_says_the_same_with_and_without_overrides(gantools: Any) -> None:
    stored, computed = gantools("show", "srgan/mse"), gantools("show", "srgan/mse", "seed=0")
    assert (stored.code, stored.err, computed.code) == (0, "", 0)
    assert stored.out == computed.out
    changed = gantools("show", "srgan/mse", "model.pixel_weight=7.5").out.splitlines()
    (different,) = set(changed) - set(stored.out.splitlines())
    assert different.split()[:2] == ["model.pixel_weight", "7.5"]


def test_show_gives_the_papers_value_and_the_reason(gantools: Any) -> None:
    lines = gantools("show", "pix2pix").out.splitlines()
    (weight,) = [line for line in lines if line.startswith("model.pixel_weight ")]
    assert weight.split()[1] == "100"
    assert weight.endswith("[paper 100 | source 100]")
    assert lines[0].startswith("pix2pix: ")
    assert lines[1] == "presets: colorize, edges2shoes, facades-64, facades, paper, shoes-64"
    assert any(line.startswith("Data: ") for line in lines)


def test_the_shown_configuration_trains_as_it_is(gantools: Any, here: Path, drawn: dict[str, Path]) -> None:
    shown = gantools("show", "pix2pix/paper", "seed=5", "model.adversarial={name: lsgan}", "--config")
    assert shown.code == 0
    assert "# command line: seed=5" in shown.out.splitlines()
    assert parse_yaml(shown.out, "shown").values["model"]["adversarial"] == {"name": "lsgan", "real_label": 1.0}
    (here / "mine.yaml").write_text(shown.out, encoding="utf-8")
    again = gantools("check", "mine.yaml", "--data", drawn["pix2pix"], "model.generator.base_channels=4")
    assert (again.code, again.out.splitlines()[-1]) == (0, "OK"), again.err


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_rate_that_nobody_uses_is_warned_of(
    command: str, gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    typed = ["srgan/mse", "--data", drawn["srgan"], "--device", "cpu", *small("srgan/mse")]
    rate = "stages.pretraining.optimizers.generator.lr=20"
    more = ["--run-dir", "run", "--max-steps", "1"] if command == "train" else []
    warned = gantools(command, *typed, rate, *more)
    assert f"warning: command line: {rate}: " in warned.err
    assert "20.0 is outside of the usual range, 1e-07 to 0.05; is this meant?" in warned.err


def test_check_says_what_a_run_would_work_with(gantools: Any, here: Path, drawn: dict[str, Path], small: Small) -> None:
    checked = gantools(
        "check", "srgan/mse", "--data", drawn["srgan"], "--device", "cpu", "--dry-run", *small("srgan/mse")
    )
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.splitlines()[1:3] == ["training: 3 photos", "validation: 1 photos"]
    assert checked.out.splitlines()[-3:] == ["dry run: pretraining plays", "dry run: adversarial plays", "OK"]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix", "srgan"])
def test_schema(recipe: str, gantools: Any) -> None:
    one, all_of_them = (json.loads(gantools("schema", *names).out) for names in ([recipe], []))
    assert one["properties"]["recipe"]["const"] == recipe
    assert one["additionalProperties"] is False
    assert one in all_of_them["oneOf"]


def test_help_and_version(gantools: Any) -> None:
    for arguments in (["--help"], ["-h"], ["train", "--help"], ["show", "-h"], ["data", "synth", "-h"]):
        helped = gantools(*arguments)
        assert (helped.code, helped.err) == (0, "")
        assert helped.out.startswith("Usage: gantools ")
    assert gantools("--version").out.startswith("gantools 0.")
    for arguments in ([], ["data"]):
        refused = gantools(*arguments)
        assert refused.code == 2
        assert "Commands:" in refused.out + refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "no such command 'bogus'; see gantools --help"),
        (["train", "--bogus"], "no such option: --bogus; see gantools train --help"),
        (["train", "--seed", "x"], "invalid value for '--seed': "),
        (["train", "--max-steps", "0"], "invalid value for '--max-steps': "),
        (["show"], "missing argument 'RECIPE[/PRESET]'; see gantools show --help"),
        (["list", "extra"], "got unexpected extra argument"),
        (["data", "synth", "srgan"], "missing option "),
    ],
)
def test_a_mistyped_command_line_is_one_line(arguments: list[str], said: str, gantools: Any) -> None:
    refused = gantools(*arguments)
    assert (refused.code, refused.out) == (2, "")
    quotes = str.maketrans("", "", "':")  # the words are Typer's or, up to 0.25, Click's, which quote differently
    assert refused.only_error.translate(quotes).startswith(said.translate(quotes))
