"""The worked example of CONTRIBUTING.md is real: its text is imported, checked and trained."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from gantools import api
from gantools.config.source import read_yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def example(name: str) -> str:
    """The fenced block of CONTRIBUTING.md whose first line is ``# <name>``, without that line."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return block


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> ModuleType:
    path = tmp_path / "refine.py"
    path.write_text(example("gantools/recipes/refine.py"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("gantools.recipes.refine", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # pydantic resolves a class's annotations in its module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pairs(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for name in ("blurred", "sharp"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number in range(5):
            picture = random.integers(0, 256, (80, 80, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "pairs" / name / f"{number}.png"), picture)
    return tmp_path / "pairs"


def test_the_example_trains(recipe, pairs, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(example("configs/refine/small.yaml"), encoding="utf-8")
    tree = read_yaml(file)
    api.override.assign(tree, ("data", "dir"), str(pairs), "test")
    api.override.apply(tree, ["data.workers=0", "stages.adversarial.epochs=5", "model.critic_turns=2"])
    run = api.train(api.check(tree, recipe.RECIPE, "refine"), run_dir=tmp_path / "run", device="cpu")
    assert run.ending == "finished"
    assert "psnr_rgb" in run.validation
    assert (run.path / "weights" / "best.safetensors").is_file()
    journal = (run.path / "metrics.jsonl").read_text()
    for term in ("generator/pixel", "generator/adversarial", "discriminator/penalty", "discriminator/adversarial"):
        assert term in journal
