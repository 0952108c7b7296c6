"""A run's folder: ``config.yaml``, ``run.json``, ``metrics.jsonl``, ``samples/``, ``checkpoints/``, ``weights/``."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from gantools.errors import UsageError
from gantools.files import remove_stale, write_bytes, write_json


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run. A folder is one run's for good: it is never overwritten."""

    path: Path

    @classmethod
    def create(cls, path: Path, config_yaml: str) -> RunDirectory:
        """Make a new run's folder. Raises UsageError when it already holds something."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"--run-dir {path}: not empty; continue that run with --resume {path}, or name a new folder"
            )
        run = cls(path)
        run.checkpoints.mkdir(parents=True)
        run.samples.mkdir()
        run.weights.mkdir()
        write_bytes(run.config, config_yaml.encode())
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run's folder. Raises UsageError when it is none."""
        run = cls(path)
        if not run.config.is_file():
            raise UsageError(f"{path}: not a run directory (it has no config.yaml)")
        remove_stale(run.checkpoints)
        return run

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def journal(self) -> Path:
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

    def lock(self) -> IO[str]:
        """Hold the run until the file is closed or the process dies. Raises UsageError when another one holds it."""
        stream = (self.path / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            stream.close()
            raise UsageError(f"{self.path}: this run is being trained by {holder}") from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        return stream

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Merge ``facts`` into ``run.json``."""
        path = self.path / "run.json"
        known = json.loads(path.read_bytes()) if path.exists() else {}
        write_json(path, {**known, **facts})


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
