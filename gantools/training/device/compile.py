"""Networks through torch.compile, and their kernels launched as CUDA graphs: everything that only GPUs need.

Each network is compiled by itself, in place, for the fixed shapes of training; validation and previews run it as it is.
A network has a handful of graphs: learning and frozen, with and without gradients of its own. What cannot be compiled
runs as it is, after one line.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import nn

CompileName = Literal["off", "networks", "graphs"]
Lower: TypeAlias = Callable[[Any, Any, dict[str, Any]], Any]
"""Turns a traced graph, its inputs and the compiler's options into a function."""

UNCOMPILED = "train.compile: a network runs uncompiled"
MOST_GRAPHS = 128
"""A network needs up to four: learning and frozen, with and without gradients of its own."""


def obstacle(device: torch.device) -> str | None:
    """Why compiling would not help here; None where it may."""
    if device.type != "cuda":
        return f"compiled steps are no faster on {device.type}"
    if not import_module("torch.utils._triton").has_triton():
        return "Triton is not installed, or not for this GPU"
    return None


def roots(networks: Mapping[str, nn.Module], composed: Mapping[str, nn.Module]) -> list[nn.Module]:
    """The modules that recipes call: networks put together of parts in the place of these parts.

    Modules without weights stay as they are: penalties that remember a mean differentiate, which cannot be traced.
    """
    parts = {id(part) for whole in composed.values() for part in whole.modules() if part is not whole}
    learning = [network for network in networks.values() if next(network.parameters(), None) is not None]
    return [*composed.values(), *(network for network in learning if id(network) not in parts)]


def _inductor(graph: Any, inputs: Any, options: dict[str, Any]) -> Any:
    return import_module("torch._inductor.compile_fx").compile_fx(graph, inputs, config_patches=options)


def prepare(modules: Iterable[nn.Module], how: CompileName, lower: Lower = _inductor) -> None:
    """Let ``modules`` be compiled when they are first called. ``lower`` turns a traced graph into a function."""
    if how == "off":
        return
    # Beyond its limit of 8 graphs of one function torch runs the function as it is, without a word. Networks of one
    # class share their functions.
    config: Any = import_module("torch._dynamo.config")
    config.recompile_limit = max(config.recompile_limit, MOST_GRAPHS)
    backend = _Backend(lower, _OPTIONS[how])
    for module in modules:
        module.compile(backend=backend, dynamic=False)


def begin_step() -> None:
    """A new step: memory of the last one's CUDA graphs may be used again.

    Without the mark torch takes every call that no backward pass is pending for as a new step, and a critic's step,
    where the generator only provides the fakes, would find them overwritten.
    """
    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def eagerly() -> AbstractContextManager[Any]:
    """Within the context compiled networks run as they are: images of any size, in eval mode."""
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def graphs() -> int:
    """How many graphs this process has compiled so far."""
    return _Backend.made


def forget() -> None:
    """Drop everything that was compiled, so that it neither takes memory nor counts against a limit."""
    torch._dynamo.reset()


class _Backend:
    """Lowers graphs; one that cannot be lowered runs as it was traced, which is reported once."""

    made: ClassVar[int] = 0

    def __init__(self, lower: Lower, options: dict[str, Any]) -> None:
        self._lower, self._options, self._warned = lower, options, False

    def __call__(self, graph: Any, inputs: Any) -> Any:
        try:
            lowered = self._lower(graph, inputs, self._options)
            _Backend.made += 1
            return lowered
        except Exception as error:  # a compiler can fail in any way, and training continues without it
            if not self._warned:
                self._warned = True
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                warnings.warn(f"{UNCOMPILED} ({reason})", stacklevel=2)
            return graph.forward


_OPTIONS: Mapping[CompileName, dict[str, Any]] = {"networks": {}, "graphs": {"triton.cudagraphs": True}}
