"""Rows about files: damaged ones, hostile ones, one among many, and what a file is called."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

from PIL import Image

from gantools.images.io import reader
from tests.faults import damage, ground
from tests.faults.harness import Outcome, Row, Trial

SECONDS_PER_BOMB, MB_PER_BOMB = 1.0, 100


def mutated(trial: Trial) -> Outcome:
    """Damaged pictures of every format: each is done whole or told as failed, and nothing hangs or crashes."""
    outcome, rng, pictures = Outcome(), trial.random(), damage.intact()
    names = []
    (trial.folder / "in").mkdir()
    for number in range(trial.count(60, 3000)):
        suffix, content = damage.mutated(rng, pictures)
        names.append(f"{number:04d}.{suffix}")
        (trial.folder / "in" / names[-1]).write_bytes(content)
    done = ground.gantools("infer", ground.identity(trial.folder), "in", "-o", "out", "--json", folder=trial.folder)
    _compare(outcome, trial.folder, names, done)
    return outcome


def _compare(outcome: Outcome, folder: Path, names: list[str], done: ground.Ended) -> None:
    """One case per picture: a row, and a whole result or a line; and one for the run."""
    rows = {Path(row["input"]).name: row for row in done.rows}
    written = {path.name for path in (folder / "out").iterdir()} if (folder / "out").exists() else set()
    for name in names:
        status = rows[name]["status"] if name in rows else "no row"
        kept = _whole(folder / "out" / name) if status == "done" else status == "failed" and name not in written
        outcome.case(kept, f"{name}: {status}")
    failed = [name for name in names if name in rows and rows[name]["status"] == "failed"]
    outcome.case(done.failed_as_told(len(failed)), f"exit {done.code}, {len(done.failures)} lines: {done.err[-300:]}")
    outcome.figures |= {"failed": str(len(failed)), "lines": str(len(done.failures)), "exit": str(done.code)}


def _whole(path: Path) -> bool:
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
    before, started, told = peak_mb(), time.process_time(), "read"
    try:
        reader.read(path)
    except ImageError as error:
        told = str(error)
    seconds, more_mb = time.process_time() - started, peak_mb() - before
    print(json.dumps([path, seconds, more_mb, told]))
    if seconds > float(limit_seconds) or more_mb > float(limit_mb):
        break
"""


