"""Processes to be killed, signalled and broken: forked ones, and the command in a process of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-W", "ignore::RuntimeWarning")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
HANG_SECONDS = 900.0
"""After so long a process hangs, on a machine that does other things too."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative for a signal, None after a hang), its output, its time."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def one_line(self) -> bool:
        """Whether it failed with a last line of its own and without a traceback."""
        last = self.err.strip().rpartition("\n")[2]
        return "Traceback" not in self.err and last.lstrip(" \0").startswith("gantools: ")  # torch may end with \0


class Child:
    """A fork of this process that runs ``work`` and exits with its result.

    Where everything is imported a fork costs milliseconds. The parent must not have differentiated anything: torch
    forbids that in forks on some devices. A row's own process therefore only starts others and looks at their files.
    """

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        sys.stdout.flush()
        sys.stderr.flush()
        self._started = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            self._run(work)

    def _run(self, work: Callable[[], int]) -> None:
        code = 99
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a fork cannot use what its parent has opened
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._out.parent)  # the row's folder is removed afterwards
        try:
            for stream, path in ((1, self._out), (2, self._err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            code = work()
        except SystemExit as ended:  # of a signal that came after the command line had answered
            code = ended.code if isinstance(ended.code, int) else 99
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def send(self, number: int) -> None:
        """Send a signal. The process is not reaped before ``end``, so that its id is its own."""
        os.kill(self.pid, number)

    def end(self, limit_seconds: float = HANG_SECONDS) -> Ended:
        """Wait until it ends. One that takes longer than ``limit_seconds`` is killed."""
        code: int | None = None
        while time.monotonic() - self._started < limit_seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                break
            time.sleep(0.002)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self._started
        return Ended(code, self._out.read_text(errors="replace"), self._err.read_text(errors="replace"), seconds)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not been reaped."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended in between
            found += map(int, task.read_text().split())
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def seconds_until_gone(pids: list[int], limit_seconds: float = 60) -> float:
    """How long it takes until none of the processes runs."""
    started = time.monotonic()
    while time.monotonic() - started < limit_seconds and any(map(is_alive, pids)):
        time.sleep(0.01)
    return time.monotonic() - started


def environment() -> dict[str, str]:
    """This process's environment, so that children find the code under test, and ``patched``'s in front of it."""
    paths = [os.environ.get("PYTHONPATH", ""), str(REPOSITORY)]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "GANTOOLS_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


def start(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """Start ``gantools ARGUMENTS`` in ``folder``."""
    command = [*PYTHON, "-m", "gantools", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=pipe, stderr=pipe, text=True, errors="replace"
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait until a started command ends. Raises TimeoutExpired when it hangs."""
    started = time.monotonic()
    out, err = process.communicate(timeout=HANG_SECONDS)
    return Ended(process.returncode, out, err, time.monotonic() - started)


@contextmanager
def patched(folder: Path, source: str) -> Iterator[None]:
    """Within the context every new Python process runs ``source`` before anything else, which breaks one thing."""
    place = folder / "patch"
    place.mkdir()
    (place / "sitecustomize.py").write_text(source, encoding="utf-8")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(place), before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
