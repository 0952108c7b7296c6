"""One process per run: a lock that the kernel takes back when its holder ends, however it ends."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from gantools import files
from gantools.errors import UsageError

FILE = "lock"
PATIENCE_SECONDS = 1.0
_held: set[IO[str]] = set()


class Lock:
    """Holds a run's folder from its making until ``release`` or the end of the process.

    Raises UsageError, which names the holder, when another one has it.
    """

    def __init__(self, run: Path) -> None:
        self._stream = (run / FILE).open("a+", encoding="utf-8")
        if not files.lock(self._stream):
            holder = self._holder()
            self._stream.close()
            raise UsageError(f"{run}: this run is being trained by {holder}")
        _held.add(self._stream)
        self._say_who()

    def _say_who(self) -> None:
        self._stream.truncate(0)
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._stream.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n")
        self._stream.flush()

    def _holder(self) -> str:
        """Who has it; the one that just got it may still be about to write that down."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._stream.seek(0)
            said = self._stream.read()
            if said.endswith("\n"):
                return said.strip()
            if time.monotonic() > deadline:
                return "another process"
            time.sleep(0.02)

    def release(self) -> None:
        """Let go; the file stays, for to remove it would let two processes lock two files of one name."""
        _held.discard(self._stream)
        self._stream.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _close_in_child() -> None:
    """A forked worker would hold its parent's lock for as long as it lives."""
    for stream in _held:
        os.close(stream.fileno())
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
