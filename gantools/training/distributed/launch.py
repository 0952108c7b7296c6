"""``--nproc``: this command line as several processes, started and ended by torch's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, start_processes
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from gantools.cores import usable_cores
from gantools.errors import GantoolsError, UsageError
from gantools.training.distributed.rank_info import LAUNCHED

HOST = "127.0.0.1"
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
POLL_SECONDS = 0.1
SAVE_SECONDS = 600
"""How long after a signal the ranks may take to finish their step and save."""


def launch(count: int, arguments: Sequence[str]) -> tuple[int, str | None]:
    """Run ``gantools`` with ``arguments`` as ``count`` ranks; the exit code, and the line of the rank that failed.

    Signals are passed on to the ranks, which save and stop; a second one ends them at once.
    Raises UsageError on Windows, GantoolsError without a loopback interface.
    """
    if sys.platform == "win32":
        raise UsageError("--nproc: several processes train together on Linux and macOS; on Windows, use WSL2")
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the ranks report for themselves
    try:
        with tempfile.TemporaryDirectory(prefix="gantools-ranks-") as folder:
            return outcome(*_run(count, arguments, folder))
    except SignalException as second:
        return 128 + int(second.sigval), None


def _run(count: int, arguments: Sequence[str], folder: str) -> tuple[Sequence[ProcessFailure], int]:
    """The failures of the ranks, and the signal that stopped them, or 0. Raises SignalException for a second one."""
    port = free_port()
    ranks = start_processes(
        "gantools",
        sys.executable,
        args=dict.fromkeys(range(count), ("-m", "gantools", *arguments)),
        envs={rank: {**environment(rank, count, port), LAUNCHED: "1"} for rank in range(count)},
        logs_specs=DefaultLogsSpecs(folder),
    )
    received = 0
    try:
        result = ranks.wait(period=POLL_SECONDS)
    except SignalException as stop:
        received = int(stop.sigval)
        try:
            ranks.close(stop.sigval, timeout=SAVE_SECONDS)
        except SignalException:
            ranks.close(signal.SIGKILL)
            raise
        result = ranks.wait(0)
    return list(result.failures.values()) if result else [], received


def outcome(failures: Sequence[ProcessFailure], received: int = 0) -> tuple[int, str | None]:
    """The exit code of several ranks, and the line of the one that failed first; none after ``received``, a signal."""
    stopped = {128 + received, -received} if received else {128 + signal.SIGTERM, -signal.SIGTERM}
    failed = [each for each in failures if each.exitcode not in stopped]
    if not failed:
        return 128 + (received or signal.SIGTERM) if failures else 0, None
    # A rank that was killed comes first: the errors of the others only say that it is gone.
    first = min(failed, key=lambda each: (each.exitcode > 0, each.timestamp, each.local_rank))
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        killed = f"rank {first.local_rank} (process {first.pid}) was killed by {name}"
        return 1, f"{killed}; go on from the newest checkpoint with --resume"
    message = first.error_file_data["message"]
    if isinstance(message, dict):
        return first.exitcode, message["message"]
    # torch has words of its own for a rank that left none; one that a signal stopped has nothing to report.
    return first.exitcode, None if first.exitcode > 128 else f"rank {first.local_rank} ended with {first.exitcode}"


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """``torchrun``'s variables for ``rank`` of ``count`` on this computer, which meet at ``port``."""
    shared = {"OMP_NUM_THREADS": str(max(1, usable_cores() // count))}
    if sys.platform in LOOPBACK:
        shared["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    return {
        **{name: os.environ.get(name, value) for name, value in shared.items()},
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
    }


def free_port() -> int:
    """A free port of the loopback interface. Raises GantoolsError where the interface is down."""
    try:
        with socket.create_server((HOST, 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
            port: int = server.getsockname()[1]
    except OSError as error:
        raise GantoolsError(
            f"--nproc: the processes cannot reach each other at {HOST} ({error.strerror or error}); bring the loopback "
            "interface up (ip link set lo up), or train with one process"
        ) from error
    return port
