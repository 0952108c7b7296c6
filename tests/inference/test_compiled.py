"""Networks through torch's compiler: as they are without it, for every shape, in any company; and when it fails."""

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
from torch import Tensor, nn

from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.kernels import compile as kernels_compile
from gantools.inference.kernels import select
from gantools.inference.kernels.compile import ByShape
from gantools.inference.kernels.select import NetworkVariants
from gantools.inference.model import open_model
from gantools.inference.options import Settings
from gantools.inference.run import infer
from gantools.models.options import CompactSROptions, GeneratorOptions, UNetOptions
from tests.inference.conftest import SaveWeights
from tests.inference.test_optimise import EVERY_NETWORK, built, picture

CPU = torch.device("cpu")
SMALL = CompactSROptions(channels=4, blocks=1, scale=2)
A_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ for torch's compiler to use")


class Traced:
    """Runs each graph as it was traced; knows the shapes."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, graph: Any, inputs: Any, _options: dict[str, Any]) -> Any:
        self.shapes.append(tuple(inputs[0].shape))
        return graph


def through(options: GeneratorOptions, lower: Any, dtype: torch.dtype | None = None) -> tuple[ByShape, Any]:
    form = select._plain_form(built(options), CPU, dtype)
    return kernels_compile.compiled(form, dtype, lower), form


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@EVERY_NETWORK
@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_every_network_can_be_traced(options: GeneratorOptions, dtype: torch.dtype | None) -> None:
    made, form = through(options, Traced(), dtype)
    given = torch.rand(2, options.in_channels, 32, 32) * 2 - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert torch.equal(made(given), form(given))


def test_each_shape_is_compiled_once() -> None:
    lower = Traced()
    made, form = through(SMALL, lower)
    for height, width in ((8, 8), (8, 12), (8, 8), (12, 8)):
        given = picture(height, width)
        assert torch.equal(made(given), form(given))
    assert lower.shapes == [(1, 3, 8, 8), (1, 3, 8, 12), (1, 3, 12, 8)]


def test_a_turned_picture_is_computed_as_one_that_lies_so() -> None:
    made, _ = through(SMALL, Traced())
    turned = picture(8, 8).transpose(-1, -2)
    assert torch.equal(made(turned), made(turned.contiguous()))


def test_of_too_many_shapes_the_longest_unused_goes() -> None:
    asked: list[int] = []

    def make(image: Tensor) -> Any:
        asked.append(image.shape[-1])
        return lambda seen: seen + 1

    forms = ByShape(make, most=2)
    for width in (1, 2, 1, 3, 1, 2):
        assert torch.equal(forms(torch.zeros(1, 1, 1, width)), torch.ones(1, 1, 1, width))
    assert asked == [1, 2, 3, 2]


def wrong(graph: Any, _inputs: Any, _options: dict[str, Any]) -> Any:
    return lambda image: graph(image) + 0.1


def missing(*_: Any) -> Any:
    raise RuntimeError("no\ncompiler here")


def late(*_: Any) -> Any:
    def fails(_image: Tensor) -> Tensor:
        raise AssertionError("expected size 512")

    return fails


@pytest.mark.parametrize(
    ("lower", "said"),
    [(missing, "no compiler here"), (late, "expected size 512"), (wrong, "compiled, it is off by 0.1 in the mean")],
)
def test_what_cannot_be_compiled_runs_as_it_is_and_is_told_once(lower: Any, said: str) -> None:
    made, form = through(SMALL, lower)
    given = picture(8, 8)
    with pytest.warns(UserWarning, match=rf"--compile: a network runs uncompiled \({said}\)"):
        found = made(given)
    assert torch.equal(found, form(given))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        made(picture(12, 12))


def test_too_little_memory_is_no_failure_of_the_compiler() -> None:
    def exhausted(*_: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    made, _ = through(SMALL, exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        made(picture(8, 8))


@pytest.mark.parametrize(("options", "mode"), [(UNetOptions(downs=2, base_channels=4), "eval"), (SMALL, "train")])
def test_what_would_not_gain_runs_as_it_is(options: Any, mode: str, save_weights: SaveWeights) -> None:
    path = save_weights(options, mode=mode)
    with pytest.warns(UserWarning, match="--compile: this network runs uncompiled"):
        model = open_model(path, export=None, device=CPU, compile=True)
    assert not model.compile


def test_what_features_take_is_measured_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    from gantools.inference.tiling.forward import ExecutionContext
    from tests.inference.test_forward import Cap
    from tests.inference.test_forward import built as model_of

    monkeypatch.setattr(select, "compiled", missing)
    model = model_of(SMALL)
    compiling = replace(model, compile=True)
    assert (
        ExecutionContext(compiling, None, None, False, Cap(1)).bytes_per_px()
        == ExecutionContext(model, None, None, False, Cap(1)).bytes_per_px()
    )


@A_COMPILER
def test_compiled_pictures_are_those_without_and_the_same_in_any_company(
    save_weights: SaveWeights, tmp_path: Path
) -> None:
    """With the compiler itself."""
    path = save_weights(SMALL)
    (tmp_path / "in").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
        writer.save(Image(pixels), tmp_path / "in" / f"{number}.png")

    def run(name: str, pictures: Any, **settings: Any) -> list[Any]:
        how = replace(Settings(io_workers=0), **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            results = list(infer(path, pictures, output=tmp_path / name, device="cpu", settings=how))
        assert [result.status for result in results] == ["done"] * len(results)
        return [reader.read_rgb8(result.output) for result in results]

    plain = run("plain", tmp_path / "in")
    together = run("together", tmp_path / "in", compile=True)
    apart = np.abs(np.stack(plain).astype(int) - np.stack(together))
    assert apart.max() <= 1
    alone = run("alone.png", tmp_path / "in" / "2.png", compile=True)
    assert np.array_equal(alone[0], together[2])


@A_COMPILER
def test_compiled_floats_are_near() -> None:
    network: nn.Module = built(SMALL)
    given = picture(12, 10)
    made = NetworkVariants(network, CPU, compile=True)(given, None)
    torch.testing.assert_close(made, NetworkVariants(network, CPU)(given, None), atol=1e-5, rtol=0)
