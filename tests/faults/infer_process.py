"""Rows about the running program: killed, interrupted, written to where nothing can be, and run for long."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gantools import files, infer
from gantools.inference.options import InferOptions
from tests.faults import damage, ground
from tests.faults.harness import Outcome, Row, Trial

MB_PER_1000 = 1.0
DECODED = 60


def killed(trial: Trial) -> Outcome:
    """kill -9 at any moment: no half file, and --skip-existing ends with the tree of a run that was not killed."""
    outcome, rng, count = Outcome(), trial.random(), 16
    _photos(trial.folder / "in", count, 200)
    weights = ground.identity(trial.folder)
    line = ("infer", weights, "in", "--skip-existing", "-o")
    whole = ground.gantools(*line, "whole", folder=trial.folder)
    wanted, leftovers, interrupted = ground.tree(trial.folder / "whole"), 0, 0
    outcome.case(whole.code == 0 and len(wanted) == count, f"exit {whole.code}: {whole.err[-200:]}")
    for number in range(trial.count(1, 40)):
        folder = trial.folder / f"out{number}"
        _kill_after(ground.command_line(*line, folder.name), folder, rng.randrange(count), rng.uniform(0, 0.05))
        found = ground.tree(folder) if folder.exists() else {}
        staged = {name for name in found if name.startswith(files.STAGED_PREFIX)}
        leftovers, interrupted = leftovers + len(staged), interrupted + (len(found) - len(staged) < count)
        torn = [name for name in found.keys() - staged if found[name] != wanted.get(name)]
        outcome.case(not torn, f"kill {number}: {torn}")
        for name in staged:  # as if it had been a while ago
            os.utime(folder / name, (0, 0))
        again = ground.gantools(*line, folder.name, folder=trial.folder)
        outcome.case(again.code == 0 and ground.tree(folder) == wanted, f"kill {number}: exit {again.code} {again.err}")
    outcome.figures |= {"interrupted": str(interrupted), "staged files left and removed": str(leftovers)}
    return outcome


def _photos(folder: Path, count: int, side_px: int) -> None:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(damage.photo(side_px, side_px, seed=number)).save(folder / f"{number:04d}.png")


def _kill_after(command: list[str], folder: Path, results: int, seconds: float) -> None:
    """Start a command and kill it a moment after so many results are in ``folder``."""
    process = subprocess.Popen(
        command, cwd=folder.parent, env=ground.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + ground.PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline and _results(folder) < results:
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.wait()


def _results(folder: Path) -> int:
    return len(list(folder.glob("[0-9]*"))) if folder.exists() else -1


ERRNO = {"full": 28, "quota": 122, "broken": 5, "read-only": 30}


def disk(trial: Trial) -> Outcome:
    """A write that fails at any of its events costs its picture, by one line, and leaves nothing behind."""
    outcome, count = Outcome(), trial.count(3, 6)
    _photos(trial.folder / "in", count, 40)
    weights = ground.identity(trial.folder)
    events: list[files.Event] = []
    with files.observed(lambda event, _path: events.append(event)):
        list(infer(weights, trial.folder / "in", InferOptions(io_workers=0), output=trial.folder / "whole"))
    wanted = ground.tree(trial.folder / "whole")
    for ordinal, (told, number) in ((at, each) for at in range(len(events)) for each in ERRNO.items()):
        folder = trial.folder / f"{told}{ordinal}"
        with files.observed(_failing(ordinal, number)):
            results = list(infer(weights, trial.folder / "in", InferOptions(io_workers=0), output=folder))
        done = {Path(result.input).name for result in results if result.status == "done"}
        found = ground.tree(folder)
        missing = len(done) < count - 1 or any(found.get(name) != wanted[name] for name in done)
        half = [name for name in found if found[name] != wanted.get(name)]
        told_of = [result.error for result in results if result.status == "failed"]
        one_line = all(error and error.isprintable() for error in told_of)
        outcome.case(not missing and not half and one_line, f"{told} at event {ordinal}: {done}, {half}, {told_of}")
    outcome.figures["events"] = str(len(events))
    return outcome


def _failing(ordinal: int, number: int) -> files.Observer:
    """Raise an error at the ``ordinal``-th event."""
    seen = iter(range(1 << 30))

    def observe(_event: files.Event, path: Path) -> None:
        if next(seen) == ordinal:
            raise OSError(number, os.strerror(number), str(path))

    return observe


@dataclass(frozen=True)
class Pipe:
    """A shell command with ``gantools`` in it, the exit code of gantools, and what stderr may say at most."""

    told: str
    line: str
    codes: tuple[int, ...]
    lines: int


def _pipes() -> Iterator[Pipe]:
    """``G`` is gantools with its weights; the code is that of gantools, from PIPESTATUS."""
    broken = (0, 141)
    yield Pipe("early reader of names", "$G in -o out$N | head -n 1 > /dev/null", broken, 2)
    yield Pipe("reader that reads nothing", "$G in -o out$N | true", broken, 2)
    yield Pipe("full device for names", "$G in -o out$N > /dev/full", (1,), 2)
    yield Pipe("full device for a picture", "$G in/0000.png -o - > /dev/full", (1,), 2)
    yield Pipe("early reader of a picture", "$G in/0000.png -o - | head -c 10 > /dev/null", broken, 2)
    yield Pipe("closed standard output", "$G in -o out$N >&-", (1,), 2)
    yield Pipe("closed standard input", "$G in -o out$N <&- > /dev/null", (0,), 2)
    yield Pipe("nothing on standard input", "$G - -o - < /dev/null > /dev/null", (1,), 2)
    yield Pipe("half a picture on standard input", "head -c 300 in/0000.png | $G - -o - > /dev/null", (1,), 2)
    yield Pipe("a picture through a pipe", "cat in/0000.png | $G - -o - | cmp - picture.made", (0,), 1)
    yield Pipe("full device for JSON", "$G in -o out$N --json > /dev/full", (1,), 2)
    yield Pipe("early reader of JSON", "$G in -o out$N --json | head -n 1 > /dev/null", broken, 2)
    yield Pipe("full device for messages", "$G in -o out$N > /dev/null 2> /dev/full", (0,), 0)
    yield Pipe("closed messages", "$G in -o out$N > /dev/null 2>&-", (0,), 0)
    yield Pipe("full device as a file", "$G in/0000.png -o /dev/full --format png", (1, 2), 2)


def pipes(trial: Trial) -> Outcome:
    """Pipes that close, fill or end early: quiet or one line, the exit code of the contract, never a traceback."""
    outcome, weights = Outcome(), ground.identity(trial.folder)
    _photos(trial.folder / "in", 6, 64)
    cases = list(_pipes())
    first = ground.gantools("infer", weights, "in/0000.png", "-o", "-", folder=trial.folder)
    (trial.folder / "picture.made").write_bytes(first.out)
    chosen = cases * 2 if trial.long else [cases[number] for number in (2, 4)]
    for number, case in enumerate(chosen):
        code, said = _through_shell(case.line, trial.folder, number)
        lines = said.splitlines()
        kept = code in case.codes and len(lines) <= case.lines and "Traceback" not in said and "Error" not in said
        outcome.case(kept, f"{case.told}: exit {code}: {said[-300:]}")
    return outcome


def _through_shell(line: str, folder: Path, number: int) -> tuple[int, str]:
    """gantools's exit code within a pipe, and what was said on stderr."""
    place = line.split(" | ").index(next(part for part in line.split(" | ") if "$G" in part))
    run = " ".join(map(repr, ground.command_line("infer", folder / "identity.safetensors")))
    script = f'gan() {{ {run} "$@"; }}; N={number}; {line.replace("$G", "gan")}; exit ${{PIPESTATUS[{place}]}}'
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=ground.environment(), capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stderr


