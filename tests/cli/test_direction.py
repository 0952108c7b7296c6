"""``infer --direction``: a model that learnt both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.models import GENERATORS
from gantools.models.options import ResNetOptions

OPTIONS = ResNetOptions(base_channels=2, downs=1, blocks=1)


def stored(path: Path, *names: str) -> Path:
    networks = {name: GENERATORS.build(OPTIONS) for name in names}
    said = {
        name: Export(name, OPTIONS.model_dump(mode="json"), 1, network.size_multiple, network.minimum_size_px)
        for name, network in networks.items()
    }
    weights.save(path, "demo", said, networks, {})
    return path


@pytest.fixture
def both(here: Path) -> Path:
    writer.write(Image(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)), here / "in.png")
    return stored(here / "both.safetensors", "a2b", "b2a")


def made(gantools: Any, *arguments: str | Path) -> np.ndarray:
    done = gantools("infer", *arguments, "-o", "out.png", "--overwrite")
    assert done.code == 0, done.err
    return reader.read("out.png").pixels


def test_each_direction_is_the_network_of_that_name(gantools: Any, both: Path) -> None:
    there, back = (made(gantools, both, "in.png", "--direction", name) for name in ("a2b", "b2a"))
    assert not np.array_equal(there, back)
    np.testing.assert_array_equal(there, made(gantools, both, "in.png", "--export", "a2b"))
