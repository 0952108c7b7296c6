"""What the rows about inference stand on: weights whose effect is known, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gantools.checkpoint import weights
from gantools.models import GENERATORS
from gantools.models.options import CompactSROptions, GeneratorOptions
from gantools.training.recipe import describe_generator

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-W", "ignore::RuntimeWarning")
PATIENCE_SECONDS = 900
"""After so long a command is said to hang, on a machine that does other things too."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: bytes
    err: str
    seconds: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The results that ``--json`` told, without the summary."""
        return [row for row in map(json.loads, self.out.splitlines()) if "summary" not in row]

    @property
    def failures(self) -> list[str]:
        """The lines that report a picture's failure."""
        told = "gantools: '", 'gantools: "'
        return [line for line in self.err.splitlines() if line.startswith(told)]

    def failed_as_told(self, expected: int) -> bool:
        """Whether ``expected`` pictures failed, each with one row and one line, and the exit code says so."""
        rows = [row for row in self.rows if row["status"] == "failed"]
        code = 0 if not expected else 1 if expected == len(self.rows) else 3
        return len(rows) == len(self.failures) == expected and self.code == code and "Traceback" not in self.err


def save_weights(path: Path, options: GeneratorOptions, mode: Any = "eval") -> Path:
    """Write the fresh weights of a network, the same ones every time."""
    torch.manual_seed(0)
    network = GENERATORS.build(options)
    export = describe_generator("generator", network, options, 64, mode)
    weights.save(path, "demo", {"generator": export}, {"generator": network}, {})
    return path


def identity(folder: Path) -> Path:
    """Weights of a network that returns its input exactly."""
    return save_weights(folder / "identity.safetensors", CompactSROptions(scale=1, channels=4, blocks=1))


def doubling(folder: Path) -> Path:
    """Weights of a network that enlarges bilinearly by two."""
    return save_weights(folder / "doubling.safetensors", CompactSROptions(scale=2, channels=4, blocks=1))


def environment() -> dict[str, str]:
    """This process's environment, so that children find the code under test, and the double in front of it if any."""
    paths = [os.environ.get("PYTHONPATH", ""), str(REPOSITORY)]
    found = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "GANTOOLS_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **found}


def command_line(*arguments: object) -> list[str]:
    """How ``gantools ARGUMENTS`` is started."""
    return [*PYTHON, "-m", "gantools", *map(str, arguments)]


def gantools(*arguments: object, folder: Path, given: bytes = b"") -> Ended:
    """Run ``gantools ARGUMENTS`` in ``folder`` to its end. Raises TimeoutExpired when it hangs."""
    started = time.monotonic()
    done = subprocess.run(
        command_line(*arguments),
        cwd=folder,
        env=environment(),
        input=given,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode(errors="replace"), time.monotonic() - started)


@contextmanager
def double(folder: Path, source: str) -> Iterator[None]:
    """Within the context every child process runs ``source`` before anything else: a product with one thing broken."""
    place = folder / "double"
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


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content, by its name as it is stored."""
    return {
        os.fsdecode(os.path.relpath(path, folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
