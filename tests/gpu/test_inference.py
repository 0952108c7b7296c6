"""Networks on a GPU with copies beside the computing, graphs and the compiler make what they make the plain way."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools import infer
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.options import InferOptions
from gantools.inference.tiling.forward import start_batch, translate
from gantools.models.options import CompactSROptions, GeneratorOptions
from tests.faults.infer import save_weights
from tests.gpu.conftest import DEVICE, NAME, NEEDS_CUDA, ON_CUDA
from tests.inference.networks import build_model
from tests.inference.test_batching import NETWORKS, noise

DTYPES = pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])


def on_gpu(options: GeneratorOptions, dtype: torch.dtype | None = None) -> Any:
    model = build_model(options, dtype)
    return replace(model, network=model.network.to(DEVICE))


@DTYPES
@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options.name)
def test_pending_images_equal_those_that_are_waited_for(options: GeneratorOptions, dtype: torch.dtype | None) -> None:
    """Twenty are started before the first is waited for: whatever waits for too little shows here."""
    model = on_gpu(options, dtype)
    images = [noise(seed, 64 + seed % 3, 64) for seed in range(20)]
    batches = [start_batch([pixels], model) for pixels in images]
    for pixels, batch in zip(images, batches, strict=True):
        assert batch is not None
        (result,) = batch.wait() or [None]
        np.testing.assert_array_equal(result, translate(pixels, model))


@NEEDS_CUDA
@DTYPES
def test_compiled_images_are_near(dtype: torch.dtype | None) -> None:
    model = on_gpu(CompactSROptions(channels=8, blocks=2), dtype)
    compiling = replace(model, compile=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for seed in (0, 1, 2, 0):  # a CUDA graph overwrites its output
            apart = np.abs(translate(noise(seed), model).astype(int) - translate(noise(seed), compiling))
            assert apart.max() <= (1 if dtype is None else 4)


GIVEN = [{}, {"batch": 2}, *([{"compile": True}, {"fast": True}] if ON_CUDA else [])]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_a_folder_is_its_images(given: dict[str, Any], tmp_path: Path) -> None:
    path = save_weights(tmp_path / "weights.safetensors", CompactSROptions(channels=8, blocks=1, scale=2))
    (tmp_path / "in").mkdir()
    for number in range(9):
        writer.save(Image(noise(number, 24 + number // 3, 24)), tmp_path / "in" / f"{number}.png")
    how = replace(InferOptions(io_workers=0), **given)
    folder = list(infer(path, tmp_path / "in", how, output=tmp_path / "out", device=NAME))
    assert [result.status for result in folder] == ["done"] * 9
    for number in (0, 4, 8):
        name = f"{number}.png"
        alone = tmp_path / f"alone-{name}"
        assert [r.status for r in infer(path, tmp_path / "in" / name, how, output=alone, device=NAME)] == ["done"]
        one, other = reader.read_rgb8(alone), reader.read_rgb8(tmp_path / "out" / name)
        apart = np.abs(one.astype(int) - other)
        assert apart.max() <= (8 if "fast" in given else 0)
