"""A small StyleGAN2 with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.generation.model import LatentModel, open_model
from gantools.models.latent.style import StyleGenerator


def saved_styles(path: Path, *, classes: tuple[str, ...] = (), channels: int = 3, image_px: int = 16) -> Path:
    """Write weights of a generator of 16 px (6 rows of 8 styles), whose noise is visible."""
    torch.manual_seed(1)
    sizes = {"latent_size": 8, "style_size": 8, "image_px": image_px, "out_channels": channels, "mapping_layers": 2}
    options = {**sizes, "channel_base": 64, "max_channels": 8, "condition_size": len(classes)}
    network = StyleGenerator(**options)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.1)
    latent = Latent(8, classes=classes, rows=network.rows)
    described = Export(
        "generator",
        {"name": "style", **options},
        1,
        1,
        takes="latent",
        latent=latent,
        image_px=(image_px, image_px),
    )
    weights.save(path, "stylegan2", {"generator": described}, {"generator": network}, {})
    return path


@pytest.fixture
def styles_weights(tmp_path: Path) -> Path:
    return saved_styles(tmp_path / "styles.safetensors")


@pytest.fixture
def style_model(styles_weights: Path) -> LatentModel:
    return open_model(styles_weights)
