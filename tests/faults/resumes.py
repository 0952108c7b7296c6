"""Resume to the same bits, from any step of every recipe; and losses or weights that are no numbers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gantools.checkpoint import state
from gantools.training.loop import Loop
from gantools.training.monitor import finite
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import EPOCH_STEPS, SPECS, Micro, digest, micro, run
from tests.faults.offspring import Ended
from tests.faults.trainings import not_whole

LOG_INTERVAL = 2


def resumed(trial: Trial, specs: Sequence[str] = SPECS) -> Outcome:
    """From the middle of an epoch and from its edge, with and without workers, every recipe: the same in every bit."""
    outcome = Outcome()
    workers = (0, 2)
    for number, spec in enumerate(specs):
        training = micro(trial.folder, spec)
        whole = trial.folder / spec.replace("/", "-")
        ended = run(trial.folder / "said", *training.start(whole, "train.keep_checkpoints=99"))
        if ended.code != 0:
            outcome.case(False, f"{spec} itself: exit {ended.code}, {ended.err[-300:]}")
            continue
        for step in (EPOCH_STEPS - 1, EPOCH_STEPS):
            for count in workers if trial.long else workers[(number + step) % 2 :][:1]:
                problem = _resumed_from(whole, step, count)
                outcome.case(problem is None, f"{spec} from step {step} with {count} workers: {problem}")
    outcome.figures["recipes"] = str(len(specs))
    return outcome


def _resumed_from(whole: Path, step: int, workers: int) -> str | None:
    """Go on from one checkpoint of a finished run, in a copy of its folder; None where it ends in the same bits."""
    folder = whole.with_name(f"{whole.name}-{step}-{workers}")
    shutil.copytree(whole, folder)
    for saved in state.all_saved(folder / "checkpoints"):
        if saved.step > step:
            shutil.rmtree(saved.folder)
    shutil.rmtree(folder / "weights")
    ended = run(folder.with_suffix(".said"), "train", "--resume", folder, f"data.workers={workers}")
    if ended.code != 0 or not re.search(rf"from step {step} on|^finished", ended.err, re.MULTILINE):
        return f"exit {ended.code}: {ended.err[-300:]}"
    same = digest(folder) == digest(whole)
    shutil.rmtree(folder)
    return None if same else "it ends in other bits"


# --- what is no number


@dataclass(frozen=True)
class Poison:
    """One way to spoil a run at a step: what it does to the loop, and what the message must name."""

    name: str
    spoil: Callable[[Loop, float], None]
    named: str


def _first_parameter(loop: Loop, network: str) -> torch.nn.Parameter:
    return next(iter(loop.state.networks[network].parameters()))


def _weight(network: str) -> Callable[[Loop, float], None]:
    def spoil(loop: Loop, value: float) -> None:
        _first_parameter(loop, network).data.view(-1)[0] = value

    return spoil


def _gradient(network: str) -> Callable[[Loop, float], None]:
    def spoil(loop: Loop, value: float) -> None:
        parameter = _first_parameter(loop, network)
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
    """The next batch holds it, as a broken decoder's would."""
    honest = loop.loader.step

    def spoiled() -> list[Any]:
        loop.loader.step = honest  # type: ignore[method-assign]
        batches = honest()
        for tensor in (part for part in vars(batches[0]).values() if isinstance(part, torch.Tensor)):
            tensor.view(-1)[0] = value
        return batches

    loop.loader.step = spoiled  # type: ignore[method-assign]


POISONS = (
    Poison("generator's weight", _weight("generator"), "generator"),
    Poison("discriminator's weight", _weight("discriminator"), "discriminator"),
    Poison("generator's gradient", _gradient("generator"), "generator"),
    Poison("discriminator's gradient", _gradient("discriminator"), "discriminator"),
    Poison("optimizers' moments", _moment, "generator|discriminator"),
    Poison("moving average", _average, "average"),
    Poison("batch", _batch, "generator|discriminator"),
)


def not_numbers(trial: Trial) -> Outcome:
    """NaN and infinities put in everywhere: found within a log interval, named, never saved, and the run goes on."""
    outcome, training = Outcome(), micro(trial.folder)
    latest = 0
    for number in range(trial.count(len(POISONS), 100)):
        poison, step = POISONS[number % len(POISONS)], 1 + (number // len(POISONS)) % 3
        value = (float("nan"), float("inf"), -float("inf"))[number // len(POISONS) % 3]
        folder = trial.folder / f"run-{number}"
        ended = _poisoned(training, folder, poison, step, value)
        found = re.search(r"step (\d+): ", ended.err)
        late = int(found[1]) - step if found else 99
        problem = _ending(ended, poison, late) or _left(folder)
        outcome.case(problem is None, f"{value} in the {poison.name} before step {step}: {problem}")
        latest = max(latest, late)
        shutil.rmtree(folder)
    outcome.figures["found after at most"] = f"{latest} steps of a log interval of {LOG_INTERVAL}"
    return outcome


def _poisoned(training: Micro, folder: Path, poison: Poison, step: int, value: float) -> Ended:
    def prepare() -> None:
        honest = Loop._next_batches

        def spoiling(loop: Loop, *arguments: Any) -> list[Any]:
            if loop.progress.step == step:
                poison.spoil(loop, value)
            return honest(loop, *arguments)

        Loop._next_batches = spoiling  # type: ignore[method-assign]

    own = (f"train.log_every_steps={LOG_INTERVAL}", "train.validate_every_steps=99", "train.preview_every_steps=99")
    return run(folder.with_suffix(".first"), *training.start(folder, *own), prepare=prepare)


def _ending(ended: Ended, poison: Poison, late: int) -> str | None:
    named = re.search(poison.named, ended.err) and "batch: 0" in ended.err
    if ended.code != 1 or not ended.one_line or late > LOG_INTERVAL or not named:
        return f"exit {ended.code}, {late} steps later: {ended.err[-400:]}"
    return None


def _left(folder: Path) -> str | None:
    """Nothing that is no number in any checkpoint, and the run goes on."""
    for saved in state.all_saved(folder / "checkpoints"):
        if any(finite.non_finite(state.load(saved.folder))):
            return f"{saved.folder.name} holds it"
    ended = run(folder.with_suffix(".said"), "train", "--resume", folder)
    return not_whole(folder) if ended.code == 0 else f"cannot go on: {ended.err[-300:]}"
