"""Faults of a checkpoint: killed at any event of a save, written out of order, damaged afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import warnings
from pathlib import Path

import torch

from gantools import files
from gantools.checkpoint import state
from gantools.errors import ModelFileError
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import at_event, micro, uninterrupted
from tests.faults.processes import Child


def content(step: int) -> dict[str, object]:
    """A state that differs from step to step in every part."""
    return {"step": step, "weights": {"a": torch.full((40, 30), float(step)), "b": torch.arange(9) * step}}


def is_whole(found: object, step: int) -> bool:
    """Whether a loaded state is ``content(step)``, to the last bit."""
    wanted = content(step)["weights"]
    if not isinstance(found, dict) or found.get("step") != step:
        return False
    return all(torch.equal(found["weights"][key], value) for key, value in wanted.items())  # type: ignore[attr-defined]


def end_here(_event: str, _path: Path) -> None:
    """Die as no process can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


def two_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        state.save(folder, step, content(step), keep=2)


def killed_saves(trial: Trial) -> Outcome:
    """A save of the next step, and of the same step again, is killed at every event; then the next save succeeds."""
    outcome = Outcome()
    for step in (3, 2):
        number, code = 0, -signal.SIGKILL
        while code == -signal.SIGKILL:
            number += 1
            folder = trial.folder / f"{step}-{number}"
            two_checkpoints(folder)

            def save(folder: Path = folder, number: int = number, step: int = step) -> int:
                with files.observed(at_event(number, end_here)):
                    state.save(folder, step, content(step), keep=2)
                return 0

            code = Child(save, trial.folder / "log" / str(number)).end().code or 0
            outcome.check(_survives(folder, step), f"event {number} of saving step {step}: {os.listdir(folder)}")
        outcome.check(code == 0 and number > 10, f"saving step {step} ends with {code} at event {number}")
    return outcome


def _survives(folder: Path, step: int) -> bool:
    """Whether an intact checkpoint is found without a warning, and the next start cleans up and saves."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = state.newest(folder)
        except (ModelFileError, UserWarning):
            return False
    intact = found[0] in (2, step) and is_whole(found[1], found[0])
    files.remove_stale(folder)
    state.save(folder, 4, content(4), keep=2)
    return intact and is_whole(state.newest(folder)[1], 4) and len(os.listdir(folder)) == 2


def order(trial: Trial) -> Outcome:
    """Everything is synced before it is renamed, every folder after it; a checkpoint's manifest comes last."""
    outcome = Outcome()
    _, events = uninterrupted(trial.folder, micro(trial.folder))
    last = -1
    for number, (event, path) in enumerate(events):
        if event == "rename":
            before = [each for each in events[last + 1 : number] if not each[1].endswith("metrics.jsonl")]
            problem = _misplaced(Path(path), before, events[number + 1])
            outcome.check(problem is None, f"{path}: {problem}")
            last = number
    outcome.check(outcome.cases > 20, f"only {outcome.cases} renames")
    return outcome


def _misplaced(path: Path, before: list[tuple[str, str]], after: tuple[str, str]) -> str | None:
    """What is wrong with a rename, given the events since the last one and the event after it."""
    if after[0] == "remove":  # the rename took a name away
        return None
    if after != ("sync folder", str(path.parent)):
        return "its folder is not synced after it"
    unsynced: set[str] = set()
    for event, name in before:
        if event in ("create", "write"):
            unsynced.add(name)
        elif event in ("sync", "sync folder"):
            unsynced.discard(name)
    if unsynced:
        return f"{unsynced} not synced before it"
    created = [Path(name).name for event, name in before if event == "create"]
    if path.name.startswith("step-") and created[-1:] != [state.MANIFEST]:
        return f"its manifest is not the last file written ({created})"
    return None


def mutations(trial: Trial) -> Outcome:
    """Random damage to the newest checkpoint is found and reported in one line; the one before it is used."""
    outcome, chance = Outcome(), trial.random()
    master, folder = trial.folder / "master", trial.folder / "damaged"
    two_checkpoints(master)
    for number in range(trial.count(350, 5000)):
        shutil.copytree(master, folder)
        damage = _damage(folder, DAMAGE[number % len(DAMAGE)], chance)
        with warnings.catch_warnings(record=True) as lines:
            warnings.simplefilter("always")
            step, found = state.newest(folder)
        detected = step == 1 and is_whole(found, 1) and len(lines) == 1 and "\n" not in str(lines[0].message)
        outcome.check(detected, f"mutation {number}: {damage}")
        shutil.rmtree(folder)
    return outcome


DAMAGE = ("flip", "cut", "grow", "zero", "swap", "lose", "rename")


def _damage(folder: Path, kind: str, chance: random.Random) -> str:
    """Damage a file of the newest checkpoint, or give the checkpoint another step's name."""
    newest = folder / "step-000000002"
    path = newest / chance.choice((state.TENSORS, state.TREE, state.MANIFEST))
    whole = bytearray(path.read_bytes())
    start = chance.randrange(len(whole))
    end = chance.randrange(start, len(whole)) + 1
    if kind == "rename":
        newest.rename(folder / f"step-{chance.randrange(3, 10**9):09d}")
    elif kind == "lose":
        path.unlink()
    elif kind == "swap":
        shutil.copy(folder / "step-000000001" / path.name, path)
    elif kind == "cut":
        os.truncate(path, start)
    elif kind == "grow":
        path.write_bytes(whole + chance.randbytes(chance.randrange(1, 500)))
    elif kind == "flip":
        whole[start] ^= chance.randrange(1, 256)
        path.write_bytes(whole)
    else:  # as a file system leaves a file whose length was written and whose content was not
        path.write_bytes(
            whole[:start] + bytes(end - start) + whole[end:] if any(whole[start:end]) else bytes(len(whole))
        )
    return f"{path.name}: {kind} at {start} of {len(whole)}"
