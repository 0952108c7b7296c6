"""Training steps of every recipe beside a plain fp32 loop written by hand, in the same run, taking turns.

    python -m benchmarks.training [CASE…] [--small] [--rounds N] [--memory] [--gradients] [--wait] [--curves STEPS]

Prints Markdown. Steps are those of the papers' presets; --small takes sizes that a CPU computes in a second each.
--memory: peak memory, a process for each loop. --gradients: against float64. --wait: the share of the time that the
loop waits for images, on drawn ones. --curves: losses of fp32 and bf16 side by side. Threads: OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.steps import (
    CASES,
    FP32,
    PLAIN,
    Case,
    Mode,
    Step,
    built,
    chosen,
    modes,
    optimizers_of,
    our_play,
    our_step,
    plain_step,
)
from gantools import api
from gantools.data.synthetic import drawing
from gantools.devices import choose_device
from gantools.errors import TrainingError
from gantools.training import rng
from gantools.training.device import compile
from gantools.training.device.loader import DeviceLoader
from gantools.training.step import StageTrainer

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


def time_steps(case: Case, device: torch.device, modes: Sequence[Mode], *, small: bool, rounds: int) -> list[Timed]:
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
    return _rows(
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


def _rows(
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


# --- gradients


@dataclass(frozen=True)
class GradientError:
    """A player's gradient in one mode: ‖g - r‖ / ‖r‖ and the cosine of g and r, with r the one in float64."""

    case: str
    player: str
    mode: str
    relative_error: float
    cosine: float


def gradient_errors(case: Case, device: torch.device, modes: Sequence[Mode], *, small: bool) -> list[GradientError]:
    """Gradients of the first step from the same weights, on the same batch, without dropout."""
    settings = case.settings(small=small)
    wanted = gradients(settings, case.stage, device, None)
    return [
        GradientError(case.name, player, mode.name, *_distance(found, wanted[player]))
        for mode in modes
        for player, found in gradients(settings, case.stage, device, mode).items()
    ]


def gradients(settings: api.Settings, stage: str, device: torch.device, mode: Mode | None) -> Mapping[str, Tensor]:
    """Every player's gradient as one vector of float64 on the CPU; without a mode computed in float64."""
    play, batch = our_play(settings, stage, (mode or FP32).machine(device))
    _without_dropout(play)
    if mode is None:
        _widen(play)
        batch = batch.map_tensors(Tensor.double)
    rng.seed(0)
    play.step(0, [batch], 0.0)  # at learning rate 0 every player meets the first weights, and gradients stay
    return {name: _flat(play, name) for name in play.stage.players}


def _flat(play: StageTrainer, player: str) -> Tensor:
    weights = [one for network in play.stage.players[player].networks.values() for one in network.parameters()]
    return torch.cat([one.grad.double().cpu().flatten() for one in weights if one.grad is not None])


def _widen(play: StageTrainer) -> None:
    for player in play.stage.players.values():
        for network in player.networks.values():
            network.double()
    for network in play.recipe.frozen().values():
        network.double()


def _without_dropout(play: StageTrainer) -> None:
    """Its random numbers depend on the type."""
    for player in play.stage.players.values():
        for network in player.networks.values():
            for module in network.modules():
                if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
                    module.p = 0.0


