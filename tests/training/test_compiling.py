"""Compiling as far as it can be tested without a GPU: networks are traced, and run as they were traced."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

from benchmarks.steps import FP32, our_play
from gantools import api
from gantools.losses.penalties import PathLength
from gantools.training.device import compile, runtime
from gantools.training.device.runtime import Runtime, choose

CPU = torch.device("cpu")
WASSERSTEIN = (
    "data.crop_px=16",
    "data.batch_images=2",
    "data.workers=0",
    "model.perceptual=null",
    "model.pixel_weight=1",
    "model.critic_turns=2",
    "model.generator={name: resnet, base_channels: 4, blocks: 1, global_residual: true}",
    "model.discriminator={name: patchgan, base_channels: 4, downs: 1, norm: instance}",
)


class Traced:
    """Compiles a graph as ``lower`` does, or runs it as it was traced; counts graphs."""

    def __init__(self, lower: Callable[..., Any] = lambda graph, _: graph.forward) -> None:
        self.graphs, self.lower = 0, lower

    def __call__(self, graph: Any, inputs: Any, _options: dict[str, Any]) -> Any:
        self.graphs += 1
        return self.lower(graph, inputs)


def network(channels: int = 1) -> nn.Module:
    """A layer in a network of its own, as recipes have them: torch 2.11 traces no bare layer."""
    return nn.Sequential(nn.Conv2d(1, channels, 1), nn.ReLU())


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def losses(settings: api.Settings, lower: Any = None) -> list[dict[str, float]]:
    """Every term of three steps."""
    play, batch = our_play(settings, "adversarial", FP32.machine(CPU))
    if lower:
        networks = {name: one for player in play.stage.players.values() for name, one in player.networks.items()}
        compile.prepare(compile.roots(networks, play.recipe.composed()), "networks", lower)
    return [
        {f"{player}/{name}": float(value) for player, made in turns.items() for name, value in made.terms.items()}
        for turns in (play.step(step, [batch], 1.0) for step in range(3))
    ]


@pytest.mark.parametrize(
    ("spec", "lower"),
    # What torch compiles cannot be differentiated twice: the gradient penalty runs the critic uncompiled.
    [("pix2pix/shoes-64", Traced()), ("deblur/motion", Traced(aot_eager))],
)
def test_compiled_steps_make_the_same_losses_from_few_graphs(tiny, spec, lower):
    settings = tiny(spec) if spec.startswith("pix2pix") else api.configure(spec, overrides=WASSERSTEIN)
    for one, other in zip(losses(settings, lower), losses(settings), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert 2 <= lower.graphs <= 8
    assert not torch._dynamo.utils.counters["graph_break"]


def test_what_cannot_be_compiled_runs_as_it_is_and_is_reported_once(tiny):
    def fails(*_: Any) -> Any:
        raise RuntimeError("no\ncompiler here")

    settings = tiny("pix2pix/shoes-64")
    with pytest.warns(UserWarning, match=r"runs uncompiled \(no compiler here\)") as lines:
        compiled = losses(settings, fails)
    assert len([line for line in lines if "uncompiled" in str(line.message)]) == 1
    assert compiled == losses(settings)


def test_the_graphs_mode_asks_for_cuda_graphs_and_nothing_is_compiled_when_off(monkeypatch):
    options: list[dict[str, Any]] = []
    steps: list[int] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: steps.append(1))
    for mode in ("off", "networks", "graphs"):
        one = network()
        compile.prepare([one], mode, lambda graph, _, given: options.append(given) or graph.forward)
        one(torch.ones(1, 1, 2, 2))
        Runtime(CPU, "fp32", compiled=mode).begin_step()
    assert options == [{}, {"triton.cudagraphs": True}]
    assert steps == [1]


def test_other_sizes_run_uncompiled():
    lower, one = Traced(), network()
    compile.prepare([one], "networks", lower)
    for side_px in (4, 5, 6):
        with Runtime(CPU, "fp32", compiled="networks").any_size():
            one(torch.ones(1, 1, side_px, side_px))
    assert lower.graphs == 0
    one(torch.ones(1, 1, 4, 4))
    assert lower.graphs == 1


def test_a_composed_network_is_compiled_instead_of_its_parts():
    encoder, decoder, critic = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    whole = nn.Sequential(encoder, decoder)
    networks = {"encoder": encoder, "decoder": decoder, "critic": critic}
    assert compile.roots(networks, {"generator": whole}) == [whole, critic]


def test_modules_without_weights_run_uncompiled():
    """Path length differentiates within: to trace that is an error of torch."""
    one, lower = network(), Traced()
    penalty = PathLength()
    roots = compile.roots({"generator": one, "path_length": penalty}, {})
    assert roots == [one]
    compile.prepare(roots, "networks", lower)
    assert torch.isfinite(penalty(lambda styles: one(styles[:, None]), torch.rand(2, 3, 4, requires_grad=True)))
    assert lower.graphs == 0, "what is differentiated twice runs uncompiled, too"


def test_more_networks_of_one_class_are_compiled_than_torch_would_by_itself():
    """Beyond 8 graphs of one function torch runs it uncompiled, without a message."""
    lower, before = Traced(), compile.graphs()
    for channels in range(1, 13):
        one = network(channels)
        compile.prepare([one], "networks", lower)
        one(torch.ones(1, 1, 2, 2))
    assert lower.graphs == compile.graphs() - before == 12


def test_a_cpu_trains_uncompiled_and_metal_contiguous(monkeypatch):
    with pytest.warns(UserWarning, match=r"train\.compile: compiled steps are no faster on cpu; training without"):
        assert choose("cpu", "fp32", compiled="graphs").compiled == "off"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("cpu", "fp32", "channels_last").channels_last
    monkeypatch.setattr(runtime, "choose_device", torch.device)
    # BatchNorm's backward pass is wrong there for channels_last.
    assert not choose("mps", "fp32", "channels_last").channels_last
