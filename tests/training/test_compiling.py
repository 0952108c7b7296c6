"""Compiling as far as it can be tried without a GPU: networks are traced, and run as they were traced."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

from benchmarks.steps import FP32, our_play
from gantools import api
from gantools.training.device import compile
from gantools.training.device import runtime as machines
from gantools.training.device.runtime import Runtime, choose

CPU = torch.device("cpu")


class Traced:
    """Runs each graph as it was traced; counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, _inputs: Any, _options: dict[str, Any]) -> Any:
        self.graphs += 1
        return graph.forward


class Network(nn.Module):
    """A layer in a network of one's own, as recipes have them: torch 2.11 traces no bare layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(image))


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def losses(tiny, lower) -> list[dict[str, float]]:
    play, batch = our_play(tiny("pix2pix/shoes-64"), "adversarial", FP32.machine(CPU))
    if lower:
        networks = {name: one for player in play.stage.players.values() for name, one in player.networks.items()}
        compile.prepare(compile.roots(networks, play.recipe.composed()), "networks", lower)
    return [{name: float(terms.total) for name, terms in play.step(n, [batch], 1.0).items()} for n in range(3)]


def test_compiled_steps_make_the_same_losses_from_few_graphs(tiny):
    lower = Traced()
    compiled, wanted = losses(tiny, lower), losses(tiny, None)
    for one, other in zip(compiled, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert 2 <= lower.graphs <= 8
    assert not torch._dynamo.utils.counters["graph_break"]


def test_what_cannot_be_lowered_runs_as_it_is_and_is_reported_once(tiny):
    def fails(*_: Any) -> Any:
        raise RuntimeError("no\ncompiler here")

    with pytest.warns(UserWarning, match=r"runs uncompiled \(no compiler here\)") as told:
        compiled = losses(tiny, fails)
    assert len([one for one in told if "uncompiled" in str(one.message)]) == 1
    assert compiled == losses(tiny, None)


def test_the_graphs_mode_asks_for_cuda_graphs_and_nothing_is_compiled_when_off():
    seen: list[dict[str, Any]] = []

    def lower(graph: Any, _inputs: Any, options: dict[str, Any]) -> Any:
        seen.append(options)
        return graph.forward

    for how in ("off", "networks", "graphs"):
        network = Network()
        compile.prepare([network], how, lower)
        network(torch.ones(1, 1, 2, 2))
    assert seen == [{}, {"triton.cudagraphs": True}]


def test_other_sizes_run_uncompiled():
    lower, network = Traced(), Network()
    compile.prepare([network], "networks", lower)
    machine = Runtime(CPU, "fp32", compiled="networks")
    for side_px in (4, 5, 6):
        with machine.uncompiled():
            network(torch.ones(1, 1, side_px, side_px))
    assert lower.graphs == 0
    network(torch.ones(1, 1, 4, 4))
    assert lower.graphs == 1


def test_the_whole_stands_for_its_parts():
    encoder, decoder, critic = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    whole = nn.Sequential(encoder, decoder)
    networks = {"encoder": encoder, "decoder": decoder, "critic": critic}
    assert compile.roots(networks, {"generator": whole}) == [whole, critic]


def test_a_processor_trains_without_and_says_so():
    with pytest.warns(UserWarning, match=r"train\.compile: compiled steps are no faster on cpu; training without"):
        machine = choose("cpu", "fp32", compiled="graphs")
    assert machine.compiled == "off"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choose("cpu", "fp32")


def test_a_step_is_marked_for_graphs_alone(monkeypatch):
    marks: list[int] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(1))
    for how in ("off", "networks", "graphs"):
        Runtime(CPU, "fp32", compiled=how).begin_step()
    assert marks == [1]


TINY_WASSERSTEIN = (
    "data.crop_px=16",
    "data.batch_images=2",
    "data.workers=0",
    "model.generator={name: resnet, base_channels: 4, blocks: 1, global_residual: true}",
    "model.discriminator={name: patchgan, base_channels: 4, downs: 1, norm: instance}",
    "model.perceptual=null",
    "model.pixel_weight=1",
    "model.critic_turns=2",
)


def test_a_compiled_adversarial_training_with_a_gradient_penalty_makes_the_same_losses():
    """What torch compiles cannot be differentiated twice: the penalty runs the critic as it is."""

    def lower(graph: Any, inputs: Any, _options: dict[str, Any]) -> Any:
        return aot_eager(graph, inputs)

    found = []
    for compiled in (False, True):
        settings = api.configure("deblur/motion", overrides=TINY_WASSERSTEIN)
        play, batch = our_play(settings, "adversarial", FP32.machine(CPU))
        if compiled:
            networks = {name: one for player in play.stage.players.values() for name, one in player.networks.items()}
            compile.prepare(compile.roots(networks, play.recipe.composed()), "networks", lower)
        found.append([_terms(play.step(step, [batch], 1.0)) for step in range(3)])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
        assert one["discriminator/penalty"] > 0


def _terms(turns: Any) -> dict[str, float]:
    return {f"{player}/{name}": float(value) for player, terms in turns.items() for name, value in terms.terms.items()}


def test_more_networks_of_one_class_are_compiled_than_torch_would_by_itself():
    """Beyond 8 graphs of one function torch runs it uncompiled, without a word: timed, it is the plain one."""
    lower, before = Traced(), compile.graphs()
    for channels in range(1, 13):
        network = Network()
        network.layer = nn.Conv2d(1, channels, 1)
        compile.prepare([network], "networks", lower)
        network(torch.ones(1, 1, 2, 2))
    assert lower.graphs == compile.graphs() - before == 12


def test_metal_trains_contiguous(monkeypatch):
    """BatchNorm's backward pass is wrong there for channels_last."""
    monkeypatch.setattr(machines, "choose_device", torch.device)
    assert not choose("mps", "fp32", "channels_last").channels_last
    assert choose("cpu", "fp32", "channels_last").channels_last
