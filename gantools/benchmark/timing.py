"""Steps timed in turn, so that a busy moment of the computer meets every contender."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from gantools import api
from gantools.benchmark.cases import Case
from gantools.benchmark.contenders import PLAIN, Mode, Step, our_step, plain_step
from gantools.training.device import compile

PEAK_SIDE, PEAK_ROUNDS = 8192, 20


@dataclass(frozen=True)
class Timed:
    """What one contender needed. ``ratio`` is how much faster than the hand-written loop a step is (medians).

    ``loss_error`` is how far the first step's losses are from the hand-written loop's, relative, the worst player's.
    ``graphs`` is how many were compiled for it; a compiled contender without any ran uncompiled.
    """

    case: str
    contender: str
    seconds_per_step: float
    images_per_second: float
    ratio: float
    loss_error: float
    teraflops: float
    graphs: int = 0


def compare(case: Case, device: torch.device, modes: Sequence[Mode], *, small: bool, rounds: int) -> list[Timed]:
    """Time the hand-written loop and ours in each mode: ``rounds`` steps each, taking turns, after one to warm up."""
    compile.forget()
    settings = case.settings(small=small)
    steps: dict[str, Step] = {PLAIN: plain_step(settings, case.stage, device)}
    steps |= {mode.name: our_step(settings, case.stage, device, mode) for mode in modes}
    flops, losses, graphs = _first_steps(steps)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(timed(step, device))
    return _table(
        case, settings, {name: statistics.median(took) for name, took in seconds.items()}, losses, flops, graphs
    )


def timed(step: Callable[[], object], device: torch.device) -> float:
    """Seconds until a step's result is there."""
    _wait(device)
    start = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - start


def bf16_peak(device: torch.device) -> float:
    """The TFLOP/s of a large bf16 matrix product on a GPU: what nothing made of convolutions exceeds by much."""
    left = torch.randn(PEAK_SIDE, PEAK_SIDE, device=device, dtype=torch.bfloat16)
    product = min(timed(lambda: left @ left, device) for _ in range(PEAK_ROUNDS))
    return 2 * PEAK_SIDE**3 / product / 1e12


def _first_steps(steps: Mapping[str, Step]) -> tuple[int, dict[str, dict[str, float]], dict[str, int]]:
    """Floating-point operations of a step, every contender's first losses, and the graphs that were compiled for it."""
    losses, graphs = {}, {PLAIN: 0}
    with FlopCounterMode(display=False) as counter:
        losses[PLAIN] = _numbers(steps[PLAIN])
    for name, step in steps.items():
        if name != PLAIN:
            before = compile.graphs()
            losses[name] = _numbers(step)
            graphs[name] = compile.graphs() - before
    return counter.get_total_flops(), losses, graphs


def _numbers(step: Step) -> dict[str, float]:
    return {player: float(loss) for player, loss in step().items()}


def _table(
    case: Case,
    settings: api.Settings,
    medians: Mapping[str, float],
    losses: dict[str, dict[str, float]],
    flops: int,
    graphs: Mapping[str, int],
) -> list[Timed]:
    images = settings.config.data.batch_images
    return [
        Timed(
            case.name,
            name,
            seconds,
            images / seconds,
            medians[PLAIN] / seconds,
            max(abs(losses[name][player] / wanted - 1) for player, wanted in losses[PLAIN].items()),
            flops / seconds / 1e12,
            graphs[name],
        )
        for name, seconds in medians.items()
    ]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