def bombs(trial: Trial) -> Outcome:
    """Small files that promise or unpack to gigabytes: refused at once; where only a text does, read without it."""
    outcome, folder, texts = Outcome(), trial.folder / "in", trial.folder / "texts"
    folder.mkdir()
    texts.mkdir()
    for number, content in enumerate(damage.packed_chunks()):
        (texts / f"{number}.png").write_bytes(content)
    for number, (suffix, content) in enumerate(damage.bombs()):
        (folder / f"{number:02d}.{suffix}").write_bytes(content)
    paths = sorted(map(str, folder.iterdir()))
    read, patience = sorted(map(str, texts.iterdir())), trial.patience(SECONDS_PER_BOMB)
    told = subprocess.run(
        [*ground.PYTHON, "-c", BOMBS, str(patience), str(MB_PER_BOMB), *paths, *read],
        env=ground.environment(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    found = [json.loads(line) for line in told.stdout.splitlines()]
    for path, seconds, more_mb, said in found:
        kept = (said == "read") == (path in read) and seconds < patience and more_mb < MB_PER_BOMB
        outcome.case(kept, f"{path}: {seconds:.2f} s, {more_mb:.0f} MB more, {said}")
    if outcome.broken:
        return outcome  # a run over them would take the machine's memory
    done = ground.gantools("infer", ground.identity(trial.folder), "in", "-o", "out", "--json", folder=trial.folder)
    outcome.case(done.failed_as_told(len(paths)), f"exit {done.code}: {done.err[-300:]}")
    outcome.figures["slowest"] = f"{max(row[1] for row in found):.3f} s"
    outcome.figures["most memory"] = f"{max(row[2] for row in found):.0f} MB"
    return outcome


def one_bad(trial: Trial) -> Outcome:
    """A few unreadable files among many: the rest is done, each bad one has its line and its row."""
    outcome, rng, count = Outcome(), trial.random(), trial.count(40, 3000)
    folder = trial.folder / "in"
    folder.mkdir()
    bad = set(rng.sample(range(count), max(1, count // 500)))
    for number in range(count):
        content = damage.saved(Image.fromarray(damage.photo(16, 16, seed=number)), "PNG")
        (folder / f"{number:04d}.png").write_bytes(content[:-40] if number in bad else content)
    done = ground.gantools("infer", ground.identity(trial.folder), "in", "-o", "out", "--json", folder=trial.folder)
    outcome.case(done.failed_as_told(len(bad)), f"exit {done.code}, {len(done.failures)} lines")
    for number, row in enumerate(done.rows):
        name = f"{number:04d}.png"
        exists = (trial.folder / "out" / name).exists()
        kept = (row["status"], exists) == (("failed", False) if number in bad else ("done", True))
        outcome.case(kept and Path(row["input"]).name == name, f"{name}: {row['status']}")
    outcome.case(len(done.rows) == count, f"{len(done.rows)} rows for {count} files")
    outcome.figures |= {"bad": str(len(bad)), "exit": str(done.code)}
    return outcome


_SPECIAL = (
    b"-rf.png", b"--help.png", b"a\nb.png", b"\x1b[31mred.png", b"\xff\xfe.png", b"caf\xc3\xa9.png", b"caf\xe9.png",
    b"[red]x[red].png", b"%s%n{}.png", b"' \".png", b"$(touch x);`id`.png", b"*?.png", b" .png", b"a\tb\rc.png",
    "\u202egnp.png".encode(), "\u2028line.png".encode(), b"x" * 251 + b".png", "ж".encode() * 125 + b".png",
    b"\\.png", b"~.png", b"#.png", b"CON.png", b"a\x7fb.png", b"\xed\xa0\x80.png", b"=.png",
)  # fmt: skip


def names(trial: Trial) -> Outcome:
    """File names that break programs: the same bytes come out, and a failure is one harmless line."""
    outcome, rng = Outcome(), trial.random()
    wanted = _hostile(rng, trial.count(30, 100))
    content = damage.saved(Image.fromarray(damage.photo(8, 8)), "PNG")
    for folder in (b"in", b"bad"):
        (trial.folder / os.fsdecode(folder)).mkdir()
        for name in wanted:
            path = os.path.join(os.fsencode(trial.folder), folder, name)
            with open(path, "wb") as stream:
                stream.write(content if folder == b"in" else b"no picture")
    weights = ground.identity(trial.folder)
    done = ground.gantools("infer", weights, "in", "-o", "out", folder=trial.folder)
    written = set(os.listdir(os.path.join(os.fsencode(trial.folder), b"out")))
    listed = set(done.out.split(b"\n"))
    for name in wanted:
        told = b"\n" in name or os.path.join(b"out", name) in listed
        outcome.case(name in written and told, f"{name!r}: in the folder {name in written}, told {told}")
    outcome.case(written == wanted and done.code == 0, f"exit {done.code}: {done.err[-300:]}")
    failed = ground.gantools("infer", weights, "bad", "-o", "none", folder=trial.folder)
    for line in failed.err.splitlines():
        outcome.case(line.isprintable(), f"{line!r}")
    outcome.case(len(failed.failures) == len(wanted) and failed.code == 1, f"{len(failed.failures)} lines")
    return outcome


def _hostile(rng: random.Random, count: int) -> set[bytes]:
    """The names above, and random bytes that a file may be called."""
    found = set(_SPECIAL[:count])
    while len(found) < count:
        length = rng.choice((1, 3, 20, 120, 251))
        stem = bytes(rng.choice([byte for byte in range(1, 256) if byte != ord("/")]) for _ in range(length))
        if not stem.startswith(b"."):
            found.add(stem + b".png")
    return found


ROWS = (
    Row("one-bad", "one bad file among many costs itself: its line, its row, exit 3", one_bad),
    Row("mutated", "damaged pictures: 0 crashes, 0 hangs, failures = lines = rows", mutated),
    Row("bombs", "refused, or read without their text, in under a second with at most 100 MB more", bombs),
    Row("names", "hostile names: bytes in = bytes out, one printable line", names),
)
