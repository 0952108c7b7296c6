"""What ``train.compile=auto`` comes to, as far as it can be tested without a GPU: by stand-ins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from gantools.training.device import compile, graphs
from gantools.training.device.graphs import Tried
from gantools.training.device.runtime import Runtime, choose
from tests.training.test_precision import Second

CPU = Runtime(torch.device("cpu"), "fp32")
CUDA = Runtime(torch.device("cuda"), "bf16")
PLAIN = Tried({"generator's loss": 2.0}, launch_seconds=0.9, seconds=1.0, graphs=0)


@pytest.fixture(autouse=True)
def _a_compiler(monkeypatch: pytest.MonkeyPatch, real_speed: None) -> None:
    monkeypatch.setattr(compile, "obstacle", lambda _device: None)


def decided(settings: Any) -> tuple[str, str | None]:
    data = settings.recipe.dataset(settings.config, "training")
    return graphs.decide(CPU, settings.recipe, settings.config, data)


@pytest.mark.parametrize(
    ("plain", "compiled", "chosen", "line"),
    [
        ({}, {"seconds": 0.5}, "graphs", "graphs are 2.00 times as fast; there are 7"),
        ({}, {"seconds": 0.95}, "off", "1.05 times as fast"),
        ({"launch_seconds": 0.5}, {"seconds": 0.5}, "off", "the GPU is busy without"),
        ({}, {"seconds": 0.5, "found": {"generator's loss": 2.5}}, "off", "the generator's loss is 2.5 instead of 2"),
        ({}, {"seconds": 0.5, "found": {"generator's loss": float("nan")}}, "off", "is nan instead of 2"),
    ],
)
def test_graphs_are_used_where_a_gpu_waits_and_they_are_right_and_faster(
    tiny, monkeypatch, plain, compiled, chosen, line
):
    found = {"off": replace(PLAIN, **plain), "graphs": replace(PLAIN, graphs=7, **compiled)}
    monkeypatch.setattr(graphs, "_tried", lambda runtime, *_: found[runtime.compiled])
    made = decided(tiny("pix2pix/shoes-64"))
    assert made[0] == chosen
    assert line in str(made[1])


def lowered(monkeypatch: pytest.MonkeyPatch, lower: Any) -> None:
    """``lower`` in place of Inductor."""
    real = compile.prepare
    monkeypatch.setattr(compile, "prepare", lambda modules, how: real(modules, how, lower))


def test_steps_are_tried_from_the_same_weights_and_change_nothing(tiny, monkeypatch):
    lowered(monkeypatch, lambda graph, *_: graph.forward)
    tried, before = [], torch.get_rng_state()
    real = graphs._tried
    monkeypatch.setattr(graphs, "_tried", lambda *given: tried.append(real(*given)) or tried[-1])
    monkeypatch.setattr(graphs, "HOST_BOUND", 0)
    chosen, line = decided(tiny("pix2pix/shoes-64"))
    assert chosen in ("graphs", "off"), line
    plain, compiled = tried
    assert plain.found == pytest.approx(compiled.found, rel=1e-3)
    assert (plain.graphs, compiled.graphs > 2) == (0, True)
    assert torch.equal(torch.get_rng_state(), before)


def fails(*_: Any) -> Any:
    raise RuntimeError("no\ncompiler here")


def doubles(graph: Any, *_: Any) -> Any:
    return lambda *given: tuple(2 * one if one.is_floating_point() else one for one in graph.forward(*given))


@pytest.mark.parametrize(("lower", "line"), [(fails, "uncompiled (no compiler here)"), (doubles, "instead of")])
def test_a_compiler_that_fails_or_is_wrong_is_not_used(tiny, monkeypatch, lower, line):
    lowered(monkeypatch, lower)
    monkeypatch.setattr(graphs, "HOST_BOUND", 0)
    chosen, said = decided(tiny("pix2pix/shoes-64"))
    assert chosen == "off"
    assert line in str(said)


def test_auto_is_off_but_on_cuda_where_the_first_rank_decides_and_a_run_keeps_it(tiny):
    assert choose("cpu", "fp32", compiled="auto").compiled == "off"
    settings = tiny("pix2pix/shoes-64")

    def settled(runtime: Runtime, **before: str) -> Any:
        return graphs.settle(runtime, settings.recipe, settings.config, None, before)  # type: ignore[arg-type]

    assert settled(CPU) == (CPU, None)
    second = replace(CUDA, ranks=Second(("graphs", "a line")))
    assert settled(second) == (replace(second, compiled="graphs"), "a line")
    assert settled(CUDA, compile="graphs", device="cuda") == (replace(CUDA, compiled="graphs"), None)
