"""Faults of a whole training: killed, failed, signalled at any moment, started twice, its workers killed."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

from safetensors import safe_open

from gantools import files
from gantools.checkpoint import state
from gantools.errors import ModelFileError
from gantools.images.io import reader
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import Micro, digest, go_on, micro, run, spawn
from tests.faults.offspring import HANG_SECONDS, Child, Ended
from tests.faults.saves import ERRORS, at_event, end_here

SIGNAL_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SIGNAL_SECONDS = 30.0


def whole(trial: Trial, training: Micro) -> tuple[str, int]:
    """The digest of the uninterrupted training, and how many file events it has."""
    log = trial.folder / "events"
    with log.open("w") as stream:

        def count(event: str, _path: Path) -> None:
            print(event, file=stream, flush=True)

        ended = run(trial.folder / "said" / "whole", *training.start(trial.folder / "whole"), watch=count)
    if ended.code != 0:
        raise RuntimeError(f"the training itself fails: {ended.err}")
    return digest(trial.folder / "whole"), len(log.read_text().splitlines())


def finishes(training: Micro, folder: Path, wanted: str) -> str | None:
    """Go on as a user would and compare with the uninterrupted training; None when all is well, else what is not."""
    ended = run(folder.with_suffix(".said"), *go_on(training, folder))
    if ended.code != 0:
        return f"cannot go on: exit {ended.code}, {ended.err[-300:]}"
    problem = broken_rows(folder) or not_whole(folder)
    return problem or (None if digest(folder) == wanted else "it ends in other weights")


def broken_rows(folder: Path) -> str | None:
    """What is wrong with the journal: torn or repeated rows."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "images_per_second" in row]
    return None if steps == list(range(1, len(steps) + 1)) and len(steps) > 3 else f"journal rows of steps {steps}"


