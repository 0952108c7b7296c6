"""What several processes promise: equal to one, ended together, resumed to the bit. Rows of ``scripts/faults train``.

Ranks are forked from a process that has imported everything; ``torchrun`` and ``--nproc`` are tried in the rows that
are about them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it, which each rank would do for itself

from gantools.checkpoint import state
from gantools.cli import start as command_line
from gantools.training import setup
from gantools.training.distributed.launch import environment, free_port
from gantools.training.stopping import Limits
from tests.faults.harness import Outcome, Row, Trial
from tests.training import together

LIMIT_SECONDS = 60.0
TOLERANCE = 1e-5
KILLED = "pix2pix/paper"
STEPS = 30


def equal(trial: Trial) -> Outcome:
    """Two ranks against one with the double batch; the largest difference of a weight is printed."""
    outcome = Outcome()
    specs = list(together.EQUAL)[: trial.count(2, len(together.EQUAL))]
    for spec in specs:
        runs = [trial.folder / spec / name for name in ("two", "one")]
        double = (*together.EQUAL[spec], "data.batch_images=4")
        _train(trial.folder, runs[0], spec, *together.EQUAL[spec])
        _train(trial.folder, runs[1], spec, *double, count=1)
        apart = _largest_difference(*(state.newest(run / "checkpoints")[1]["networks"] for run in runs))
        outcome.case(apart <= TOLERANCE, f"{spec}: {apart:.1e} apart")
        outcome.figures[spec] = f"{apart:.0e}"
    return outcome


def every_recipe(trial: Trial) -> Outcome:
    """Each recipe as it is, with its norms and dropout: both ranks end with the same networks, to the bit."""
    outcome = Outcome()
    steps = trial.count(3, 20)
    specs = list(together.EQUAL)[: trial.count(2, len(together.EQUAL))]
    for spec in specs:
        run = trial.folder / spec
        stages = together.settings(spec, trial.folder / "pictures").config.stages.model_dump()
        played = [name for name, stage in stages.items() if stage]
        lengths = [f"stages.{name}.{length}" for name in played for length in (f"steps={steps}", "epochs=null")]
        codes = _train(trial.folder, run, spec, *lengths)
        sums = {path.read_text() for path in run.parent.glob(f"{run.name}-*.sha256")}
        finished = codes == [0, 0] and state.steps(run / "checkpoints")[-1] == steps * len(played)
        outcome.case(finished and len(sums) == 1, f"{spec}: exit codes {codes}, {len(sums)} different results")
    return outcome


def killed(trial: Trial) -> Outcome:
    """Each rank is killed at a random moment; the other one ends, and both resume to the uninterrupted run's bits."""
    outcome, random = Outcome(), trial.random()
    arguments = _arguments(trial)
    _ended(_ranks(lambda: _type("train", *arguments, "--run-dir", trial.folder / "whole"), trial.folder / "whole"))
    wanted, slowest = _digest(trial.folder / "whole"), 0.0
    for number in range(2 * trial.count(1, 10)):
        run, victim = trial.folder / f"run-{number}", number % 2
        pair = _ranks(partial(_type, "train", *arguments, "--run-dir", run), run)
        _wait_for(run / "metrics.jsonl")
        time.sleep(random.uniform(0, 1.5))
        killed_at = time.monotonic()
        pair[victim].kill()
        codes = _ended(pair)
        seconds = time.monotonic() - killed_at
        slowest = max(slowest, seconds)
        again = _ended(_ranks(partial(_type, "train", "--resume", run), run))
        told = f"rank {victim}, run-{number}: codes {codes}, {seconds:.1f} s, then {again}"
        in_time = seconds < LIMIT_SECONDS and codes[1 - victim] in (0, 1)
        outcome.case(in_time and again == [0, 0] and _digest(run) == wanted, told)
    outcome.figures["slowest end"] = f"{slowest:.1f} s"
    return outcome


