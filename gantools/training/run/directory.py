"""A run's folder: ``config.yaml``, ``run.json``, ``metrics.jsonl``, ``samples/``, ``checkpoints/``, ``weights/``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from gantools import files
from gantools.errors import UsageError
from gantools.files import STAGED_PREFIX, remove_stale, write_bytes, write_json

LOCK_FILE = "lock"
PATIENCE_SECONDS = 1.0
_held: set[IO[str]] = set()


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run. A folder is one run's for good: it is never overwritten."""

    path: Path

    def claim(self) -> RunLock:
        """Make a new run's folder and hold it. Raises UsageError when it holds something, or another process has it."""
        self.require_unused()
        self.path.mkdir(parents=True, exist_ok=True)
        held = RunLock(self.path)
        if not self._is_unused():  # whoever had it until now has used it
            held.release()
            self.require_unused()
        return held

    def _is_unused(self) -> bool:
        """Whether it holds no more than what a start that was killed before it wrote anything may have left."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = [path.name for path in self.path.iterdir()]
        return all(name == LOCK_FILE or name.startswith(STAGED_PREFIX) for name in names)

    def require_unused(self) -> None:
        """Raise UsageError when the folder holds something, or another process has it."""
        if not self._is_unused():
            if (self.path / LOCK_FILE).is_file():
                self.lock().release()  # who is training it is more worth knowing than that it is not empty
            raise UsageError(
                f"--run-dir {self.path}: not empty; continue that run with --resume {self.path}, or name a new folder"
            )

    def begin(self, config_yaml: str) -> None:
        """Write down what is about to be trained; from here on the run can be resumed."""
        write_bytes(self.config, config_yaml.encode())
        self.tidy()

    def tidy(self) -> None:
        """Make the folders that are missing and remove what a killed process left. Only for who holds the run."""
        for folder in (self.path, self.checkpoints, self.samples, self.weights):
            folder.mkdir(parents=True, exist_ok=True)
            remove_stale(folder)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run's folder. Raises UsageError when it is none."""
        run = cls(path)
        if not run.config.is_file():
            raise UsageError(f"'{path}': not a run directory (it has no config.yaml)")
        return run

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.path / "weights"

    def lock(self) -> RunLock:
        """Hold the run. Raises UsageError, naming the holder, when another process has it."""
        return RunLock(self.path)

    def interrupt(self) -> int:
        """Ask the process that trains the run to stop, as Ctrl-C does: it saves first. Its number.

        Raises UsageError where no process trains the run, or one of another computer does.
        """
        try:
            with (self.path / LOCK_FILE).open("rb") as stream:
                is_free, holder = files.lock(stream, shared=True), stream.read().decode(errors="replace").strip()
        except OSError:
            is_free, holder = True, ""
        if is_free:
            raise UsageError(f"'{self.path}': nothing trains this run")
        found = re.match(r"process ([0-9]+) on (\S+) since ", holder)
        if found is None or found[2] != socket.gethostname():
            raise UsageError(f"'{self.path}': is trained by {holder or 'another process'}; stop it there")
        os.kill(int(found[1]), signal.SIGINT)
        return int(found[1])

    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``; nothing where a kill came before it was written."""
        path = self.path / "run.json"
        content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return content

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Merge ``facts`` into ``run.json``."""
        write_json(self.path / "run.json", {**self.facts(), **facts})


def default_path(recipe: str) -> Path:
    """``runs/<recipe>/<UTC time>``."""
    return Path("runs") / recipe / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def environment(device: str, precision: str) -> dict[str, Any]:
    """What a run was computed with: versions, device, command line."""
    packages = ("gantools", "torch", "torchvision", "numpy", "opencv-python-headless")
    return {
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in packages},
        "device": device,
        "precision": precision,
    }


# --- the lock


class RunLock:
    """One process per run: held from its making until ``release``; the kernel takes it back when the process ends.

    Raises UsageError, which names the holder, when another process has it.
    """

    def __init__(self, run: Path) -> None:
        self._stream = (run / LOCK_FILE).open("a+", encoding="utf-8")
        if not files.lock(self._stream):
            holder = self._holder()
            self._stream.close()
            raise UsageError(f"'{run}': this run is being trained by {holder}")
        _held.add(self._stream)
        self._stream.truncate(0)
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._stream.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n")
        self._stream.flush()

    def _holder(self) -> str:
        """Who has it; the one that just got it may still be about to write that down."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._stream.seek(0)
            text = self._stream.read()
            if text.endswith("\n"):
                return text.strip()
            if time.monotonic() > deadline:
                return "another process"
            time.sleep(0.02)

    def release(self) -> None:
        """Let go; the file stays, for to remove it would let two processes lock two files of one name."""
        _held.discard(self._stream)
        self._stream.close()

    def __enter__(self) -> RunLock:
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
