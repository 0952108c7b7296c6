"""Networks on a GPU with copies beside the computing, graphs and the compiler make what they make the plain way."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.kernels.compile import ByShape, Ferry, Graphs
from gantools.inference.options import Settings
from gantools.inference.run import infer
from gantools.inference.tiling.forward import begin_batch, translate
from gantools.models.options import CompactSROptions, GeneratorOptions
from tests.faults import ground
from tests.inference.test_batching import NETWORKS, model_of, noise
from tests.inference.test_optimise import EVERY_NETWORK, built

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device: what only a GPU can show was not run"
)
CUDA = torch.device("cuda", 0)
DTYPES = pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])


@pytest.fixture(autouse=True)
def _exact():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def on_gpu(options: GeneratorOptions, dtype: torch.dtype | None = None) -> Any:
    model = model_of(options, dtype)
    return replace(model, network=model.network.to(CUDA))


@DTYPES
@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options.name)
def test_pictures_by_ferry_are_those_of_the_plain_way(options: GeneratorOptions, dtype: torch.dtype | None) -> None:
    """Twenty begun before the first is waited for: whatever waits for too little shows here."""
    model, ferry = on_gpu(options, dtype), Ferry(CUDA)
    given = [noise(seed, 64 + seed % 3, 64) for seed in range(20)]
    arrivals = [begin_batch([each], model, ferry) for each in given]
    for pixels, arrival in zip(given, arrivals, strict=True):
        assert arrival is not None
        (made,) = arrival() or [None]
        np.testing.assert_array_equal(made, translate(pixels, model))


@DTYPES
@EVERY_NETWORK
def test_a_captured_network_makes_the_bits_of_the_plain_one(options: Any, dtype: torch.dtype | None) -> None:
    from gantools.inference.kernels import select

    form = select._plain_form(built(options).to(CUDA), CUDA, dtype)
    pool = Graphs(CUDA)
    graphs = ByShape(lambda image: pool.captured(form, image), most=2)
    with torch.inference_mode():
        for seed, side_px in enumerate((64, 32, 64, 96, 32, 64)):
            torch.manual_seed(seed)
            given = torch.rand(1, options.in_channels, side_px, side_px, device=CUDA) * 2 - 1
            assert torch.equal(graphs(given), form(given))


def test_results_of_a_graph_outlive_its_next_replay() -> None:
    first, second = torch.ones(1, 1, 4, 4, device=CUDA), torch.zeros(1, 1, 4, 4, device=CUDA)
    with torch.inference_mode():
        run = Graphs(CUDA).captured(lambda image: image * 2, first)
        one = run(first)
        run(second)
        assert torch.equal(one, first * 2)


@DTYPES
def test_compiled_pictures_are_near(dtype: torch.dtype | None) -> None:
    model = on_gpu(CompactSROptions(channels=8, blocks=2), dtype)
    compiling = replace(model, compile=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for seed in range(3):
            apart = np.abs(translate(noise(seed), model).astype(int) - translate(noise(seed), compiling))
            assert apart.max() <= (1 if dtype is None else 4)


@pytest.mark.parametrize("given", [{}, {"compile": True}, {"fast": True}, {"batch": 2}], ids=str)
def test_a_folder_is_its_pictures(given: dict[str, Any], tmp_path: Path) -> None:
    path = ground.save_weights(tmp_path / "weights.safetensors", CompactSROptions(channels=8, blocks=1, scale=2))
    (tmp_path / "in").mkdir()
    for number in range(9):
        writer.save(Image(noise(number, 24 + number // 3, 24)), tmp_path / "in" / f"{number}.png")
    how = replace(Settings(io_workers=0), **given)
    folder = list(infer(path, tmp_path / "in", output=tmp_path / "out", device="cuda", settings=how))
    assert [result.status for result in folder] == ["done"] * 9
    for number in (0, 4, 8):
        name = f"{number}.png"
        alone = tmp_path / f"alone-{name}"
        assert [r.status for r in infer(path, tmp_path / "in" / name, output=alone, device="cuda", settings=how)] == [
            "done"
        ]
        one, other = reader.read_rgb8(alone), reader.read_rgb8(tmp_path / "out" / name)
        apart = np.abs(one.astype(int) - other)
        assert apart.max() <= (8 if "fast" in given else 0)
