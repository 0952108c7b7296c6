"""Two processes train one run: killed, signalled and restarted, they resume to the same bits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from gantools.checkpoint import state
from gantools.training.distributed.launch import environment, free_port
from gantools.training.latent import LatentRecipe
from tests.faults.harness import Outcome, Row, Trial
from tests.faults.micro import command_line, digest
from tests.faults.processes import HANG_SECONDS, children
from tests.training import together

LIMIT_SECONDS = 60.0
TOLERANCE, WORST = 1e-5, 1e-4
"""Of 999 in 1000 weights, and of those whose gradient is about zero: Adam divides it by its own size."""
KILLED = "pix2pix/paper"
Process = multiprocessing.process.BaseProcess


@patch.object(LatentRecipe, "forward", together.latents_by_name)
def equal(trial: Trial) -> Outcome:
    """Two ranks against one with the double batch, every recipe; the largest difference of a weight is printed."""
    outcome = Outcome()
    for spec, settings in together.EQUAL.items():
        arguments, networks = _arguments(trial, spec, *settings), []
        for count, more in ((2, ()), (1, ("data.batch_images=4",))):
            run = trial.folder / spec / str(count)
            _ended(_ranks(partial(command_line, "train", *arguments, *more, "--run-dir", run), run, count))
            networks.append(state.newest(run / "checkpoints")[1]["networks"])
        apart = torch.cat([
            (value.double() - networks[1][name][key].double()).abs().flatten()
            for name, network in networks[0].items()
            for key, value in network.items()
        ]).sort()[0]  # fmt: skip
        most, worst = float(apart[int(0.999 * len(apart))]), float(apart[-1])
        outcome.check(most <= TOLERANCE and worst <= WORST, f"{spec}: {most:.1e} apart, {worst:.1e} at worst")
        outcome.numbers[spec] = f"{worst:.0e}"
    return outcome


def stopped(trial: Trial) -> Outcome:
    """Either rank is killed, or gets a signal, at a random moment: both end, and the run resumes to the same bits."""
    outcome, random = Outcome(), trial.random()
    arguments, wanted = _uninterrupted(trial)
    cases = [(which, victim) for which in (signal.SIGKILL, signal.SIGTERM) for victim in (0, 1)]
    for number, (which, victim) in enumerate(cases[: trial.count(3, 4)] * trial.count(1, 8)):
        run = trial.folder / f"run-{number}"
        pair = _ranks(partial(command_line, "train", *arguments, "--run-dir", run), run)
        _wait_for(run / "metrics.jsonl")
        time.sleep(random.uniform(0, 1.0))
        sent = time.monotonic()
        os.kill(pair[victim].pid or 0, which)
        codes = _ended(pair)
        seconds = time.monotonic() - sent
        ends = codes[1 - victim] in (0, 1) if which == signal.SIGKILL else codes in ([143, 143], [0, 0])
        again = _ended(_ranks(partial(command_line, "train", "--resume", run), run))
        kept = ends and seconds < LIMIT_SECONDS and again == [0, 0] and digest(run) == wanted
        outcome.check(kept, f"{which.name} to rank {victim}: codes {codes}, {seconds:.1f} s, then {again}")
    return outcome


def restarted(trial: Trial) -> Outcome:
    """A rank is killed under ``torchrun --max-restarts``: the run ends with the same bits, without any command."""
    outcome, random = Outcome(), trial.random()
    arguments, wanted = _uninterrupted(trial)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
    for number in range(trial.count(1, 4)):
        run, log = trial.folder / f"run-{number}", trial.folder / f"run-{number}.txt"
        command = [sys.executable, "-m", *torchrun, "-m", "gantools", "train", *map(str, arguments), "--run-dir", run]
        with log.open("w") as stream:
            own = {**os.environ, "GANTOOLS_DEVICE": "cpu"}
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=own)
        _wait_for(run / "metrics.jsonl")
        time.sleep(random.uniform(0, 0.5))
        found = [pid for pid in children(process.pid) if b"gantools" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(found[number % 2], signal.SIGKILL)
        code, restarts = process.wait(HANG_SECONDS), log.read_text().count("failed (exitcode: -9)")
        kept = code == 0 and restarts == 1 and digest(run) == wanted
        outcome.check(kept, f"run-{number}: exit {code}, {restarts} restarts")
    return outcome


ROWS = (
    Row("ranks-equal", "two ranks = one with the double batch, to 1e-5 (single weights 1e-4)", equal),
    Row("ranks-stopped", "all end within 60 s, and resume to the same bits", stopped),
    Row("ranks-restarted", "torchrun --max-restarts: to the same bits", restarted),
)
LONG_ONLY = ("ranks-equal", "ranks-restarted")
"""tests/training/test_distributed.py compares three recipes; torchrun takes longer to start than a test may."""


def _arguments(trial: Trial, spec: str, *more: str) -> list[str | Path]:
    data = together.settings(spec, trial.folder / "images").config.data
    recipe = spec.partition("/")[0]
    small = (*together.SHARED, *together.SMALL[recipe], *together.SMALL_PRESET.get(spec, ()))
    folders = [data.dir] if getattr(data, "dir", None) else [data.a, data.b]
    return [spec, *(word for folder in folders for word in ("--data", str(folder))), *small, *more]


def _uninterrupted(trial: Trial) -> tuple[list[str | Path], str]:
    """The arguments of a training with dropout, batch norms and a checkpoint every few steps, and its digest."""
    often = ("train.checkpoint_every_steps=5", "train.preview_every_steps=1000000", "stages.adversarial.steps=30")
    arguments, whole = _arguments(trial, KILLED, *often), trial.folder / "whole"
    _ended(_ranks(partial(command_line, "train", *arguments, "--run-dir", whole), whole))
    return arguments, digest(whole)


def _ranks(work: Callable[[], int], log: Path, count: int = 2) -> list[Process]:
    """``count`` forks of this process that are ranks of one another."""
    port = free_port()
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=_run, args=(work, log, rank, count, port)) for rank in range(count)]
    for process in ranks:
        process.start()
    return list(ranks)


def _run(work: Callable[[], int], log: Path, rank: int, count: int, port: int) -> None:
    os.environ.update(environment(rank, count, port) if count > 1 else {})
    log.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(log.parent / f"{log.name}-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(stream, number)
    sys.exit(work())


def _ended(ranks: list[Process]) -> list[int | None]:
    """Their exit codes; None for one that had to be killed."""
    deadline = time.monotonic() + 2 * LIMIT_SECONDS
    for process in ranks:
        process.join(max(0.1, deadline - time.monotonic()))
    codes = [process.exitcode for process in ranks]
    for process in ranks:
        process.kill()
    return codes


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 2 * LIMIT_SECONDS
    while not (path.exists() and path.stat().st_size):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.02)
