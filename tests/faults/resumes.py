"""Resumed runs end with the same bits; NaN and infinity stop a run; a learning rate that is too high is reported."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gantools import api
from gantools.checkpoint import state
from gantools.training.loop import Loop
from gantools.training.monitor import finite
from gantools.training.run import metrics_log
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import EPOCH_STEPS, SPECS, Micro, damaged, digest, micro, run
from tests.faults.processes import Ended

LOG_INTERVAL = 2


def resumed(trial: Trial, specs: Sequence[str] = SPECS) -> Outcome:
    """Every recipe, from within an epoch and from its end, with and without workers: the same bits."""
    outcome = Outcome()
    for number, spec in enumerate(specs):
        training, whole = micro(trial.folder, spec), trial.folder / spec.replace("/", "-")
        ended = run(trial.folder / "log", *training.start(whole, "train.keep_checkpoints=99"))
        if ended.code != 0:
            outcome.check(False, f"{spec} itself: exit {ended.code}, {ended.err[-300:]}")
            continue
        for step in (EPOCH_STEPS - 1, EPOCH_STEPS):
            for workers in (0, 2) if trial.long else (2 * ((number + step) % 2),):
                problem = _resumed_from(whole, step, workers)
                outcome.check(problem is None, f"{spec} from step {step} with {workers} workers: {problem}")
    return outcome


def _resumed_from(whole: Path, step: int, workers: int) -> str | None:
    """Resume a finished run from one of its checkpoints, in a copy. None if it ends with the same bits."""
    folder = whole.with_name(f"{whole.name}-{step}-{workers}")
    shutil.copytree(whole, folder)
    for saved in state.all_saved(folder / "checkpoints"):
        if saved.step > step:
            shutil.rmtree(saved.folder)
    shutil.rmtree(folder / "weights")
    ended = run(folder.with_suffix(".log"), "train", "--resume", folder, f"data.workers={workers}")
    if ended.code != 0 or not re.search(rf"from step {step} on|^finished", ended.err, re.MULTILINE):
        return f"exit {ended.code}: {ended.err[-300:]}"
    return None if digest(folder) == digest(whole) else "it ends with other bits"


# --- NaN and infinity

Spoil = Callable[[Loop, float], None]


def _weight(network: str) -> Spoil:
    def spoil(loop: Loop, value: float) -> None:
        next(iter(loop.state.networks[network].parameters())).data.view(-1)[0] = value

    return spoil


def _gradient(network: str) -> Spoil:
    def spoil(loop: Loop, value: float) -> None:
        parameter = next(iter(loop.state.networks[network].parameters()))
        parameter.requires_grad_(True)
        parameter.register_hook(lambda gradient: gradient + value)

    return spoil


def _moment(loop: Loop, value: float) -> None:
    assert loop.trainer is not None
    for optimizer in loop.trainer.optimizers.values():
        for moments in optimizer.state.values():
            moments["exp_avg"].view(-1)[0] = value


def _average(loop: Loop, value: float) -> None:
    assert loop.state.average is not None
    tensors = next(iter(loop.state.average.average.values()))
    next(iter(tensors.values())).view(-1)[0] = value


def _batch(loop: Loop, value: float) -> None:
    """The next batch holds it, as one of a broken decoder would."""
    original = loop.loader.step

    def spoiled(*stage: Any) -> list[Any]:
        loop.loader.step = original  # type: ignore[method-assign]
        batches = original(*stage)
        for tensor in (part for part in vars(batches[0]).values() if isinstance(part, torch.Tensor)):
            tensor.view(-1)[0] = value
        return batches

    loop.loader.step = spoiled  # type: ignore[method-assign]


# What is spoiled, how, and what the message must name.
POISONS: tuple[tuple[str, Spoil, str], ...] = (
    ("generator's weight", _weight("generator"), "generator"),
    ("discriminator's weight", _weight("discriminator"), "discriminator"),
    ("generator's gradient", _gradient("generator"), "generator"),
    ("discriminator's gradient", _gradient("discriminator"), "discriminator"),
    ("optimizers' moments", _moment, "generator|discriminator"),
    ("moving average", _average, "average"),
    ("batch", _batch, "generator|discriminator"),
)


def not_numbers(trial: Trial) -> Outcome:
    """NaN and infinity anywhere: found within a log interval, named, never saved; the run can be resumed."""
    outcome, training = Outcome(), micro(trial.folder)
    for number in range(trial.count(len(POISONS), 100)):
        turn, which = divmod(number, len(POISONS))
        (name, spoil, named), step = POISONS[which], 1 + turn % 3
        value = (float("nan"), float("inf"), -float("inf"))[turn % 3]
        folder = trial.folder / f"run-{number}"
        ended = _spoiled(training, folder, spoil, step, value)
        found = re.search(r"step (\d+): ", ended.err)
        in_time = found is not None and int(found[1]) - step <= LOG_INTERVAL
        reported = ended.one_line and re.search(named, ended.err) and "batch: 0" in ended.err
        stopped = ended.code == 1 and in_time and reported
        problem = _saved_or_stuck(folder) if stopped else f"exit {ended.code}: {ended.err[-400:]}"
        outcome.check(problem is None, f"{value} in the {name} before step {step}: {problem}")
        shutil.rmtree(folder)
    return outcome


def _spoiled(training: Micro, folder: Path, spoil: Spoil, step: int, value: float) -> Ended:
    def prepare() -> None:
        original = Loop._next_batches

        def spoiling(loop: Loop, *arguments: Any) -> list[Any]:
            if loop.progress.step == step:
                spoil(loop, value)
            return original(loop, *arguments)

        Loop._next_batches = spoiling  # type: ignore[method-assign]

    own = (f"train.log_every_steps={LOG_INTERVAL}", "train.validate_every_steps=99", "train.preview_every_steps=99")
    return run(folder.with_suffix(".first"), *training.start(folder, *own), prepare=prepare)


def _saved_or_stuck(folder: Path) -> str | None:
    for saved in state.all_saved(folder / "checkpoints"):
        if any(finite.non_finite(state.load(saved.folder))):
            return f"{saved.folder.name} holds it"
    ended = run(folder.with_suffix(".log"), "train", "--resume", folder)
    return damaged(folder) if ended.code == 0 else f"cannot be resumed: {ended.err[-300:]}"


# --- learning rates that are too high

TOO_FAST = 100
# A row every 20 steps, so that 160 steps are enough.
LONG_RUN = (
    "stages.adversarial.steps=160",
    "train.log_every_steps=20",
    "train.preview_every_steps=1000",
    "train.validate_every_steps=1000",
    "train.checkpoint_every_steps=1000",
)


def collapse(trial: Trial, specs: Sequence[str] = ("pix2pix/paper", "deblur/fpn")) -> Outcome:
    """At 100 times the learning rate there is a warning, or NaN; at the preset's own there is none."""
    outcome = Outcome()
    for spec in specs:
        stages = {name: stage for name, stage in dict(api.configure(spec).config.stages).items() if stage}
        rates = [
            f"stages.{name}.optimizers.{player}.lr={TOO_FAST * optimizer.lr:g}"
            for name, stage in stages.items()
            for player, optimizer in dict(stage.optimizers).items()
        ]
        for factor, own in ((TOO_FAST, rates), (1, [])):
            folder = trial.folder / spec / f"x{factor}"
            ended = run(folder.with_suffix(".log"), *micro(trial.folder, spec).start(folder, *LONG_RUN, *own))
            rows = metrics_log.read(folder / "metrics.jsonl")
            warned = [row["warning"] for row in rows if "warning" in row]
            warned += ["NaN"] if ended.code == 1 and "NaN" in ended.err else []
            kept = bool(warned) if factor == TOO_FAST else ended.code == 0 and not warned
            outcome.check(kept, f"{spec}, {factor} times the rate: {warned}, {ended.err[-200:]}")
    return outcome
