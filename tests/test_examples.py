"""The scripts in ``examples/`` run from beginning to end, in short form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.data.synthetic import shoes
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.models.latent.style import StyleGenerator

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "own_photo"


def test_own_photo_goes_from_photos_to_a_strip(tmp_path: Path) -> None:
    options = {"latent_size": 4, "style_size": 4, "image_px": 16, "channel_base": 32, "max_channels": 4}
    torch.manual_seed(0)
    network = StyleGenerator(**options, mapping_layers=1)  # type: ignore[arg-type]
    latent = Latent(4, rows=network.rows)
    described = {"name": "style", **options, "mapping_layers": 1}
    export = Export("generator", described, 1, 1, takes="latent", latent=latent, image_px=(16, 16))
    weights.save(tmp_path / "tiny.safetensors", "stylegan2", {"generator": export}, {"generator": network}, {})
    for number, name in enumerate(("mine.jpg", "yours.png")):
        writer.write(Image(shoes.draw(np.random.default_rng(number), 40)), tmp_path / name)
    environment = {**os.environ, "CROP": "center", "SIZE": "16", "STEPS": "3", "SAMPLES": "60", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [EXAMPLE, "tiny.safetensors", "out", "mine.jpg", "yours.png"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert made >= {"aligned/mine.png", "styles/yours.latent.npz", "brightness.npz", "strip.png", "strip.webp"}
    assert len([name for name in made if name.startswith("mixed/")]) == 2
