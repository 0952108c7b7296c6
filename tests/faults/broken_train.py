"""Break one mechanism that keeps a training's work at a time: its row must fail, or the row shows nothing.

python -m tests.faults.broken_train [NAME…]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gantools import files
from gantools.checkpoint import state
from gantools.recipes.cyclegan import CycleGan
from gantools.training import rng
from gantools.training.checkpoints import CheckpointManager
from gantools.training.ema import MovingAverage
from gantools.training.monitor import finite, health
from gantools.training.monitor.health import WeightUpdateRatio
from gantools.training.run import metrics_log
from gantools.training.step import StageTrainer
from tests.faults import resumes, saves, trainings
from tests.faults.harness import Outcome, Trial
from tests.faults.processes import Child

save, load_trainer = state.save, StageTrainer.load_state


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    """No staging and no rename: the final name from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path


def manifest_first(checkpoints: Path, step: int, content: Any, keep: int) -> Path:
    """The manifest is written, and the folder named, before what it lists."""
    with tempfile.TemporaryDirectory() as elsewhere:
        made = save(Path(elsewhere), step, content, keep)
        folder = checkpoints / made.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in (state.MANIFEST, state.TREE, state.TENSORS):
            with files.new_file(folder / name) as stream:
                stream.write((made / name).read_bytes())
    return folder


def old_one_removed_first(checkpoints: Path, step: int, content: Any, keep: int) -> Path:
    for saved in state.all_saved(checkpoints):
        files.remove_folder(saved.folder)
    return save(checkpoints, step, content, keep)


def swallowed_error(
    checkpoints: CheckpointManager, step: int, content: Any, save_weights: Callable[[str, int], None], *, final: bool
) -> bool:
    """A save that failed counts as one that did not."""
    with suppress(OSError):
        state.save(checkpoints._run.checkpoints, step, content, checkpoints._options.keep_checkpoints)
    with suppress(OSError):
        save_weights("last", step)
    return True


def without_optimizers(trainer: StageTrainer, content: Any) -> None:
    own = {name: optimizer.state_dict() for name, optimizer in trainer.optimizers.items()}
    load_trainer(trainer, {**content, "optimizers": own})


def no_checksum(path: Path) -> str:
    return state._read_manifest(path.parent)[path.name]


# What is replaced by what, and the row that must fail.
pix2pix = partial(resumes.resumed, specs=("pix2pix/paper",))
cyclegan = partial(resumes.resumed, specs=("cyclegan/paper",))
collapse = partial(resumes.collapse, specs=("pix2pix/paper",))
VARIANTS: dict[str, tuple[Callable[[Trial], Outcome], Any, str, Any]] = {
    "no-rename": (saves.killed_saves, files, "_staged", in_place),
    "manifest-first": (saves.killed_saves, state, "save", manifest_first),
    "old-one-removed-first": (saves.killed_saves, state, "save", old_one_removed_first),
    "no-fsync": (saves.order, files.NewFile, "close", lambda stream: (stream._flush(), stream.abandon())),
    "no-checksum": (saves.mutations, state, "sha256", no_checksum),
    "swallowed-error": (trainings.failed_writes, CheckpointManager, "_write", swallowed_error),
    "log-not-rewound": (trainings.killed_trainings, metrics_log, "rewind", lambda path, step: None),
    "optimizers-dropped": (pix2pix, StageTrainer, "load_state", without_optimizers),
    "average-dropped": (pix2pix, MovingAverage, "load_state", lambda average, content: None),
    "random-states-dropped": (pix2pix, rng, "load_state", lambda content, device: None),
    "pool-dropped": (cyclegan, CycleGan, "load_extra_state", lambda recipe, content: None),
    "not-numbers-saved": (resumes.not_numbers, finite, "non_finite", lambda content, path="": iter(())),
    "movement-unmeasured": (collapse, WeightUpdateRatio, "mark", lambda movement: None),
    "threshold-lost": (collapse, health, "MOVED_ABOVE", 0.0),
}


def fails(name: str, folder: Path) -> bool:
    """Whether the row of a variant, tried in a process that is broken in this way, fails."""
    row, owner, attribute, replacement = VARIANTS[name]

    def attempt() -> int:
        setattr(owner, attribute, replacement)
        (folder / name).mkdir(parents=True)
        outcome = row(Trial(folder / name))
        print("\n".join(outcome.failures[:3])[:600])
        return 1 if outcome.failures else 0

    ended = Child(attempt, folder / "log" / name).end()
    print(f"{'fails  ' if ended.code == 1 else 'UNNOTICED'} {name}: {(ended.out + ended.err)[:300]}", flush=True)
    return ended.code == 1


def main() -> int:
    """Try the named variants, or all; 1 when one of them is not noticed."""
    with tempfile.TemporaryDirectory(prefix="gantools-broken-") as folder:
        noticed = [fails(name, Path(folder)) for name in sys.argv[1:] or VARIANTS]
    return 0 if all(noticed) else 1


if __name__ == "__main__":
    sys.exit(main())
