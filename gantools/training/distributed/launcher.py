"""Starts the processes of ``--nproc``, hands them what is asked of it, and ends them all when one ends badly.

Nothing here needs torch. What ``torchrun`` writes into the environment is written here too, so that a rank need not
know who started it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from gantools.data.loading.workers import available_cores
from gantools.errors import GantoolsError, UsageError
from gantools.training.distributed import rank_process
from gantools.training.interruptions import NOTED

# Long enough to end in good order after a peer's failure, short enough that a dead run is not mistaken for a slow one.
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.05
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}
HERE = "127.0.0.1"
FORWARDED = NOTED


@dataclass(frozen=True)
class Ended:
    """How the ranks ended: the exit code of the first that failed, and its line, where there is anything to say."""

    code: int
    line: str | None = None


def launch(count: int, arguments: Sequence[str]) -> Ended:
    """Run ``gantools`` with ``arguments`` as ``count`` ranks on this computer.

    Raises UsageError on Windows, GantoolsError without a loopback interface.
    """
    if sys.platform == "win32":
        raise UsageError("--nproc: several processes train together on Linux and macOS; on Windows, use WSL2")
    require_loopback()
    with tempfile.TemporaryDirectory(prefix="gantools-ranks-") as folder:
        crew = _Crew(count, arguments, Path(folder))
        with _forwarding(crew):
            crew.wait()
        return crew.ended()


class _Crew:
    """The ranks' processes. They notice the end of the launcher by a pipe that only it can write to."""

    def __init__(self, count: int, arguments: Sequence[str], folder: Path) -> None:
        self._words = [folder / f"rank-{rank}.json" for rank in range(count)]
        self._sent: set[int] = set()
        self._failed: list[int] = []
        port, (read_end, self._write_end) = free_port(), os.pipe()
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "gantools", *arguments],
                env={
                    **environment(rank, count, port),
                    rank_process.WORD: str(self._words[rank]),
                    rank_process.PIPE: str(read_end),
                },
                stdin=subprocess.DEVNULL,
                pass_fds=(read_end,),
                start_new_session=True,  # so that Ctrl-C comes once, from here
            )
            for rank in range(count)
        ]
        os.close(read_end)

    def wait(self) -> None:
        """Return when every rank has ended; where one fails, the others have ``GRACE_SECONDS``."""
        deadline = float("inf")
        while self._note_ended():
            if self._failed and deadline == float("inf"):
                deadline = time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        os.close(self._write_end)

    def _note_ended(self) -> bool:
        """Whether some still run; those that failed are noted in the order in which it was seen."""
        codes = [process.poll() for process in self._processes]
        self._failed += [rank for rank, code in enumerate(codes) if code and rank not in self._failed]
        return None in codes

    def send(self, number: int) -> None:
        """Send every rank that still runs a signal."""
        self._sent.add(number)
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def ended(self) -> Ended:
        """How the first one that failed did so, by its own word or by that of the kernel."""
        if not self._failed:
            return Ended(0)
        codes = [process.returncode for process in self._processes]
        words = {rank: word for rank, path in enumerate(self._words) if (word := rank_process.read_word(path))}
        killed = [rank for rank in self._failed if codes[rank] < 0 and -codes[rank] not in self._sent]
        first = min(words, key=words.__getitem__, default=None)
        if killed and (first is None or words[first].follows):
            name, process = signal.Signals(-codes[killed[0]]).name, self._processes[killed[0]].pid
            end = f"rank {killed[0]} (process {process}) was killed by {name}"
            return Ended(1, f"{end}; go on from the newest checkpoint with --resume")
        if first is not None:
            return Ended(max(codes[first], 1), words[first].line)
        return without_word(self._failed[0], codes[self._failed[0]])


def without_word(rank: int, code: int) -> Ended:
    """A rank that was asked to end, and one that has shown a traceback."""
    if code < 0:
        return Ended(128 - code)
    return Ended(code, None if code > 128 else f"rank {rank} ended with code {code}")


@contextmanager
def _forwarding(crew: _Crew) -> Iterator[None]:
    """Within the context signals to this process are handed on to the ranks, which save before they end."""

    def forward(number: int, _frame: FrameType | None) -> None:
        crew.send(number)

    previous = {
        number: signal.signal(number, forward) for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """This process's environment with a place among ``count`` ranks of this computer that meet at ``port``."""
    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
    }
    shared = {"OMP_NUM_THREADS": str(max(1, available_cores() // count))}
    if sys.platform in _LOOPBACK:
        shared["GLOO_SOCKET_IFNAME"] = _LOOPBACK[sys.platform]
    return {**shared, **os.environ, **own}


def require_loopback() -> None:
    """Raise GantoolsError where processes of this computer cannot reach each other: the loopback interface is down."""
    try:
        with socket.create_server((HERE, 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
            pass
    except OSError as error:
        raise GantoolsError(
            f"--nproc: the processes cannot reach each other at {HERE} ({error.strerror or error}); bring the loopback "
            "interface up (ip link set lo up), or train with one process"
        ) from error


def free_port() -> int:
    """A port of this computer that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port: int = probe.getsockname()[1]
    return port
