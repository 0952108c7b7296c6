"""Faults of a save: killed at any event, failed at any event, damaged afterwards, written out of order, forged."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from gantools import files
from gantools.checkpoint import state
from gantools.errors import ModelFileError
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import micro, run
from tests.faults.offspring import Child

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)


def content(step: int) -> dict[str, object]:
    """A state that differs from step to step in every part."""
    return {"step": step, "weights": {"a": torch.full((40, 30), float(step)), "b": torch.arange(9) * step}}


def is_whole(found: object, step: int) -> bool:
    """Whether a state that was read is ``content(step)``, to the last bit."""
    wanted = content(step)
    if not isinstance(found, dict) or found.get("step") != step:
        return False
    return all(torch.equal(found["weights"][key], value) for key, value in wanted["weights"].items())  # type: ignore[attr-defined]


def at_event(number: int, happen: Callable[[str, Path], None]) -> files.Observer:
    """An observer to which ``happen``s something at the ``number``-th event."""
    seen = 0

    def observer(event: files.Event, path: Path) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            happen(event, path)

    return observer


def end_here(_event: str, _path: Path) -> None:
    """Die as no process can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


def count_events(save: Callable[[], object]) -> int:
    """How many file events a save has."""
    events: list[str] = []
    with files.observed(lambda event, _path: events.append(event)):
        save()
    return len(events)


def killed_saves(trial: Trial) -> Outcome:
    """A save of the next step, and of the same step again, killed at every event; then the next save and start."""
    outcome = Outcome()
    for again in (False, True):
        step = 2 if again else 3
        number = 0
        while True:
            number += 1
            folder = trial.folder / f"{again}-{number}"
            _two_checkpoints(folder)
            code = _killed_save(folder, step, number)
            if code != -signal.SIGKILL:
                outcome.case(code == 0, f"saving step {step} ends with {code}")
                break
            outcome.case(_survives(folder, step), f"event {number} of saving step {step}: {sorted(os.listdir(folder))}")
        outcome.figures["saved again" if again else "next step"] = f"{number - 1} events"
    return outcome


def _two_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        state.save(folder, step, content(step), keep=2)


def _killed_save(folder: Path, step: int, number: int) -> int | None:
    def save() -> int:
        with files.observed(at_event(number, end_here)):
            state.save(folder, step, content(step), keep=2)
        return 0

    return Child(save, folder.parent / "said" / str(number)).end().code


def _survives(folder: Path, step: int) -> bool:
    """Whether a whole checkpoint is found, without a word of damage, and the next start cleans up and saves."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = state.newest(folder)
        except (ModelFileError, UserWarning):
            return False
    sound = found[0] in (2, step) and is_whole(found[1], found[0])
    files.remove_stale(folder)
    state.save(folder, 4, content(4), keep=2)
    return sound and is_whole(state.newest(folder)[1], 4) and len(os.listdir(folder)) == 2


def failed_saves(trial: Trial) -> Outcome:
    """Every event of a save fails with every error: nothing half, nothing staged, the old one there."""
    outcome = Outcome()
    events = 0
    for error in ERRORS:
        number, failing = 0, True
        while failing:
            number += 1
            folder = trial.folder / f"{error}-{number}"
            _two_checkpoints(folder)
            failing, kind = _fails(folder, number, error)
            if failing:
                kept = _two_whole(folder) and (kind == "remove" or not list(folder.glob(".gantools-*")))
                outcome.case(kept, f"{errno.errorcode[error]} at event {number}: {sorted(os.listdir(folder))}")
        events = number - 1
    outcome.figures["events × errors"] = f"{events} × {len(ERRORS)}"
    return outcome


def _fails(folder: Path, number: int, error: int) -> tuple[bool, str]:
    """Save with an error at one event; whether there was such an event, and of what kind."""
    failed = ""

    def fail(event: str, path: Path) -> None:
        nonlocal failed
        failed = event
        raise OSError(error, os.strerror(error), str(path))

    with files.observed(at_event(number, fail)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            state.save(folder, 3, content(3), keep=2)
        except OSError:
            return True, failed
    return bool(failed), failed


def _two_whole(folder: Path) -> bool:
    """Whether everything that has a checkpoint's name is one, and two at least are there."""
    named = state.all_saved(folder)
    return len(named) >= 2 and all(is_whole(state.load(saved.folder), saved.step) for saved in named)