def not_whole(folder: Path) -> str | None:
    """The first file under a final name that is not whole, or was left staged."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.relative_to(folder).parts[0].startswith(files.STAGED_PREFIX):
            return f"{path} was left"
        try:
            _read(path)
        except Exception as error:
            return f"{path}: {error}"
    for saved in state.all_saved(folder / "checkpoints"):
        try:
            state.load(saved.folder)
        except ModelFileError as error:
            return str(error)
    return None


def _read(path: Path) -> None:
    """Raises whatever its format raises for what is not whole."""
    if path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".png":
        reader.read_rgb8(path)
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as stored:
            stored.keys()


def killed_at_events(trial: Trial) -> Outcome:
    """A training killed at its k-th file event, for every k, or in the short form for every 29th."""
    outcome, training = Outcome(), micro(trial.folder)
    wanted, events = whole(trial, training)
    for number in range(1 + trial.seed % 3, events + 1, trial.count(29, 1)):
        folder = trial.folder / f"run-{number}"
        ended = run(trial.folder / "said" / str(number), *training.start(folder), watch=at_event(number, end_here))
        problem = finishes(training, folder, wanted) if ended.code == -signal.SIGKILL else f"exit {ended.code}"
        outcome.case(problem is None, f"event {number}: {problem}")
        shutil.rmtree(folder)
    outcome.figures["file events of a training"] = str(events)
    return outcome


def killed_at_random(trial: Trial) -> Outcome:
    """Killed again and again at random moments until it has ended: it ends as if nothing had been."""
    outcome, training, chance = Outcome(), micro(trial.folder), trial.random()
    began = time.monotonic()
    wanted, _ = whole(trial, training)
    seconds, kills, runs = time.monotonic() - began, 0, 0
    while kills < trial.count(4, 100):
        runs += 1
        folder = trial.folder / f"run-{runs}"
        killed_here, problem = _killed_until_it_ends(training, folder, chance, seconds, wanted)
        kills += killed_here
        for _ in range(killed_here):
            outcome.case(problem is None, f"run {runs}: {problem}")
        shutil.rmtree(folder)
    outcome.figures["kills"] = str(kills)
    outcome.figures["trainings ended bit for bit"] = str(runs)
    return outcome


def _killed_until_it_ends(
    training: Micro, folder: Path, chance: random.Random, seconds: float, wanted: str
) -> tuple[int, str | None]:
    kills = 0
    while True:
        child = spawn(folder.with_suffix(".said"), *go_on(training, folder))
        time.sleep(chance.uniform(0, seconds))
        child.send(signal.SIGKILL)
        ended = child.end()
        if ended.code == 0:
            return kills, finishes(training, folder, wanted)
        if ended.code != -signal.SIGKILL:
            return max(kills, 1), f"exit {ended.code}: {ended.err[-300:]}"
        kills += 1


def failed_writes(trial: Trial) -> Outcome:
    """A disk that fails once at the k-th event of a training, or from there on: it goes on, or ends in one line."""
    outcome, training = Outcome(), micro(trial.folder)
    wanted, events = whole(trial, training)
    went_on = 0
    for turn, number in enumerate(range(1 + trial.seed % 3, events + 1, trial.count(23, 1))):
        folder = trial.folder / f"run-{number}"
        error, for_good = ERRORS[turn % len(ERRORS)], turn % 2 == 1
        failed = trial.folder / "failed"
        disk = _bad_disk(number, error, failed, for_good=for_good)
        ended = run(trial.folder / "said" / str(number), *training.start(folder), watch=disk)
        went_on += ended.code == 0
        problem = _after_failed_write(ended, training, folder, wanted)
        if failed.exists() and os.strerror(error) not in ended.err:
            problem = f"{failed.read_text()[:200]} failed, and nothing was said of it"
        outcome.case(problem is None, f"{errno.errorcode[error]} at event {number}{' on' * for_good}: {problem}")
        shutil.rmtree(folder, ignore_errors=True)
        failed.unlink(missing_ok=True)
    outcome.figures["file events of a training"] = str(events)
    outcome.figures["went on to the end"] = str(went_on)
    return outcome


def _bad_disk(number: int, error: int, failed: Path, *, for_good: bool) -> files.Observer:
    """Fails the ``number``-th event, or all from there on; what is more than cleaning up is noted in ``failed``."""
    seen = 0

    def observer(event: files.Event, path: Path) -> None:
        nonlocal seen
        seen += 1
        if seen == number or (for_good and seen > number and event != "remove"):
            if event != "remove":
                failed.write_text(f"{event} {path}")
            raise OSError(error, os.strerror(error), str(path))

    return observer


def _after_failed_write(ended: Ended, training: Micro, folder: Path, wanted: str) -> str | None:
    if ended.code not in (0, 1) or (ended.code == 1 and not ended.one_line):
        return f"exit {ended.code}: {ended.err[-300:]}"
    if (folder / "config.yaml").exists() and (problem := not_whole(folder)):
        return problem
    return finishes(training, folder, wanted)


def signals(trial: Trial) -> Outcome:
    """A signal at a random moment: saved, its own exit code, within 30 s, and resumed to the same end."""
    outcome, training, chance = Outcome(), micro(trial.folder), trial.random()
    began = time.monotonic()
    wanted, _ = whole(trial, training)
    whole_seconds, slowest, saved = time.monotonic() - began, 0.0, 0
    for number in range(trial.count(5, 40)):
        which, folder = list(SIGNAL_CODES)[number % 3], trial.folder / f"run-{number}"
        ended, seconds = _signalled(training, folder, which, chance.uniform(0, whole_seconds), again=number % 5 == 4)
        codes = {SIGNAL_CODES[which], -which, 0}  # before the run it is the system's own effect; after it there is none
        problem = finishes(training, folder, wanted) if ended.code in codes else f"exit {ended.code} {ended.err[-300:]}"
        outcome.case(
            problem is None and seconds < trial.patience(SIGNAL_SECONDS),
            f"{which.name} {number}: {problem}, {seconds:.1f} s",
        )
        slowest, saved = max(slowest, seconds), saved + (": saving at step" in ended.err)
    outcome.figures["saved at a step's edge"] = str(saved)
    outcome.figures["slowest end"] = f"{slowest:.1f} s"
    return outcome


def _signalled(training: Micro, folder: Path, which: int, moment: float, *, again: bool) -> tuple[Ended, float]:
    child = spawn(folder.with_suffix(".first"), *go_on(training, folder))
    time.sleep(moment)
    sent = time.monotonic()
    child.send(which)
    if again:
        time.sleep(0.01)
        child.send(which)
    ended = child.end()
    return ended, time.monotonic() - sent


def started_twice(trial: Trial) -> Outcome:
    """Twenty starts in one folder at once, and twenty resumes of one run: one trains, the others are told who."""
    outcome, training = Outcome(), micro(trial.folder)
    long = ("stages.adversarial.steps=400", "train.preview_every_steps=1000", "train.validate_every_steps=1000")
    for name in ("start", "resume"):
        folder = trial.folder / "run"
        arguments = go_on(training, folder, *long)
        children = [spawn(trial.folder / "said" / f"{name}-{number}", *arguments) for number in range(20)]
        endings = _all_but_one(children)
        refused = [ended for ended in endings if ended.code == 2 and _names_holder(ended)]
        outcome.case(len(refused) == 19, f"{name}: {[(each.code, each.err[-200:]) for each in endings]}"[:1500])
        outcome.figures[f"{name}s refused"] = str(len(refused))
        problem = not_whole(folder)
        outcome.case(problem is None, f"{name}: {problem}")
    return outcome


def _all_but_one(children: list[Child]) -> list[Ended]:
    """Wait until one child is left, then stop that one, too; how the others ended."""
    waiting, deadline = list(children), time.monotonic() + HANG_SECONDS
    while len(waiting) > 1 and time.monotonic() < deadline:
        waiting = [child for child in waiting if _is_alive(child)]
        time.sleep(0.05)
    for child in waiting:
        child.send(signal.SIGTERM)
    ended = {child: child.end() for child in children}
    return [ending for child, ending in ended.items() if child not in waiting]


def _is_alive(child: Child) -> bool:
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] != "Z"


def _names_holder(ended: Ended) -> bool:
    return bool(re.search(r"this run is being trained by process \d+ on \S+ since", ended.err)) and ended.one_line


def killed_workers(trial: Trial) -> Outcome:
    """A loader's process killed, by SIGKILL or as by a small /dev/shm: one line, all work saved, and it goes on."""
    outcome, training = Outcome(), micro(trial.folder)
    slowest = 0.0
    for number in range(trial.count(2, 20)):
        folder = trial.folder / f"run-{number}"
        which = (signal.SIGKILL, signal.SIGBUS)[number % 2]
        ended, seconds = _worker_killed(training, folder, which)
        slowest = max(slowest, seconds)
        told = "loader process" in ended.err and f"killed by {which.name}" in ended.err and ended.one_line
        problem = None if ended.code == 1 and told else f"exit {ended.code}: {ended.err[-400:]}"
        problem = problem or _goes_on_from_there(folder)
        outcome.case(problem is None, f"{which.name} {number}: {problem}")
        shutil.rmtree(folder)
    outcome.figures["slowest end"] = f"{slowest:.1f} s"
    return outcome


