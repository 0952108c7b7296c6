"""``gantools data synth``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gantools.images.io import reader


@pytest.mark.parametrize(("recipe", "names"), [("pix2pix", [""]), ("srgan", [""]), ("cyclegan", ["trainA", "trainB"])])
def test_synth_draws_what_a_recipe_needs(recipe: str, names: list[str], gantools: Any, here: Path) -> None:
    drawn = gantools("data", "synth", recipe, "-o", "set", "-n", "2", "--size", "32", "--seed", "4")
    assert (drawn.code, drawn.out) == (0, "set\n")
    assert drawn.err == f"drew {2 * len(names)} images; try: gantools train {recipe} --data set\n"
    for name in names:
        images = [reader.read(path) for path in sorted((here / "set" / name).glob("*.png"))]
        assert [(image.width, image.height) for image in images] == [(32, 32)] * 2
    gantools("-q", "data", "synth", recipe, "-o", "again", "-n", "2", "--size", "32", "--seed", "4")
    again = {path.relative_to("again"): path.read_bytes() for path in Path("again").rglob("*.png")}
    assert again == {path.relative_to("set"): path.read_bytes() for path in Path("set").rglob("*.png")}


def test_synth_as_json(gantools: Any, here: Path) -> None:
    drawn = gantools("data", "synth", "srgan", "-o", "set", "-n", "1", "--size", "16", "--json")
    facts = {"schema": 1, "folder": "set", "kind": "scenes", "count": 1, "size_px": 16, "seed": 0}
    assert (json.loads(drawn.out), drawn.err) == (facts, "")
