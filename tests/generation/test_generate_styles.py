"""``generate`` with a model that has styles: truncation, walks, files of styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Opened

from gantools import api
from gantools.errors import UsageError
from gantools.generation import latents
from gantools.generation.latents import Sample
from gantools.generation.model import LatentModel, open_model
from gantools.generation.styled import mean_style
from tests.generation.conftest import saved_styles
from tests.generation.test_style_files import SHAPES, drawn


def made(weights: Path, output: Path, **options: Any) -> list[np.ndarray]:
    results = list(api.generate(weights, output=str(output), device="cpu", **options))
    assert [each.error for each in results] == [None] * len(results)
    return [np.asarray(Opened.open(each.output)) for each in results]


@pytest.mark.parametrize("classes", [(), ("cup", "pot")])
def test_truncation_to_nothing_makes_the_mean_image(tmp_path: Path, classes: tuple[str, ...]) -> None:
    weights = saved_styles(tmp_path / "m.safetensors", classes=classes)
    model = open_model(weights)
    mean = Sample("", np.zeros(8, np.float32), styles=np.tile(mean_style(model), (6, 1)))
    for image in made(weights, tmp_path / "images", count=2, truncation=0):
        assert np.array_equal(image, model.images([mean])[0])


def test_several_images_at_once_are_those_of_each_alone(tmp_path: Path) -> None:
    weights = saved_styles(tmp_path / "m.safetensors", classes=("cup", "pot"))
    options: dict[str, Any] = {"count": 2, "truncation": 0.7, "truncated_rows": 3, "noise": "random"}
    alone, together = (made(weights, tmp_path / str(batch), batch=batch, **options) for batch in (1, 4))
    assert len(alone) == 4
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_files_of_styles_make_their_images(style_model: LatentModel, styles_weights: Path, tmp_path: Path) -> None:
    """Of rows for each layer, or of one that stands for all; also where it could be latent vectors by its shape."""
    for name, styles in {"rows": drawn(2, 6, 8), "one": drawn(2, 1, 8), "flat": drawn(6, 8)}.items():
        np.savez(tmp_path / f"{name}.npz", w=styles)
        rows = np.broadcast_to(
            styles if styles.ndim == 3 else styles[None], (len(styles) if styles.ndim == 3 else 1, 6, 8)
        )
        wanted = [style_model.images([Sample("", drawn(8), styles=each.copy())])[0] for each in rows]
        output = tmp_path / (f"{name}.png" if len(wanted) == 1 else name)
        images = made(styles_weights, output, latents=str(tmp_path / f"{name}.npz"))
        for image, other in zip(images, wanted, strict=True):
            assert np.array_equal(image, other)


def test_files_of_styles_are_refused_in_one_line(styles_weights: Path, tmp_path: Path) -> None:
    styles, half, other = (str(tmp_path / name) for name in ("w.npz", "half.npz", "other.npz"))
    np.savez(styles, w=drawn(1, 6, 8))
    np.savez(other, w=drawn(1, 14, 8))
    Path(half).write_bytes(Path(styles).read_bytes()[:-40])
    for options, reason in (
        ({"latents": styles, "truncation": 0.5}, "--truncation: --latents .* holds styles"),
        ({"latents": styles, "label": ["a"], "truncated_rows": 2}, "--label, --truncated-rows: --latents"),
        ({"latents": other}, "has 14 rows of styles, the model 6"),
        ({"truncated_rows": 2}, "--truncated-rows: says which rows --truncation moves"),
        ({"latents": half}, "cannot be read as a NumPy file"),
    ):
        with pytest.raises(UsageError, match=reason):
            list(api.generate(styles_weights, output=str(tmp_path / "out"), device="cpu", **options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_through_styles_passes_them_with_the_first_ones_noise(loop: bool) -> None:
    planes = [tuple(plane + number for plane in map(drawn, *zip(*SHAPES, strict=True))) for number in range(3)]
    keys = [Sample(f"{at}", drawn(0), seed=at, styles=drawn(6, 8) * at, planes=each) for at, each in enumerate(planes)]
    walk = latents.between(keys, 4, normal=True, loop=loop)
    assert len(walk) == (12 if loop else 9)
    assert [each.name for each in walk] == [f"frame{number:05d}" for number in range(len(walk))]
    for number, key in enumerate(keys):
        styles = walk[4 * number].styles
        assert styles is not None
        assert key.styles is not None
        assert np.allclose(styles, key.styles, atol=1e-6)
    assert all(each.planes is planes[0] and each.seed == 0 for each in walk)
