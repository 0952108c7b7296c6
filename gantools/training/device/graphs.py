"""``train.compile=auto``: CUDA graphs where a GPU waits for the host to launch its kernels.

That is so with small networks and batches. Graphs are tried on steps of the run's own networks and shapes; where
anything fails, the losses differ or little is gained, the run trains without, after one line.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from gantools import speed
from gantools.config.schema import RunConfig
from gantools.data.loading.batches import to_network
from gantools.data.loading.dataset import Dataset
from gantools.training import rng
from gantools.training.device import compile, trial
from gantools.training.device.compile import CompileName
from gantools.training.device.runtime import Runtime
from gantools.training.distributed import communicator
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.recipe import Recipe

HOST_BOUND = 0.7
"""Share of a step's time that the host takes to launch it, from which on graphs are tried."""
TOLERANCE = 0.2
"""How far losses and gradients of compiled networks may be off: dropout draws other numbers, and wrong code is off by
more."""
WARM_STEPS, TIMED_STEPS = 4, 5


@dataclass(frozen=True)
class Tried:
    """Losses and sizes of gradients of the first step; medians of later ones until all is launched, and is done."""

    found: Mapping[str, float]
    launch_seconds: float
    seconds: float
    graphs: int


def settle(
    runtime: Runtime, kind: type[Recipe[Any, Any]], config: RunConfig, data: Dataset, before: Mapping[str, Any]
) -> tuple[Runtime, str | None]:
    """The runtime with what ``auto`` comes to, and one line on it. The first rank decides for all.

    ``before`` is the ``run.json`` of a run that is resumed, which keeps what it began with.
    """
    if config.train.compile != "auto" or runtime.device.type != "cuda":
        return runtime, None
    if before.get("compile") and before.get("device") == str(runtime.device):
        return replace(runtime, compiled=before["compile"]), None
    chosen, line = runtime.ranks.broadcast(lambda: decide(runtime, kind, config, data))
    return replace(runtime, compiled=chosen), line


def decide(
    runtime: Runtime, kind: type[Recipe[Any, Any]], config: RunConfig, data: Dataset
) -> tuple[CompileName, str | None]:
    """Graphs or nothing, and why."""
    if not speed.is_wanted():
        return "off", None
    try:
        with communicator.alone(), rng.preserved(runtime.device):
            gain, graphs = _gain(runtime, kind, config, data)
    except Exception as error:  # a compiler can fail in any way, and training does without it
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return "off", f"train.compile: off ({reason})"
    finally:
        compile.forget()
        if runtime.device.type == "cuda":
            torch.cuda.empty_cache()
    chosen: CompileName = "graphs" if gain >= speed.MARGIN else "off"
    return chosen, f"train.compile: {chosen} (graphs are {gain:.2f} times as fast; there are {graphs})"


def _gain(runtime: Runtime, kind: type[Recipe[Any, Any]], config: RunConfig, data: Dataset) -> tuple[float, int]:
    """How many times as fast steps are with CUDA graphs, and how many these are. Raises what speaks against them."""
    if reason := compile.obstacle(runtime.device):
        raise RuntimeError(reason)
    plain = _tried(replace(runtime, compiled="off"), kind, config, data)
    if plain.launch_seconds < HOST_BOUND * plain.seconds:
        raise RuntimeError("the GPU is busy without")
    with warnings.catch_warnings(record=True) as heard:
        graphs = _tried(replace(runtime, compiled="graphs"), kind, config, data)
    for line in (str(one.message) for one in heard):
        if line.startswith(compile.UNCOMPILED):
            raise RuntimeError(line.removeprefix("train.compile: "))
    for name, right in plain.found.items():
        if not abs(graphs.found[name] - right) <= TOLERANCE * abs(right):
            raise RuntimeError(f"compiled, the {name} is {graphs.found[name]:.3g} instead of {right:.3g}")
    return plain.seconds / graphs.seconds, graphs.graphs


def _tried(runtime: Runtime, kind: type[Recipe[Any, Any]], config: RunConfig, data: Dataset) -> Tried:
    """Steps from the run's first weights, on its first images."""
    rng.seed(config.seed)
    trainer = trial.trainer(kind, config, replace(runtime, ranks=ProcessGroup()))
    batch = to_network(trial.first_images(config, data), runtime.device, channels_last=runtime.channels_last)
    made = compile.graphs()
    losses = trainer.step(0, [batch], 1.0)
    found = {f"{name}'s loss": float(terms.total) for name, terms in losses.items()}
    found |= {f"{name}'s gradient": _size(optimizer) for name, optimizer in trainer.optimizers.items()}
    for _ in range(WARM_STEPS):
        trainer.step(0, [batch], 1.0)
    launched, done = [], []
    for _ in range(TIMED_STEPS):
        _wait(runtime.device)
        started = time.perf_counter()
        trainer.step(0, [batch], 1.0)
        launched.append(time.perf_counter() - started)
        _wait(runtime.device)
        done.append(time.perf_counter() - started)
    return Tried(found, statistics.median(launched), statistics.median(done), compile.graphs() - made)


def _size(optimizer: torch.optim.Optimizer) -> float:
    """The norm of the gradient that an optimizer has followed."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    return float(torch.nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None]))


def _wait(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
