"""Networks through torch.compile: traced whole, by shape, the same in any order; and what happens when it fails."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools import infer
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.kernels import compile as compiling
from gantools.inference.kernels import select
from gantools.inference.kernels.compile import CompiledNetwork
from gantools.inference.tiling.context import ExecutionContext
from gantools.models.options import CompactSROptions, GeneratorOptions, UNetOptions
from tests.inference.conftest import SaveWeights
from tests.inference.networks import CPU, LimitedMemory, build_model, build_network, image, opened
from tests.inference.test_kernels import EVERY_NETWORK, noise

SMALL = CompactSROptions(channels=4, blocks=1, scale=2)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.compiler.reset()
    with torch.inference_mode():
        yield


def small() -> tuple[CompiledNetwork, Any]:
    network = select.plain_variant(build_network(SMALL), CPU, None)
    return CompiledNetwork(network, None), network


@EVERY_NETWORK
@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_every_network_is_traced_as_one_graph(options: GeneratorOptions, dtype: torch.dtype | None) -> None:
    network = select.plain_variant(build_network(options), CPU, dtype)
    traced = torch.compile(network, backend="eager", fullgraph=True, dynamic=False)
    given = noise(32, 32, count=2)
    assert torch.equal(traced(given), network(given))


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is compiled, by a compiler that leaves networks as they are."""
    calls: list[str] = []

    def compile(network: Any, **how: Any) -> Any:
        calls.append(f"dynamic {how['dynamic']}")
        return network

    monkeypatch.setattr(torch, "compile", compile)
    return calls


def test_each_shape_is_compiled_once_and_no_more_than_torch_compiles(
    shapes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its own limit torch would silently run a shape uncompiled, after some images and not after others."""
    resets: list[bool] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(True))
    monkeypatch.setattr(compiling, "MOST_SHAPES", 2)
    compiled, network = small()
    for height, width in ((8, 8), (12, 8), (8, 8), (8, 16), (8, 16), (8, 8)):
        turned = noise(width, height).transpose(-1, -2)
        assert torch.equal(compiled(turned), network(turned.contiguous()))
    assert (shapes, len(resets)) == (["dynamic False"] * 4, 1)


def no_compiler(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no\ncompiler here")


def no_memory(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("out of memory")


def late_failure(*_: Any, **__: Any) -> Any:
    def fails(_image: Any) -> Any:
        raise AssertionError("expected size 512")

    return fails


def wrong_code(network: Any, **_: Any) -> Any:
    return lambda given: network(given) + 0.1


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        (no_compiler, "no compiler here"),
        (late_failure, "expected size 512"),
        (wrong_code, "compiled, it is off by 0.1 on average"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is_and_is_reported_once(
    compiler: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", compiler)
    compiled, network = small()
    given = noise(8, 8)
    with pytest.warns(UserWarning, match=rf"--compile: a network runs uncompiled \({said}\)"):
        output = compiled(given)
    assert torch.equal(output, network(given))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        compiled(noise(12, 12))


def test_too_little_memory_is_no_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        small()[0](noise(8, 8))


@pytest.mark.parametrize(("options", "mode"), [(UNetOptions(downs=2, base_channels=4), "eval"), (SMALL, "train")])
def test_what_would_not_gain_runs_as_it_is(options: Any, mode: str, save_weights: SaveWeights) -> None:
    path = save_weights(options, mode=mode)
    with pytest.warns(UserWarning, match="--compile: this network runs uncompiled"):
        assert not opened(path, compile=True).compile


def test_activation_memory_is_measured_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", no_compiler)
    model = replace(build_model(SMALL), compile=True)
    assert ExecutionContext(model, None, None, False, LimitedMemory(1)).activation_bytes_per_px() > 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ for torch's compiler to use")
def test_compiled_images_are_near_and_the_same_alone_and_in_a_folder(save_weights: SaveWeights, tmp_path: Path) -> None:
    """With the compiler itself."""
    path = save_weights(SMALL)
    (tmp_path / "in").mkdir()
    for number in range(3):
        writer.save(Image(image(10, 12, seed=number)), tmp_path / "in" / f"{number}.png")

    def run(name: str, inputs: Any, **options: Any) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            results = list(infer(path, inputs, output=tmp_path / name, device="cpu", io_workers=0, **options))
        assert [result.status for result in results] == ["done"] * len(results)
        return [reader.read_rgb8(result.output) for result in results]

    plain = run("plain", tmp_path / "in")
    together = run("together", tmp_path / "in", compile=True)
    assert np.abs(np.stack(plain).astype(int) - np.stack(together)).max() <= 1
    alone = run("alone.png", tmp_path / "in" / "2.png", compile=True)
    assert np.array_equal(alone[0], together[2])
