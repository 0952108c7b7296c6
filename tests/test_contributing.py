"""The worked example of CONTRIBUTING.md works in every command; what knows recipes by name is in recipes/ alone."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import gantools
from gantools import api, recipes
from gantools.images.io import reader

REPOSITORY = Path(__file__).resolve().parent.parent


def example(name: str) -> str:
    """The fenced block of CONTRIBUTING.md whose first line is ``# <name>``, without that line."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return block


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's recipe among those of gantools, found by its file name."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "refine.py").write_text(example("gantools/recipes/refine.py"), encoding="utf-8")
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
    yield
    sys.modules.pop("gantools.recipes.refine", None)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("blurred", "sharp"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number in range(5):
            image = random.integers(0, 256, (80, 80, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "pairs" / name / f"{number}.png"), image)
    return tmp_path / "pairs"


@pytest.mark.usefixtures("installed")
def test_the_example_works_in_every_command(pairs: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(example("configs/refine/small.yaml"), encoding="utf-8")
    overrides = ["data.workers=0", "stages.adversarial.epochs=5", "model.critic_turns=2"]
    settings = api.read_config(file, data=[str(pairs)], overrides=overrides)
    assert "model.critic_turns" in api.describe(settings)
    assert api.inspect(settings, device="cpu", dry_run=True)

    run = api.train(settings, run_dir=tmp_path / "run", device="cpu")
    assert run.ending == "finished"
    assert "psnr_rgb" in run.validation
    log = (run.path / "metrics.jsonl").read_text()
    for term in ("generator/pixel", "generator/adversarial", "discriminator/penalty", "discriminator/adversarial"):
        assert term in log

    found = api.evaluate(run.path, pairs, device="cpu")
    assert list(found.means()) == ["input", "model"]
    assert found.images == 5
    blurred, page = [str(pairs / "blurred" / "0.png")], tmp_path / "compared.html"
    compared = api.compare([str(run.path), *blurred], page, truth=pairs / "sharp", device="cpu")
    assert (compared.shown, compared.failures) == (1, ())
    (result,) = api.infer(run.path, blurred, output=tmp_path / "out.png", device="cpu")
    assert reader.read_rgb8(result.output).shape == (80, 80, 3)
    assert "refine" in api.report(run.path).read_text()
    assert api.export_weights(run.path, tmp_path / "weights.safetensors").is_file()


WITHOUT_A_NETWORK = {("gantools/inference/run.py", "deblur")}
"""``gantools infer deblur --kernel`` is the name of a method that is no recipe's."""

OF_ARCHITECTURES = ("gantools/models/", "gantools/importing/")
"""Networks, and files of other codes, go by the names of the papers that they come from, as recipes do."""

SHOWCASE = "gantools/demo.py"
"""Runs the weights that ship with gantools, by their names."""


def test_only_a_recipe_itself_knows_its_name() -> None:
    """What a command must know of a recipe, the recipe says; else a new one would fail in that command."""
    names = set(recipes.names())
    found = set()
    for path in sorted(Path(gantools.__file__).parent.rglob("*.py")):
        place = path.relative_to(REPOSITORY).as_posix()
        if not place.startswith(("gantools/recipes/", *OF_ARCHITECTURES, SHOWCASE)):
            found |= {(place, text) for text in _strings(path) if text.partition("/")[0] in names}
    assert found == WITHOUT_A_NETWORK


def _strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
