"""Faults of a whole training: killed, failed or signalled at any moment, started twice, its workers killed."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

from gantools import files
from gantools.checkpoint import state
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import at_event, damaged, finishes, micro, run, spawn, uninterrupted, wait_for_rows
from tests.faults.processes import ERRORS, HANG_SECONDS, Child, Ended, children, is_alive, seconds_until_gone
from tests.faults.saves import end_here

SIGNAL_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def killed_trainings(trial: Trial) -> Outcome:
    """Killed at its k-th file event, for every k, or in the short form for every 29th."""
    outcome, training = Outcome(), micro(trial.folder)
    wanted, events = uninterrupted(trial.folder, training)
    for number in range(1 + trial.seed % 3, len(events) + 1, trial.count(29, 1)):
        folder = trial.folder / f"run-{number}"
        ended = run(trial.folder / "log" / str(number), *training.start(folder), observer=at_event(number, end_here))
        problem = finishes(training, folder, wanted) if ended.code == -signal.SIGKILL else f"exit {ended.code}"
        outcome.check(problem is None, f"event {number}: {problem}")
        shutil.rmtree(folder)
    return outcome


def failed_writes(trial: Trial) -> Outcome:
    """A disk that fails once at the k-th event, or from there on: the run goes on, or ends in one line."""
    outcome, training = Outcome(), micro(trial.folder)
    wanted, events = uninterrupted(trial.folder, training)
    for turn, number in enumerate(range(1 + trial.seed % 3, len(events) + 1, trial.count(23, 1))):
        folder, failed = trial.folder / f"run-{number}", trial.folder / f"failed-{number}"
        error, for_good = ERRORS[turn % len(ERRORS)], turn % 2 == 1
        disk = _bad_disk(number, error, failed, for_good=for_good)
        ended = run(trial.folder / "log" / str(number), *training.start(folder), observer=disk)
        if ended.code not in (0, 1) or (ended.code == 1 and not ended.one_line):
            problem: str | None = f"exit {ended.code}: {ended.err[-300:]}"
        elif failed.exists() and os.strerror(error) not in ended.err:
            problem = f"{failed.read_text()[:200]} failed, and nothing was printed"
        else:
            problem = damaged(folder) if (folder / "config.yaml").exists() else None
            problem = problem or finishes(training, folder, wanted)
        outcome.check(problem is None, f"{errno.errorcode[error]} at event {number}{' on' * for_good}: {problem}")
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _bad_disk(number: int, error: int, failed: Path, *, for_good: bool) -> files.Observer:
    """Fail the ``number``-th event, or all from there on. What is more than a removal is noted in ``failed``."""
    seen = 0

    def observer(event: files.Event, path: Path) -> None:
        nonlocal seen
        seen += 1
        if seen == number or (for_good and seen > number and event != "remove"):
            if event != "remove":
                failed.write_text(f"{event} {path}")
            raise OSError(error, os.strerror(error), str(path))

    return observer


def signals(trial: Trial) -> Outcome:
    """A signal at a random moment, every fifth twice: saved, its own exit code, within 30 s, the same end resumed."""
    outcome, training, chance = Outcome(), micro(trial.folder), trial.random()
    started = time.monotonic()
    wanted, _ = uninterrupted(trial.folder, training)
    whole_seconds = time.monotonic() - started
    for number in range(trial.count(5, 40)):
        which, folder = list(SIGNAL_CODES)[number % 3], trial.folder / f"run-{number}"
        child = spawn(folder.with_suffix(".first"), *training.start(folder))
        time.sleep(chance.uniform(0, whole_seconds))
        sent = time.monotonic()
        child.send(which)
        if number % 5 == 4:
            time.sleep(0.01)
            child.send(which)
        ended, seconds = child.end(), time.monotonic() - sent
        codes = {SIGNAL_CODES[which], -which, 0}  # before the run the system's own effect, after it none
        problem = finishes(training, folder, wanted) if ended.code in codes else f"exit {ended.code} {ended.err[-300:]}"
        in_time = seconds < trial.limit(30)
        outcome.check(problem is None and in_time, f"{which.name} {number}: {problem}, {seconds:.1f} s")
    return outcome


def started_twice(trial: Trial) -> Outcome:
    """Twenty starts in one folder at once, and twenty resumes of one run: one trains, the others name it."""
    outcome, training, folder = Outcome(), micro(trial.folder), trial.folder / "run"
    long = ("stages.adversarial.steps=400", "train.preview_every_steps=1000", "train.validate_every_steps=1000")
    for name in ("start", "resume"):
        arguments = training.continue_(folder, *long)
        endings = _all_but_one([spawn(trial.folder / "log" / f"{name}-{number}", *arguments) for number in range(20)])
        named = r"this run is being trained by process \d+ on \S+ since"
        refused = [each for each in endings if each.code == 2 and re.search(named, each.err) and each.one_line]
        outcome.check(len(refused) == 19, f"{name}: {[(each.code, each.err[-200:]) for each in endings]}"[:1500])
        problem = damaged(folder)
        outcome.check(problem is None, f"{name}: {problem}")
    return outcome


def _all_but_one(started: list[Child]) -> list[Ended]:
    """Wait until one child is left and stop that one. Returns how the others ended."""
    waiting, deadline = list(started), time.monotonic() + HANG_SECONDS
    while len(waiting) > 1 and time.monotonic() < deadline:
        waiting = [child for child in waiting if is_alive(child.pid)]
        time.sleep(0.05)
    for child in waiting:
        child.send(signal.SIGTERM)
    ended = {child: child.end() for child in started}
    return [ending for child, ending in ended.items() if child not in waiting]


def killed_workers(trial: Trial) -> Outcome:
    """A loader process is killed: one line, everything saved. The training is killed: its loader processes end."""
    outcome, training = Outcome(), micro(trial.folder)
    victims = (signal.SIGKILL, signal.SIGBUS, None)  # of a worker, of a worker on a full /dev/shm, of the training
    long = ("data.workers=2", "stages.adversarial.steps=100000", "train.checkpoint_every_steps=100000")
    for number in range(trial.count(3, 30)):
        folder, which = trial.folder / f"run-{number}", victims[number % 3]
        child = spawn(folder.with_suffix(".first"), *training.start(folder, *long))
        wait_for_rows(child, folder)
        workers = children(child.pid)
        if which is None:
            child.send(signal.SIGKILL)
            child.end()
            seconds = seconds_until_gone(workers)
            ended = run(folder.with_suffix(".log"), "train", "--resume", folder, "--max-steps", "1")
            kept = len(workers) == 2 and seconds < trial.limit(5) and ended.code == 0
            outcome.check(kept, f"{len(workers)} workers gone after {seconds:.1f} s; {ended.code}: {ended.err[-200:]}")
        else:
            os.kill(workers[0], which)
            ended = child.end()
            reported = "loader process" in ended.err and f"killed by {which.name}" in ended.err and ended.one_line
            problem = _all_saved(folder) if ended.code == 1 and reported else f"exit {ended.code}: {ended.err[-400:]}"
            outcome.check(problem is None, f"{which.name} {number}: {problem}")
        shutil.rmtree(folder)
    return outcome


def _all_saved(folder: Path) -> str | None:
    """Whether every logged step was saved, and the run continues after it."""
    logged = max(json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines())
    (*_, saved) = state.steps(folder / "checkpoints")
    ended = run(folder.with_suffix(".log"), "train", "--resume", folder, "--max-steps", str(saved + 1))
    kept = ended.code == 0 and saved >= logged
    return None if kept else f"logged to step {logged}, saved {saved}, exit {ended.code}: {ended.err[-300:]}"