def signals(trial: Trial) -> Outcome:
    """Ctrl-C and SIGTERM: 130 and 143, quiet, no half file, no process left behind."""
    outcome, rng, weights = Outcome(), trial.random(), ground.identity(trial.folder)
    _photos(trial.folder / "in", 30, 200)
    wanted = ground.gantools("infer", weights, "in", "-o", "whole", folder=trial.folder)
    outcome.case(wanted.code == 0, f"exit {wanted.code}")
    intact = ground.tree(trial.folder / "whole")
    for number in range(trial.count(2, 20)):
        sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
        folder = trial.folder / f"out{number}"
        code, said, orphans = _stopped(weights, folder, sent, rng.randrange(1, 10))
        found = ground.tree(folder)
        whole = all(intact.get(name) == content for name, content in found.items())
        quiet = "Traceback" not in said and len(said.splitlines()) <= 2
        kept = code in (128 + sent, 0) and whole and quiet and not orphans
        outcome.case(kept, f"{sent.name}: exit {code}, whole {whole}, orphans {orphans}: {said[-300:]}")
        outcome.figures[f"last {sent.name}"] = f"exit {code} after {len(found)}"
    return outcome


def _stopped(weights: Path, folder: Path, sent: signal.Signals, results: int) -> tuple[int, str, list[int]]:
    """Send a signal once so many results are there: exit code, stderr, and processes that outlived it."""
    command = ground.command_line("infer", weights, "in", "-o", folder.name)
    process = subprocess.Popen(
        command,
        cwd=folder.parent,
        env=ground.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and _results(folder) < results:
        time.sleep(0.002)
    children = offspring(process.pid)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    return process.returncode, said, _left_behind(children)


def offspring(pid: int) -> list[int]:
    """Processes that a process has started and that run still."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def _left_behind(children: list[int], seconds: float = 5.0) -> list[int]:
    """Those of some processes that still run after a while: to end takes a moment."""
    deadline = time.monotonic() + seconds
    while (left := [child for child in children if _runs(child)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def decoders(trial: Trial) -> Outcome:
    """A decoder that dies or never ends costs one file: the rest is done, and the run ends."""
    outcome, rng, weights = Outcome(), trial.random(), ground.identity(trial.folder)
    _photos(trial.folder / "in", DECODED, 300)
    killers = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)
    lost = 0
    for number in range(trial.count(2, 30)):
        sent = killers[number % len(killers)]
        done = _with_decoder_hit(weights, trial.folder, f"out{number}", sent, rng.uniform(0, 1.0))
        rows = done.rows
        failed = [row for row in rows if row["status"] == "failed"]
        lost += len(failed)
        kept = len(rows) == DECODED and len(failed) <= 1 and done.failed_as_told(len(failed))
        outcome.case(kept, f"{sent.name}: exit {done.code}, {len(rows)} rows, {[row['error'] for row in failed]}")
    outcome.figures["files lost"] = str(lost)
    return outcome


def _with_decoder_hit(weights: Path, folder: Path, output: str, sent: signal.Signals, seconds: float) -> ground.Ended:
    """Run over the folder and send a signal to one decoder a while after it has started."""
    started = time.monotonic()
    line = ground.command_line("infer", weights, "in", "-o", output, "--json", "--timeout", "2")
    process = subprocess.Popen(
        line, cwd=folder, env=ground.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while process.poll() is None and not offspring(process.pid):
        time.sleep(0.01)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError, IndexError):
        os.kill(offspring(process.pid)[0], sent)
    out, err = process.communicate(timeout=ground.PATIENCE_SECONDS)
    return ground.Ended(process.returncode, out, err.decode(), time.monotonic() - started)


CREEP = """
import json, sys
from gantools import infer
from pathlib import Path

def resident_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024

every = int(sys.argv[3])
for number, result in enumerate(infer(sys.argv[1], sys.argv[2], output="out", device="cpu"), 1):
    assert result.status == "done", result.error
    Path(result.output).unlink()
    if number % every == 0:
        print(json.dumps([number, resident_mb()]), flush=True)
"""


def creep(trial: Trial) -> Outcome:
    """Memory over many small pictures: flat."""
    outcome, count, weights = Outcome(), trial.count(200, 5000), ground.identity(trial.folder)
    folder = trial.folder / "in"
    folder.mkdir()
    for number in range(count):
        # Each shape has kernels of its own, which the library keeps; all have been met when the second half begins.
        size = 16 + number % trial.count(4, 48), 16 + number % trial.count(5, 31)
        Image.fromarray(damage.photo(*size, seed=number)).save(folder / f"{number:04d}.png", compress_level=1)
    told = subprocess.run(
        [*ground.PYTHON, "-c", CREEP, weights, folder, str(count // 100)],
        cwd=trial.folder, env=ground.environment(), capture_output=True, timeout=1500, check=True,
    )  # fmt: skip
    samples = np.array([json.loads(line) for line in told.stdout.splitlines()])
    late = samples[len(samples) // 2 :]
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) * 1000
    grown = slope * count / 2000
    # Few pictures say little of a thousand: the short form asks for what would be seen of them in a long one.
    outcome.case(
        len(samples) == 100 and (slope < MB_PER_1000 or (not trial.long and grown < 2)), f"{slope:.2f} MB/1000"
    )
    outcome.figures |= {"MB per 1,000": f"{slope:.2f}", "at the end": f"{late[-1, 1]:.0f} MB", "pictures": str(count)}
    return outcome


ROWS = (
    Row("killed", "kill -9: no half file, --skip-existing ends with the same tree", killed),
    Row("disk", "full, broken, read-only at every event of every write: one picture, one line", disk),
    Row("pipes", "closed, full, early-ending pipes: quiet or one line, the right code", pipes),
    Row("signals", "Ctrl-C and SIGTERM: 130/143, quiet, nothing half, nobody left", signals),
    Row("decoders", "a dead or stopped decoder costs one file", decoders),
    Row("creep", "memory under 1 MB per 1,000 pictures", creep),
)
