"""What inference guarantees under faults, row by row: ``scripts/faults infer``."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image as PillowImage

from gantools import files, infer
from gantools.checkpoint import weights
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.options import InferOptions
from gantools.models import GENERATORS
from gantools.models.options import CompactRestorationOptions, CompactSROptions, GeneratorOptions
from gantools.training.recipe import describe_generator
from tests.faults import damage, processes
from tests.faults.harness import Outcome, Row, Trial
from tests.faults.processes import ERRORS, Ended

SECONDS_PER_BOMB, MB_PER_BOMB = 1.0, 100
MB_PER_1000 = 1.0


def save_weights(path: Path, options: GeneratorOptions) -> Path:
    """Write the initial weights of a network, the same ones every time."""
    torch.manual_seed(0)
    network = GENERATORS.build(options)
    export = describe_generator("generator", network, options, 64)
    weights.save(path, "demo", {"generator": export}, {"generator": network}, {})
    return path


def identity(folder: Path) -> Path:
    """Weights of a network that returns its input exactly."""
    return save_weights(folder / "identity.safetensors", CompactSROptions(scale=1, channels=4, blocks=1))


def gantools(*arguments: object, folder: Path) -> Ended:
    """Run ``gantools ARGUMENTS`` in ``folder`` to its end."""
    return processes.finish(processes.start(*arguments, folder=folder))


def photos(folder: Path, count: int, side_px: int) -> None:
    folder.mkdir()
    for number in range(count):
        PillowImage.fromarray(damage.photo(side_px, side_px, seed=number)).save(folder / f"{number:04d}.png")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(ended: Ended) -> list[dict[str, Any]]:
    """The results that ``--json`` printed, without the summary."""
    return [row for row in map(json.loads, ended.out.splitlines()) if "summary" not in row]


def reported(ended: Ended, failures: int) -> bool:
    """Whether so many images failed, each with one row and one line, and the exit code says so."""
    lines = [line for line in ended.err.splitlines() if line.startswith(("gantools: '", 'gantools: "'))]
    failed = [row for row in rows(ended) if row["status"] == "failed"]
    code = 0 if not failures else 1 if failures == len(rows(ended)) else 3
    return len(failed) == len(lines) == failures and ended.code == code and "Traceback" not in ended.err


def mutated(trial: Trial) -> Outcome:
    """Damaged images of every format: each is done, and its result complete, or reported; no crash, no hang."""
    outcome, rng, intact = Outcome(), trial.random(), damage.intact()
    folder, cut = trial.folder / "in", damage.saved(PillowImage.fromarray(damage.photo(16, 16)), "PNG")[:-40]
    folder.mkdir()
    unreadable = [f"cut-{number}.png" for number in range(3)]
    for name in unreadable:
        (folder / name).write_bytes(cut)
    for number in range(trial.count(60, 3000)):
        suffix, content = damage.mutated(rng, intact)
        (folder / f"{number:04d}.{suffix}").write_bytes(content)
    names = [path.name for path in folder.iterdir()]
    ended = gantools("infer", identity(trial.folder), "in", "-o", "out", "--json", folder=trial.folder)
    found = {Path(row["input"]).name: row["status"] for row in rows(ended)}
    for name in names:
        path, status = trial.folder / "out" / name, found.get(name)
        kept = _is_whole(path) if status == "done" else status == "failed" and not path.exists()
        outcome.check(kept and (status == "failed" or name not in unreadable), f"{name}: {status}")
    failures = list(found.values()).count("failed")
    outcome.check(reported(ended, failures), f"{failures} failures, exit {ended.code}: {ended.err[-300:]}")
    outcome.numbers["failures"] = str(failures)
    return outcome


def _is_whole(path: Path) -> bool:
    try:
        reader.read(path)
    except Exception:
        return False
    return True


BOMBS = """
import json, sys, time, warnings
from gantools.errors import ImageError
from gantools.images.io import reader
warnings.simplefilter("ignore")

def peak_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

limit_seconds, limit_mb, *paths = sys.argv[1:]
for path in paths:
    before, started, message = peak_mb(), time.process_time(), "read"
    try:
        reader.read(path)
    except ImageError as error:
        message = str(error)
    seconds, more_mb = time.process_time() - started, peak_mb() - before
    print(json.dumps([path, seconds, more_mb, message]))
    if seconds > float(limit_seconds) or more_mb > float(limit_mb):
        break
