"""A run's folder: ``config.yaml``, ``run.json``, ``metrics.jsonl``, ``samples/``, ``checkpoints/``, ``weights/``."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gantools.errors import UsageError
from gantools.files import STAGED_PREFIX, remove_stale, write_bytes, write_json
from gantools.training.run import lock


@dataclass(frozen=True)
class RunDirectory:
    """Paths of a run. A folder is one run's for good: it is never overwritten."""

    path: Path

    def claim(self) -> lock.Lock:
        """Make a new run's folder and hold it. Raises UsageError when it holds something, or another process has it."""
        self._require_unused()
        self.path.mkdir(parents=True, exist_ok=True)
        held = lock.Lock(self.path)
        if not self._is_unused():  # whoever had it until now has used it
            held.release()
            self._require_unused()
        return held

    def _is_unused(self) -> bool:
        return not self.path.exists() or (self.path.is_dir() and all(map(_is_scaffolding, self.path.iterdir())))

    def _require_unused(self) -> None:
        if not self._is_unused():
            if (self.path / lock.FILE).is_file():
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
            raise UsageError(f"{path}: not a run directory (it has no config.yaml)")
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

    def lock(self) -> lock.Lock:
        """Hold the run. Raises UsageError, naming the holder, when another process has it."""
        return lock.Lock(self.path)

    def facts(self) -> dict[str, Any]:
        """What ``run.json`` says; nothing where a kill came before it was written."""
        path = self.path / "run.json"
        known: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return known

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Merge ``facts`` into ``run.json``."""
        write_json(self.path / "run.json", {**self.facts(), **facts})


def _is_scaffolding(path: Path) -> bool:
    """Whether a start that was killed before it wrote anything may have left this."""
    return path.name == lock.FILE or path.name.startswith(STAGED_PREFIX)


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