def signalled(trial: Trial) -> Outcome:
    """One rank is told to stop at a random moment; both save the same step, and resume to the same bits."""
    outcome, random = Outcome(), trial.random()
    arguments = _arguments(trial)
    _ended(_ranks(lambda: _type("train", *arguments, "--run-dir", trial.folder / "whole"), trial.folder / "whole"))
    wanted = _digest(trial.folder / "whole")
    for number in range(trial.count(1, 10)):
        run = trial.folder / f"run-{number}"
        pair = _ranks(partial(_type, "train", *arguments, "--run-dir", run), run)
        _wait_for(run / "metrics.jsonl")
        time.sleep(random.uniform(0, 1.0))
        os.kill(pair[number % 2].pid or 0, signal.SIGTERM)
        codes = _ended(pair)
        again = _ended(_ranks(partial(_type, "train", "--resume", run), run))
        kept = codes in ([143, 143], [0, 0]) and again == [0, 0] and _digest(run) == wanted
        outcome.case(kept, f"run-{number}: codes {codes}, then {again}")
    return outcome


def restarted(trial: Trial) -> Outcome:
    """``torchrun --max-restarts`` brings a killed run to the uninterrupted one's bits."""
    outcome, random = Outcome(), trial.random()
    arguments = [str(one) for one in _arguments(trial)]
    _ended(_ranks(lambda: _type("train", *arguments, "--run-dir", trial.folder / "whole"), trial.folder / "whole"))
    wanted = _digest(trial.folder / "whole")
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
    for number in range(trial.count(1, 4)):
        run = trial.folder / f"run-{number}"
        command = [sys.executable, "-m", *torchrun, "-m", "gantools", "train", *arguments, "--run-dir", str(run)]
        with (trial.folder / f"run-{number}.txt").open("w") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, env=_on_processor())
        _wait_for(run / "metrics.jsonl")
        time.sleep(random.uniform(0, 0.5))
        os.kill(_children(process.pid)[number % 2], signal.SIGKILL)
        code = process.wait(4 * LIMIT_SECONDS)
        told = f"run-{number}: code {code}"
        restarts = (trial.folder / f"run-{number}.txt").read_text().count("failed (exitcode: -9)")
        outcome.case(code == 0 and restarts == 1 and _digest(run) == wanted, f"{told}, {restarts} restarts")
    return outcome


def named(trial: Trial) -> Outcome:
    """``--nproc``: a rank is killed; the command ends with exit 1, and its last line names the rank."""
    outcome = Outcome()
    arguments = [str(one) for one in _arguments(trial, steps=1_000_000)]
    for number in range(trial.count(1, 4)):
        run, victim = trial.folder / f"run-{number}", number % 2
        command = [sys.executable, "-m", "gantools", "train", *arguments, "--run-dir", str(run), "--nproc", "2"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_on_processor())
        _wait_for(run / "metrics.jsonl")
        pid, killed_at = _children(process.pid)[victim], time.monotonic()
        os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=4 * LIMIT_SECONDS)
        seconds, last = time.monotonic() - killed_at, said.splitlines()[-1]
        wanted = rf"gantools: rank {victim} \(process {pid}\) was killed by SIGKILL; go on from the newest checkpoint.*"
        kept = process.returncode == 1 and seconds < LIMIT_SECONDS and re.fullmatch(wanted, last) is not None
        outcome.case(kept, f"run-{number}: code {process.returncode}, {seconds:.1f} s, {last!r}")
    return outcome


ROWS = (
    Row("ranks-equal", "two ranks = one with the double batch, to 1e-5", equal),
    Row("ranks-every-recipe", "both ranks end with the same networks, to the bit", every_recipe),
    Row("ranks-killed", "all end within 60 s, and resume to the uninterrupted run's bits", killed),
    Row("ranks-signalled", "one is told, all save the same step, and resume to the same bits", signalled),
    Row("ranks-restarted", "torchrun --max-restarts: to the uninterrupted run's bits", restarted),
    Row("ranks-named", "--nproc: exit 1, the last line names who was killed", named),
)