"""


def bombs(trial: Trial) -> Outcome:
    """Small files that claim or unpack to gigabytes: refused at once; where only a text does, read without it."""
    outcome, limit = Outcome(), trial.limit(SECONDS_PER_BOMB)
    paths: dict[str, list[str]] = {"in": [], "texts": []}
    for folder, suffix, content in damage.bombs():
        path = trial.folder / folder / f"{len(paths[folder]):02d}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        paths[folder].append(str(path))
    every = [*paths["in"], *paths["texts"]]
    command = [*processes.PYTHON, "-c", BOMBS, str(limit), str(MB_PER_BOMB), *every]
    ran = subprocess.run(command, env=processes.environment(), capture_output=True, timeout=600, check=True)
    measured = [json.loads(line) for line in ran.stdout.splitlines()]
    for path, seconds, more_mb, message in measured:
        kept = (message == "read") == (path in paths["texts"]) and seconds < limit and more_mb < MB_PER_BOMB
        outcome.check(kept, f"{path}: {seconds:.2f} s, {more_mb:.0f} MB more, {message}")
    outcome.check(len(measured) == len(every), "the rest was not tried")
    if outcome.failures:
        return outcome  # the command would take the machine's memory
    ended = gantools("infer", identity(trial.folder), "in", "-o", "out", "--json", folder=trial.folder)
    outcome.check(reported(ended, len(paths["in"])), f"exit {ended.code}: {ended.err[-300:]}")
    outcome.numbers["slowest"] = f"{max(row[1] for row in measured):.3f} s"
    outcome.numbers["most memory"] = f"{max(row[2] for row in measured):.0f} MB"
    return outcome


def disk(trial: Trial) -> Outcome:
    """A write that fails at any of its events costs its image, is one line, and leaves nothing behind."""
    outcome, count = Outcome(), trial.count(3, 6)
    photos(trial.folder / "in", count, 40)
    path, options = identity(trial.folder), InferOptions(io_workers=0)
    events: list[files.Event] = []
    with files.observed(lambda event, _path: events.append(event)):
        list(infer(path, trial.folder / "in", options, output=trial.folder / "whole"))
    wanted = tree(trial.folder / "whole")
    for number, error in ((at, each) for at in range(len(events)) for each in ERRORS):
        folder = trial.folder / f"{error}-{number}"
        with files.observed(_failing(number, error)):
            results = list(infer(path, trial.folder / "in", options, output=folder))
        done = {Path(result.input).name for result in results if result.status == "done"}
        messages = [result.error for result in results if result.status == "failed"]
        found = tree(folder)
        complete = len(done) >= count - 1 and all(found.get(name) == wanted[name] for name in done)
        partial = [name for name in found if found[name] != wanted.get(name)]
        one_line = all(message and message.isprintable() for message in messages)
        case = f"{errno.errorcode[error]} at event {number}: {done}, {partial}, {messages}"
        outcome.check(complete and not partial and one_line, case)
    return outcome


def _failing(number: int, error: int) -> files.Observer:
    """Raise an error at the ``number``-th event, counted from 0."""
    seen = iter(range(1 << 30))

    def observer(_event: files.Event, path: Path) -> None:
        if next(seen) == number:
            raise OSError(error, os.strerror(error), str(path))

    return observer


def stopped(trial: Trial) -> Outcome:
    """Killed, Ctrl-C or SIGTERM at random: nothing partial, no process left; ``--skip-existing`` does the rest."""
    outcome, rng, count = Outcome(), trial.random(), 16
    photos(trial.folder / "in", count, 200)
    line = ("infer", identity(trial.folder), "in", "--skip-existing", "-o")
    whole = gantools(*line, "whole", folder=trial.folder)
    wanted = tree(trial.folder / "whole")
    outcome.check(whole.code == 0 and len(wanted) == count, f"exit {whole.code}: {whole.err[-200:]}")
    for number in range(trial.count(3, 60)):
        which, folder = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)[number % 3], trial.folder / f"out{number}"
        process, results = processes.start(*line, folder.name, folder=trial.folder), rng.randrange(count)
        while process.poll() is None and len(list(folder.glob("[0-9]*"))) < results:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        decoders = processes.children(process.pid) if process.poll() is None else []
        process.send_signal(which)
        ended = processes.finish(process)
        found = tree(folder) if folder.exists() else {}
        staged = {name for name in found if name.startswith(files.STAGED_PREFIX)}
        partial = [name for name in found.keys() - staged if found[name] != wanted.get(name)]
        if which == signal.SIGKILL:
            kept = ended.code in (-which, 0)
        else:
            quiet = "Traceback" not in ended.err and len(ended.err.splitlines()) <= 2
            kept = ended.code in (128 + which, -which, 0) and quiet and not staged
        kept &= not partial and processes.seconds_until_gone(decoders, 20) < 20
        outcome.check(kept, f"{which.name} {number}: exit {ended.code}, {partial}, {staged}: {ended.err[-300:]}")
        for name in staged:  # as if the kill had been a while ago
            os.utime(folder / name, (0, 0))
        again = gantools(*line, folder.name, folder=trial.folder)
        outcome.check(again.code == 0 and tree(folder) == wanted, f"{which.name} {number}: then {again.err[-300:]}")
    return outcome


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
    """Memory over many small images is flat."""
    outcome, count, path, folder = Outcome(), trial.count(200, 5000), identity(trial.folder), trial.folder / "in"
    folder.mkdir()
    for number in range(count):
        # Each shape has kernels of its own, which the library keeps; all have been met when the second half begins.
        size = 16 + number % trial.count(4, 48), 16 + number % trial.count(5, 31)
        PillowImage.fromarray(damage.photo(*size, seed=number)).save(folder / f"{number:04d}.png", compress_level=1)
    command = [*processes.PYTHON, "-c", CREEP, path, folder, str(count // 100)]
    own = processes.environment()
    ran = subprocess.run(command, cwd=trial.folder, env=own, capture_output=True, timeout=1500, check=True)
    samples = np.array([json.loads(line) for line in ran.stdout.splitlines()])
    late = samples[len(samples) // 2 :]
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) * 1000
    grown_mb = slope * count / 2000
    # A few images say little about 1,000: the short form allows what a process grows by in any case.
    kept = slope < MB_PER_1000 or (not trial.long and grown_mb < 2)
    outcome.check(len(samples) == 100 and kept, f"{slope:.2f} MB per 1,000")
    outcome.numbers["MB per 1,000"] = f"{slope:.2f}"
    return outcome


@dataclass(frozen=True)
class Large:
    """An image's size, a network, and the MB allowed beside the arrays and what a small image takes."""

    width: int
    height: int
    options: CompactRestorationOptions | CompactSROptions
    scale: int
    allowed_mb: float