def order(trial: Trial) -> Outcome:
    """Every name of a whole training is given to what is synced, and made durable; the manifest comes last."""
    outcome = Outcome()
    log = trial.folder / "events"
    with log.open("w") as stream:

        def watch(event: str, path: Path) -> None:
            print(f"{event}\t{path}", file=stream, flush=True)

        ended = run(trial.folder / "said", *micro(trial.folder).start(trial.folder / "run"), watch=watch)
    outcome.case(ended.code == 0, f"the training itself: exit {ended.code}, {ended.err[-300:]}")
    events = [line.split("\t") for line in log.read_text().splitlines()]
    for number, (event, path) in enumerate(events):
        if event == "rename":
            problem = _misplaced(events, number)
            outcome.case(problem is None, f"{path}: {problem}")
    outcome.figures["names given"] = str(sum(event == "rename" for event, _ in events))
    return outcome


def _misplaced(events: list[list[str]], number: int) -> str | None:
    """What is wrong with the ``number``-th event, which gives a name, or takes one away."""
    path = Path(events[number][1])
    if events[number + 1][0] == "remove":
        return None
    if events[number + 1] != ["sync folder", str(path.parent)]:
        return "its folder is not synced after it"
    start = max((at for at in range(number) if events[at][0] == "rename"), default=-1)
    unsynced = _unsynced([each for each in events[start + 1 : number] if not each[1].endswith("metrics.jsonl")])
    if unsynced:
        return f"{', '.join(unsynced)} not synced before it"
    made = [Path(where).name for event, where in events[start + 1 : number] if event == "create"]
    if path.name.startswith("step-") and made[-1:] != [state.MANIFEST]:
        return f"its manifest is not the last file written ({made})"
    return None


def _unsynced(events: list[list[str]]) -> list[str]:
    waiting: dict[str, None] = {}
    for event, path in events:
        if event in ("create", "write"):
            waiting[path] = None
        elif event in ("sync", "sync folder"):
            waiting.pop(path, None)
    return list(waiting)


def mutations(trial: Trial) -> Outcome:
    """Random damage to the newest checkpoint: it is found, named in one line, and the one before it is used."""
    outcome = Outcome()
    chance = trial.random()
    kinds = (_flip, _cut, _grow, _blank, _swap, _lose, _rename)
    master = trial.folder / "master"
    _two_checkpoints(master)
    for number in range(trial.count(350, 5000)):
        folder = trial.folder / "damaged"
        shutil.copytree(master, folder)
        told = kinds[number % len(kinds)](folder, chance)
        outcome.case(_is_found(folder), f"mutation {number}: {told}")
        shutil.rmtree(folder)
    outcome.figures["kinds"] = str(len(kinds))
    return outcome


def _is_found(folder: Path) -> bool:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        step, found = state.newest(folder)
    return step == 1 and is_whole(found, 1) and len(said) == 1 and "\n" not in str(said[0].message)


def _a_file(folder: Path, chance: random.Random) -> Path:
    return folder / "step-000000002" / chance.choice((state.TENSORS, state.TREE, state.MANIFEST))


def _flip(folder: Path, chance: random.Random) -> str:
    path = _a_file(folder, chance)
    whole = bytearray(path.read_bytes())
    place, bits = chance.randrange(len(whole)), chance.randrange(1, 256)
    whole[place] ^= bits
    path.write_bytes(whole)
    return f"byte {place} of {path.name} ^ {bits}"


def _cut(folder: Path, chance: random.Random) -> str:
    path = _a_file(folder, chance)
    length = chance.randrange(path.stat().st_size)
    os.truncate(path, length)
    return f"{path.name} cut to {length} bytes"


def _grow(folder: Path, chance: random.Random) -> str:
    path = _a_file(folder, chance)
    with path.open("ab") as stream:
        stream.write(chance.randbytes(chance.randrange(1, 500)))
    return f"{path.name} grown"


def _blank(folder: Path, chance: random.Random) -> str:
    """What a file system leaves that had the length written and not the content."""
    path = _a_file(folder, chance)
    whole = bytearray(path.read_bytes())
    start = chance.randrange(len(whole))
    end = chance.randrange(start, len(whole)) + 1
    if not any(whole[start:end]):  # zeroed already: nothing would change
        start, end = 0, len(whole)
    whole[start:end] = bytes(end - start)
    path.write_bytes(whole)
    return f"{path.name} zero from {start} to {end}"


def _swap(folder: Path, chance: random.Random) -> str:
    path = _a_file(folder, chance)
    shutil.copy(folder / "step-000000001" / path.name, path)
    return f"{path.name} of the other checkpoint"


def _lose(folder: Path, chance: random.Random) -> str:
    path = _a_file(folder, chance)
    path.unlink()
    return f"{path.name} gone"


def _rename(folder: Path, chance: random.Random) -> str:
    step = chance.randrange(3, 10**9)
    (folder / "step-000000002").rename(folder / f"step-{step:09d}")
    return f"named step {step}"
