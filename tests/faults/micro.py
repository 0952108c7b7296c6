"""Trainings of a few steps on a few drawn images, of every recipe, through the command line in forked processes."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pkgutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
import torch._dynamo  # otherwise imported in every fork, which takes seconds
from safetensors import safe_open

import gantools
from gantools import files, recipes
from gantools.checkpoint import state
from gantools.cli import start
from gantools.data.synthetic import drawing
from gantools.images.io import reader
from tests.cli.conftest import SMALL, SMALL_PRESET
from tests.faults.processes import HANG_SECONDS, Child, Ended, is_alive

for module in pkgutil.walk_packages(gantools.__path__, "gantools."):
    if module.name != "gantools.__main__" and not module.name.startswith("gantools.ui."):  # the pages need an extra
        importlib.import_module(module.name)
torch.set_num_threads(1)
cv2.setNumThreads(1)

# One preset of every recipe; together they have BatchNorm, dropout, pools, several stages and adaptive turns.
SPECS = (
    "pix2pix/paper",
    "cyclegan/paper",
    "srgan/mse",
    "context_encoder/center",
    "deblur/fpn",
    "restore/crappify-64",
)
# Eight images, two for validation, batches of two: an epoch is three steps.
IMAGES, EPOCH_STEPS = 8, 3
SHARED = (
    "data.workers=0",
    "data.batch_images=2",
    "data.validation_share=0.25",
    "train.precision=fp32",
    "train.ema_decay=0.9",
    "train.log_every_steps=1",
    "train.preview_every_steps=4",
    "train.validate_every_steps=2",
    "train.checkpoint_every_steps=1",
)
LENGTH = ("stages.adversarial.epochs=null", "stages.adversarial.steps=5")


def nothing() -> None:
    """Prepare nothing."""


def ignore(_event: files.Event, _path: Path) -> None:
    """Observe an event and do nothing."""


@dataclass(frozen=True)
class Micro:
    """A recipe's training: its preset and the folder of its images."""

    spec: str
    data: Path

    def start(self, run: Path, *more: str | Path) -> tuple[str | Path, ...]:
        """The arguments that start it in the folder ``run``."""
        recipe = self.spec.partition("/")[0]
        length = LENGTH if recipe in ("pix2pix", "cyclegan", "context_encoder") else ()
        small = [*SMALL[recipe], *SMALL_PRESET.get(self.spec, [])]
        return ("train", self.spec, "--data", self.data, *SHARED, *small, *length, *more, "--run-dir", run)

    def continue_(self, run: Path, *more: str | Path) -> tuple[str | Path, ...]:
        """What a user types after any fault: resume the run, or start it if it had not begun."""
        return ("train", "--resume", run) if (run / "config.yaml").exists() else self.start(run, *more)


def micro(folder: Path, spec: str = SPECS[0]) -> Micro:
    """A training whose images are drawn below ``folder``."""
    recipe = spec.partition("/")[0]
    data = folder / f"images-{recipe}"
    if not data.exists():
        drawing.draw_dataset(recipes.find(recipe).drawings, data, count=IMAGES, size_px=64, seed=1)
    return Micro(spec, data)


def command_line(*arguments: str | Path) -> int:
    """Run the command line in this process. Returns its exit code."""
    sys.argv = ["gantools", *map(str, arguments)]
    os.environ["GANTOOLS_DEVICE"] = "cpu"
    try:
        start.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def spawn(
    log: Path, *arguments: str | Path, prepare: Callable[[], object] = nothing, observer: files.Observer = ignore
) -> Child:
    """Start the command line in a fork, after ``prepare``; ``observer`` sees its file events."""

    def work() -> int:
        prepare()
        with files.observed(observer):
            return command_line(*arguments)

    return Child(work, log)


def run(
    log: Path, *arguments: str | Path, prepare: Callable[[], object] = nothing, observer: files.Observer = ignore
) -> Ended:
    """``spawn``, to its end."""
    return spawn(log, *arguments, prepare=prepare, observer=observer).end()


def uninterrupted(folder: Path, training: Micro) -> tuple[str, list[tuple[str, str]]]:
    """Train without a fault: the digest of the result, and every file event with its path."""
    log = folder / "events"
    with log.open("w") as stream:

        def write(event: str, path: Path) -> None:
            print(event, path, sep="\t", file=stream, flush=True)

        ended = run(folder / "log" / "whole", *training.start(folder / "whole"), observer=write)
    if ended.code != 0:
        raise RuntimeError(f"the training itself fails: {ended.err}")
    events = [tuple(line.split("\t")) for line in log.read_text().splitlines()]
    return digest(folder / "whole"), [(event, path) for event, path in events]


def at_event(number: int, act: Callable[[str, Path], None]) -> files.Observer:
    """An observer that calls ``act`` at the ``number``-th event."""
    seen = 0

    def observer(event: files.Event, path: Path) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            act(event, path)

    return observer


def wait_for_rows(child: Child, folder: Path) -> None:
    """Wait until a training has logged something, or ended."""
    log, deadline = folder / "metrics.jsonl", time.monotonic() + HANG_SECONDS
    while is_alive(child.pid) and time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
        time.sleep(0.01)


def finishes(training: Micro, folder: Path, wanted: str) -> str | None:
    """Continue as a user would and compare with the uninterrupted training. None if all is well, else what is not."""
    ended = run(folder.with_suffix(".log"), *training.continue_(folder))
    if ended.code != 0:
        return f"cannot be resumed: exit {ended.code}, {ended.err[-300:]}"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "images_per_second" in row]
    if steps != list(range(1, len(steps) + 1)) or len(steps) <= 3:
        return f"log rows of steps {steps}"
    return damaged(folder) or (None if digest(folder) == wanted else "it ends with other weights")


def damaged(folder: Path) -> str | None:
    """The first file under a final name that is not whole, or was left staged."""
    try:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.relative_to(folder).parts[0].startswith(files.STAGED_PREFIX):
                return f"{path} was left"
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix == ".png":
                reader.read_rgb8(path)
            elif path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as stored:
                    stored.keys()
        for saved in state.all_saved(folder / "checkpoints"):
            state.load(saved.folder)
    except Exception as error:
        return f"{path}: {error}"
    return None


def digest(folder: Path) -> str:
    """One number for all that a run has learnt: the newest checkpoint, to the last bit, and the exported weights."""
    newest = state.all_saved(folder / "checkpoints")[-1].folder
    sums = json.loads((newest / state.MANIFEST).read_bytes())["sha256"]
    exported = (folder / "weights" / "last.safetensors").read_bytes()
    values = exported[8 + int.from_bytes(exported[:8], "little") :]  # the header has settings, such as data.workers
    return hashlib.sha256(f"{sums}{hashlib.sha256(values).hexdigest()}".encode()).hexdigest()