def _distance(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    error = float((found - wanted).norm() / wanted.norm())
    return error, float(cosine_similarity(found, wanted, dim=0))


# --- memory


STEPS = 3
"""The third step has every buffer: gradients, moments, and those of the step before."""


def peak_megabytes(case: Case, contender: str, device: torch.device, *, small: bool) -> float:
    """The process's peak, everything included; on a GPU the device's memory. Raises TrainingError when it fails."""
    size = "small" if small else "full"
    command = [sys.executable, "-m", "benchmarks.training", "--peak", case.name, contender, str(device), size]
    root = Path(__file__).resolve().parents[1]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise TrainingError(f"measuring the memory of {case.name}, {contender}: {last[0]}")
    return float(ended.stdout)


def print_peak(name: str, contender: str, device_name: str, size: str) -> None:
    (case,), device = chosen([name]), choose_device(device_name)
    settings = case.settings(small=size == "small")
    if contender == PLAIN:
        step = plain_step(settings, case.stage, device)
    else:
        mode = next(mode for mode in modes(device) if mode.name == contender)
        step = our_step(settings, case.stage, device, mode)
    for _ in range(STEPS):
        step()
    print(_peak_bytes(device) / 2**20)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage's: that begins with the parent's, in whose memory the child lived until exec.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


# --- whole runs on drawn images


PICTURES = 24

Curves = dict[str, list[float]]


def drawn(case: Case, folder: Path, *, small: bool) -> api.Settings:
    """The case's configuration on images drawn for it in ``folder``."""
    settings = case.settings(small=small)
    data = settings.config.data
    side_px = max(getattr(data, "load_px", None) or 0, data.crop_px)  # type: ignore[attr-defined]
    kind = settings.recipe.drawings
    drawing.draw_dataset(kind, folder, PICTURES, side_px, seed=0)
    return case.settings(small=small, data=str(folder))


def data_wait_share(case: Case, settings: api.Settings, device: torch.device, mode: Mode, steps: int) -> float:
    """The share of the time of ``steps`` steps that the loop waits for batches, after two to warm up."""
    waited = total = 0.0
    with closing(_played(case, settings, device, mode)) as played:
        for step, (waiting, seconds, _) in zip(range(steps + 2), played, strict=False):
            if step >= 2:
                waited, total = waited + waiting, total + seconds
    return waited / total


def curves(case: Case, settings: api.Settings, device: torch.device, mode: Mode, steps: int) -> Curves:
    """Every player's total loss at each step, from the same weights on the same batches."""
    found: Curves = {}
    with closing(_played(case, settings, device, mode)) as played:
        for _, (_, _, losses) in zip(range(steps), played, strict=False):
            for player, loss in losses.items():
                found.setdefault(player, []).append(loss)
    return found


def _played(
    case: Case, settings: api.Settings, device: torch.device, mode: Mode
) -> Generator[tuple[float, float, dict[str, float]], None, None]:
    """Steps without end: seconds waited, seconds in all, losses."""
    machine = mode.machine(device)
    recipe, stage = built(settings, case.stage, machine)
    play = StageTrainer(recipe, stage, optimizers_of(settings, case.stage), machine)
    data = settings.recipe.dataset(settings.config, "training")
    with closing(DeviceLoader(data, settings.config, machine, 0, warn=lambda _line: None)) as loader:
        step = 0
        while True:
            start = time.perf_counter()
            batches = loader.step()
            waited = time.perf_counter() - start
            losses = {name: float(terms.total) for name, terms in play.step(step, batches, 1.0).items()}
            yield waited, time.perf_counter() - start, losses
            step += 1


# --- tables


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every column but the first two is aligned to the right."""
    ruler = ["---" if column < 2 else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows))


def speed_table(rows: Iterable[Timed], peak_teraflops: float | None = None) -> str:
    """Seconds, images, the ratio to the hand-written loop; with a GPU's peak also the share of it."""
    header = ["case", "loop", "s/step", "images/s", "ratio", "graphs", "first losses off by", "TFLOP/s"]
    cells = [
        [
            row.case,
            row.contender,
            f"{row.seconds_per_step:.4f}",
            f"{row.images_per_second:.3g}",
            f"{row.ratio:.2f}",
            str(row.graphs),
            f"{row.loss_error:.1e}",
            f"{row.teraflops:.3g}",
        ]
        for row in rows
    ]
    if peak_teraflops:
        header.append("of the bf16 peak")
        cells = [[*cell, f"{float(cell[-1]) / peak_teraflops:.0%}"] for cell in cells]
    return markdown(header, cells)


def gradient_table(rows: Iterable[GradientError]) -> str:
    header = ("case", "player", "mode", "relative error", "cosine")
    cells = ((row.case, row.player, row.mode, f"{row.relative_error:.1e}", f"{row.cosine:.5f}") for row in rows)
    return markdown(header, cells)


def curve_table(case: str, found: dict[str, Curves], windows: int = 10) -> str:
    """Each player's mean loss over tenths of the run, one column per mode."""
    modes = list(found)
    players = list(found[modes[0]])
    length = len(found[modes[0]][players[0]])
    edges = [length * window // windows for window in range(windows + 1)]
    rows = [
        [case, player, f"{start}–{end}", *(f"{statistics.fmean(found[mode][player][start:end]):.4f}" for mode in modes)]
        for player in players
        for start, end in itertools.pairwise(edges)
    ]
    return markdown(["case", "player", "steps", *modes], rows)


# --- the command


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        print_peak(*sys.argv[2:])
        return
    arguments = parsed()
    device, cases = choose_device(arguments.device), list(chosen(arguments.cases))
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {arguments.rounds} rounds\n")
    show_speed(cases, device, arguments)
    if arguments.gradients:
        rows = [row for case in cases for row in gradient_errors(case, device, modes(device), small=arguments.small)]
        print("\n" + gradient_table(rows))
    if arguments.memory:
        show_memory(cases, device, arguments.small)
    if arguments.wait or arguments.curves:
        show_runs(cases, device, arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--curves", type=int, metavar="STEPS")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def show_speed(cases: list[Case], device: torch.device, arguments: argparse.Namespace) -> None:
    peak = bf16_peak(device) if device.type == "cuda" else None
    rows = []
    for case in cases:
        rows += time_steps(case, device, modes(device), small=arguments.small, rounds=arguments.rounds)
        print(f"{case.name} done", file=sys.stderr)
    print(speed_table(rows, peak))


def show_memory(cases: list[Case], device: torch.device, small: bool) -> None:
    names = [PLAIN, *(mode.name for mode in modes(device))]
    rows = [
        [case.name, *(f"{peak_megabytes(case, name, device, small=small):.0f}" for name in names)] for case in cases
    ]
    print("\n" + markdown(["peak MB", *names], rows))


def show_runs(cases: list[Case], device: torch.device, arguments: argparse.Namespace) -> None:
    for case in cases:
        with TemporaryDirectory() as folder:
            settings = drawn(case, Path(folder), small=arguments.small)
            if arguments.wait:
                share = data_wait_share(case, settings, device, modes(device)[-1], steps=10)
                print(f"\n{case.name}: {share:.1%} of the time spent waiting for images ({modes(device)[-1].name})")
            if arguments.curves:
                both = (FP32, Mode("bf16", channels_last=False))
                found = {mode.name: curves(case, settings, device, mode, arguments.curves) for mode in both}
                print("\n" + curve_table(case.name, found))


if __name__ == "__main__":
    main()
