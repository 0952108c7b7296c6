"""Processes to be ill-treated: forked from one that has imported everything, so that each costs milliseconds.

The process that forks must not have differentiated anything (torch forbids that in its children on some devices): a
row's own process only starts others and looks at what they leave.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
import torch._dynamo  # as trying shapes on the meta device does, seconds later in every child

import gantools
from gantools.cli import start

for module in pkgutil.walk_packages(gantools.__path__, "gantools."):
    if module.name != "gantools.__main__":
        importlib.import_module(module.name)
torch.set_num_threads(1)
cv2.setNumThreads(1)

HANG_SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative for a signal, None for one that hung), what it said, how long."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def one_line(self) -> bool:
        """Whether it failed as everything is to fail: with a last line of its own and without a traceback."""
        last = self.err.strip().rpartition("\n")[2]
        return "Traceback" not in self.err and last.lstrip(" \0").startswith(
            "gantools: "
        )  # torch ends its words with a zero byte


class Child:
    """A forked process that does ``work`` and exits with what that returns; its words go to files."""

    def __init__(self, work: Callable[[], int], said: Path) -> None:
        said.parent.mkdir(parents=True, exist_ok=True)
        self._out, self._err = said.with_suffix(".out"), said.with_suffix(".err")
        sys.stdout.flush()
        sys.stderr.flush()
        self._began = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            self._be(work)

    def _be(self, work: Callable[[], int]) -> None:
        code = 99
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a forked process cannot use what its parent has opened
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._out.parent)  # what the killed leave goes with the row
        try:
            for stream, path in ((1, self._out), (2, self._err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            code = work()
        except SystemExit as ended:  # of a signal that came when the command line had answered already
            code = ended.code if isinstance(ended.code, int) else 99
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended already gets none."""
        os.kill(self.pid, number)  # it is not reaped before ``end``, so the number is its own

    def end(self, patience: float = HANG_SECONDS) -> Ended:
        """Wait until it ends. One that does not within ``patience`` seconds is killed: it hung."""
        code: int | None = None
        while time.monotonic() - self._began < patience:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                break
            time.sleep(0.002)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self._began
        return Ended(code, self._out.read_text(errors="replace"), self._err.read_text(errors="replace"), seconds)

    def children(self) -> list[int]:
        """The processes it has started itself."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in text.split()]


def command_line(*arguments: str | Path) -> int:
    """The command line, in this process. Returns its exit code."""
    sys.argv = ["gantools", *map(str, arguments)]
    os.environ["GANTOOLS_DEVICE"] = "cpu"
    try:
        start.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
