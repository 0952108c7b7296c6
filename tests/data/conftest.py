"""Small folders of images, written with the project's own writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gantools.data.synthetic import drawing
from gantools.images.image import Image
from gantools.images.io import writer

Save = Callable[..., Path]

TINY_PIX2PIX = (
    "data.load_px=18",
    "data.crop_px=16",
    "data.batch_images=2",
    "model.generator.base_channels=4",
    "model.generator.downs=3",
    "model.discriminator.base_channels=4",
    "model.discriminator.downs=1",
    "stages.adversarial.epochs=null",
    "stages.adversarial.steps=6",
    "train.precision=fp32",
)
"""Settings of a short training on tiny images."""


@pytest.fixture
def save() -> Save:
    """Write one random image of the given size."""

    def write(path: Path, width: int = 12, height: int = 10, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        writer.write(Image(pixels), path)
        return path

    return write


@pytest.fixture(scope="session")
def shoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten drawn shoes."""
    folder = tmp_path_factory.mktemp("shoes")
    drawing.draw_dataset("shoes", folder, 10, 40, 3)
    return folder
