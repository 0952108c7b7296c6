"""Trainings of a few steps on a few drawn pictures, of every recipe, through the command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gantools import files, recipes
from gantools.checkpoint import state
from gantools.data.synthetic import drawing
from tests.cli.conftest import SMALL, SMALL_PRESET
from tests.faults.offspring import Child, Ended, command_line

# One preset of every recipe; together they have BatchNorm, dropout, pools, several stages and adaptive turns.
SPECS = (
    "pix2pix/paper",
    "cyclegan/paper",
    "srgan/mse",
    "context_encoder/center",
    "deblur/fpn",
    "restore/crappify-64",
)
# Eight pictures, two held out, two in a batch: an epoch is three steps.
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
PICTURES, EPOCH_STEPS = 8, 3
LENGTH = ("stages.adversarial.epochs=null", "stages.adversarial.steps=5")


def nothing() -> None:
    """Prepare nothing."""


def unmoved(_event: files.Event, _path: Path) -> None:
    """See an event and let it be."""


@dataclass(frozen=True)
class Micro:
    """One recipe's training: what is typed, and where its pictures are."""

    spec: str
    data: Path

    def start(self, run: Path, *more: str | Path) -> tuple[str | Path, ...]:
        """The arguments that begin it in the folder ``run``."""
        return (*self.typed(*more), "--run-dir", run)

    def typed(self, *more: str | Path) -> tuple[str | Path, ...]:
        """``start`` without the folder of the run."""
        recipe = self.spec.partition("/")[0]
        single = LENGTH if recipe in ("pix2pix", "cyclegan", "context_encoder") else ()
        small = [*SMALL[recipe], *SMALL_PRESET.get(self.spec, [])]
        return ("train", self.spec, "--data", self.data, *SHARED, *small, *single, *more)


def micro(folder: Path, spec: str = SPECS[0]) -> Micro:
    """A training whose pictures are drawn below ``folder``."""
    recipe = spec.partition("/")[0]
    data = folder / f"pictures-{recipe}"
    if not data.exists():
        drawing.draw_dataset(recipes.find(recipe).drawings, data, count=PICTURES, size_px=64, seed=1)
    return Micro(spec, data)


def spawn(
    said: Path, *arguments: str | Path, prepare: Callable[[], object] = nothing, watch: files.Observer = unmoved
) -> Child:
    """The command line in a process of its own, after ``prepare``; ``watch`` sees its file events."""

    def work() -> int:
        prepare()
        with files.observed(watch):
            return command_line(*arguments)

    return Child(work, said)


def run(
    said: Path, *arguments: str | Path, prepare: Callable[[], object] = nothing, watch: files.Observer = unmoved
) -> Ended:
    """``spawn``, to its end."""
    return spawn(said, *arguments, prepare=prepare, watch=watch).end()


def go_on(training: Micro, folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    """What a user types after any fault: resume what there is, or begin where nothing had been begun."""
    return ("train", "--resume", folder) if (folder / "config.yaml").exists() else training.start(folder, *more)


def digest(folder: Path) -> str:
    """One number for all that a run has learnt: the newest checkpoint, to the last bit, and the exported weights."""
    newest = state.all_saved(folder / "checkpoints")[-1].folder
    sums = json.loads((newest / state.MANIFEST).read_bytes())["sha256"]
    exported = (folder / "weights" / "last.safetensors").read_bytes()
    values = exported[8 + int.from_bytes(exported[:8], "little") :]  # the header has the settings, as data.workers
    return hashlib.sha256(f"{sums}{hashlib.sha256(values).hexdigest()}".encode()).hexdigest()