RESTORATION = CompactRestorationOptions(channels=(8, 8), scale_blocks=(1, 1))
ENLARGEMENT = CompactSROptions(channels=8, blocks=1, scale=4)
SHORT = (Large(2000, 1500, RESTORATION, 1, 600), Large(600, 400, ENLARGEMENT, 4, 600))
LONG = (Large(12000, 8000, RESTORATION, 1, 1024), Large(6000, 4000, ENLARGEMENT, 4, 1024))


def large(trial: Trial) -> Outcome:
    """The peak memory of a large image: input and output arrays, and 1 GB more than for a small image."""
    outcome = Outcome()
    for case in LONG if trial.long else SHORT:
        name = f"{case.width}x{case.height}"
        path = save_weights(trial.folder / f"{name}.safetensors", case.options)
        writer.save(Image(damage.photo(64, 64)), trial.folder / "small.jpg")
        pixels = cv2.resize(damage.photo(1000, 1000), (case.width, case.height), interpolation=cv2.INTER_LINEAR)
        writer.save(Image(pixels), trial.folder / f"{name}.jpg")
        small_mb, _ = _peak_mb(path, "small.jpg", trial.folder)
        peak_mb, code = _peak_mb(path, f"{name}.jpg", trial.folder)
        arrays_mb = case.width * case.height * 3 * (1 + case.scale**2) / 2**20
        beside_mb = peak_mb - small_mb - arrays_mb
        outcome.check(code == 0 and beside_mb < case.allowed_mb, f"{name}: exit {code}, {beside_mb:.0f} MB more")
        outcome.numbers[f"{name} ×{case.scale}"] = f"arrays {arrays_mb:.0f} + {beside_mb:.0f} MB"
    return outcome


def _peak_mb(path: Path, name: str, folder: Path) -> tuple[float, int]:
    """The peak memory of a run and its decoders, pages that they share counted once, and the exit code."""
    process = processes.start("infer", path, name, "-o", f"out/{name}", "--overwrite", "-q", folder=folder)
    peak_mb = 0.0
    while process.poll() is None:
        own = sum(_status_mb(pid, "RssAnon") for pid in (process.pid, *processes.children(process.pid)))
        peak_mb = max(peak_mb, own + _status_mb(process.pid, "RssShmem") + _status_mb(process.pid, "RssFile"))
        time.sleep(0.01)
    return peak_mb, process.returncode


def _status_mb(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


ROWS = (
    Row("mutated", "damaged images: no crash or hang, failures = lines = rows, complete results", mutated),
    Row("bombs", "refused, or read without their text, in under 1 s with at most 100 MB more", bombs),
    Row("disk", "an error at any event of a write: one image, one line, nothing partial", disk),
    Row("stopped", "killed or signalled: nothing partial, --skip-existing does the rest", stopped),
    Row("creep", "less than 1 MB more per 1,000 images", creep),
    Row("large", "at most the arrays and 1 GB more than for a small image", large),
)