def _worker_killed(training: Micro, folder: Path, which: int) -> tuple[Ended, float]:
    long = ("data.workers=2", "stages.adversarial.steps=100000", "train.checkpoint_every_steps=100000")
    child = spawn(folder.with_suffix(".first"), *training.start(folder, *long))
    wait_for_rows(child, folder)
    worker = child.children()[0]
    killed = time.monotonic()
    os.kill(worker, which)
    ended = child.end()
    return ended, time.monotonic() - killed


def wait_for_rows(child: Child, folder: Path) -> None:
    """Wait until a training has logged something, or ended."""
    journal, deadline = folder / "metrics.jsonl", time.monotonic() + HANG_SECONDS
    while _is_alive(child) and time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)


def _goes_on_from_there(folder: Path) -> str | None:
    """Whether every step that was logged was saved, and the run goes on behind it."""
    logged = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (*_, saved) = state.steps(folder / "checkpoints")
    ended = run(folder.with_suffix(".said"), "train", "--resume", folder, "--max-steps", str(saved + 1))
    if ended.code != 0 or saved < max(logged):
        return f"logged to step {max(logged)}, saved {saved}, exit {ended.code}: {ended.err[-300:]}"
    return None


def orphans(trial: Trial) -> Outcome:
    """A training killed by SIGKILL: its workers end at once, and the run can be gone on with at once."""
    outcome, training = Outcome(), micro(trial.folder)
    slowest = 0.0
    for number in range(trial.count(1, 10)):
        folder = trial.folder / f"run-{number}"
        child = spawn(
            folder.with_suffix(".first"), *training.start(folder, "data.workers=2", "stages.adversarial.steps=999")
        )
        wait_for_rows(child, folder)
        workers = child.children()
        child.send(signal.SIGKILL)
        child.end()
        seconds = _until_gone(workers)
        slowest = max(slowest, seconds)
        ended = run(folder.with_suffix(".said"), "train", "--resume", folder, "--max-steps", "1")
        kept = len(workers) == 2 and seconds < trial.patience(5) and ended.code == 0
        outcome.case(kept, f"{len(workers)} workers gone after {seconds:.1f} s; exit {ended.code}: {ended.err[-200:]}")
    outcome.figures["workers gone after"] = f"{slowest:.2f} s"
    return outcome


def _until_gone(pids: list[int]) -> float:
    """How long it takes until none of the processes is there, or only as a zombie."""
    began = time.monotonic()
    while time.monotonic() - began < 60 and any(map(_lives, pids)):
        time.sleep(0.01)
    return time.monotonic() - began


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