# --- processes


def _ranks(work: Callable[[], None], said: Path, count: int = 2) -> list[multiprocessing.process.BaseProcess]:
    """``count`` forks of this process that are ranks of one another."""
    port = free_port()
    fork = multiprocessing.get_context("fork")
    pair = [fork.Process(target=_be, args=(work, said, rank, count, port)) for rank in range(count)]
    for process in pair:
        process.start()
    return list(pair)


def _be(work: Callable[[], None], said: Path, rank: int, count: int, port: int) -> None:
    os.environ.update(environment(rank, count, port))
    said.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(said.parent / f"{said.name}-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(stream, number)
    work()


def _ended(pair: list[multiprocessing.process.BaseProcess]) -> list[int | None]:
    """Their exit codes; None for one that had to be killed."""
    deadline = time.monotonic() + 2 * LIMIT_SECONDS
    for process in pair:
        process.join(max(0.1, deadline - time.monotonic()))
    codes = [process.exitcode for process in pair]
    for process in pair:
        process.kill()
    return codes


def _type(*arguments: str | Path) -> None:
    sys.argv = ["gantools", *map(str, arguments)]
    os.environ["GANTOOLS_DEVICE"] = "cpu"
    command_line.main()


def _train(folder: Path, run: Path, spec: str, *overrides: str, count: int = 2) -> list[int | None]:
    """Train in ranks; each leaves a digest of its networks beside the run."""

    def work() -> None:
        tried = together.settings(spec, folder / "pictures", *overrides)
        prepared = setup.prepare(tried.recipe, tried.config, "cpu")
        loop = setup.start(prepared, tried.tree, run, Limits(), None).loop
        digest = hashlib.sha256()
        for network in loop.state.networks.values():
            for tensor in network.state_dict().values():
                digest.update(tensor.numpy().tobytes())
        rank = os.environ.get("RANK", "0")
        (run.parent / f"{run.name}-{rank}.sha256").write_text(digest.hexdigest())

    together.settings(spec, folder / "pictures")  # drawn before two processes want to draw them
    return _ended(_ranks(work, run, count))


def _arguments(trial: Trial, steps: int = STEPS) -> list[str | Path]:
    """A training with dropout, batch norms and a checkpoint every few steps, as it is typed."""
    tried = together.settings(KILLED, trial.folder / "pictures")
    small = (*together.SHARED, *together.SMALL["pix2pix"], *together.SMALL_PRESET.get(KILLED, ()))
    often = ("train.checkpoint_every_steps=5", "train.preview_every_steps=1000000", f"stages.adversarial.steps={steps}")
    return [KILLED, "--data", str(tried.config.data.dir), *small, *often]


def _on_processor() -> dict[str, str]:
    return {**os.environ, "GANTOOLS_DEVICE": "cpu"}


def _children(pid: int) -> list[int]:
    """The ranks among a process's children: Python running gantools, in the order in which they were started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if b"gantools" in Path(f"/proc/{one}/cmdline").read_bytes()]


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 2 * LIMIT_SECONDS
    while not (path.exists() and path.stat().st_size):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.02)


# --- what came out


def _digest(run: Path) -> str:
    """All that a run has learnt, to the bit."""
    folder = state.all_saved(run / "checkpoints")[-1].folder
    content = [(folder / name).read_bytes() for name in (state.TENSORS, state.TREE)]
    return hashlib.sha256(b"".join([*content, (run / "weights" / "last.safetensors").read_bytes()])).hexdigest()


def _largest_difference(one: dict[str, dict[str, torch.Tensor]], other: dict[str, dict[str, torch.Tensor]]) -> float:
    pairs = ((value, other[name][key]) for name, network in one.items() for key, value in network.items())
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)
