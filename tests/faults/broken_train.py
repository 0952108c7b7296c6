"""Small broken variants of what keeps a training's work: each must turn its row red, else the row shows nothing.

python -m tests.faults.broken_train [NAME…]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantools import files
from gantools.checkpoint import state
from gantools.data.loading import sampler
from gantools.recipes.cyclegan import CycleGan
from gantools.training import rng
from gantools.training.checkpoints import CheckpointManager
from gantools.training.ema import MovingAverage
from gantools.training.monitor import finite, health
from gantools.training.monitor.health import WeightUpdateRatio
from gantools.training.run import metrics_log
from gantools.training.step import StageTrainer
from tests.faults import collapse, datasets, resumes, saves, trainings
from tests.faults.harness import Outcome, Trial
from tests.faults.offspring import Child


@dataclass(frozen=True)
class Broken:
    """A variant: the row it must turn red, and what breaks it."""

    row: Callable[[Trial], Outcome]
    damage: Callable[[], object]


def _set(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """No staging and no rename: the final name from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path


def _manifest_first(checkpoints: Path, step: int, content: Any, keep: int) -> Path:
    """The manifest is written, and the folder named, before what it vouches for."""
    with tempfile.TemporaryDirectory() as elsewhere:
        made = _honest_save(Path(elsewhere), step, content, keep)
        folder = checkpoints / made.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in (state.MANIFEST, state.TREE, state.TENSORS):
            with files.new_file(folder / name) as stream:
                stream.write((made / name).read_bytes())
    return folder


_honest_save = state.save


def _swallowing(
    checkpoints: CheckpointManager, step: int, content: Any, save_weights: Callable[[str, int], None], *, final: bool
) -> bool:
    """A save that failed counts as one that did not."""
    with suppress(OSError):
        state.save(checkpoints._run.checkpoints, step, content, checkpoints._options.keep_checkpoints)
    with suppress(OSError):
        save_weights("last", step)
    return True


def _without(method: Callable[..., dict[str, Any]], **dropped: Any) -> Callable[..., dict[str, Any]]:
    """A ``state`` method whose result lacks what it should hold."""
    return lambda self: {**method(self), **dropped}


def _forgetful_pool(recipe: CycleGan, content: Any) -> None:
    """The pool begins anew."""


def of(spec: str) -> Callable[[Trial], Outcome]:
    """The row about resuming, with one recipe."""
    return lambda trial: resumes.resumed(trial, (spec,))


def collapsing(trial: Trial) -> Outcome:
    """The row about learning rates that are far too high, with one recipe."""
    return collapse.flagged(trial, collapse.SHORT_SPECS[:1])


VARIANTS: dict[str, Broken] = {
    "no-rename": Broken(saves.killed_saves, _set(files, "_staged", _in_place)),
    "no-fsync": Broken(saves.order, _set(files.NewFile, "close", lambda stream: (stream._flush(), stream.abandon()))),
    "manifest-first": Broken(saves.killed_saves, _set(state, "save", _manifest_first)),
    "old-one-removed-first": Broken(saves.killed_saves, lambda: _remove_first()),
    "no-checksum": Broken(
        saves.mutations, _set(state, "sha256", lambda path: state._read_manifest(path.parent)[path.name])
    ),
    "swallowed-error": Broken(trainings.failed_writes, _set(CheckpointManager, "_write", _swallowing)),
    "journal-not-rewound": Broken(trainings.killed_at_events, _set(metrics_log, "rewind", lambda path, step: None)),
    "optimizer-dropped": Broken(of("pix2pix/paper"), lambda: _forget_optimizers()),
    "pool-dropped": Broken(of("cyclegan/paper"), _set(CycleGan, "load_extra_state", _forgetful_pool)),
    "average-dropped": Broken(of("pix2pix/paper"), _set(MovingAverage, "load_state", lambda average, content: None)),
    "streams-dropped": Broken(of("pix2pix/paper"), _set(rng, "load_state", lambda content, device: None)),
    "not-numbers-saved": Broken(resumes.not_numbers, _set(finite, "non_finite", lambda content, path="": iter(()))),
    "workers-alike": Broken(datasets.augmentation, _set(sampler, "sample_rng", lambda *key: _by_process())),
    "movement-unmeasured": Broken(collapsing, _set(WeightUpdateRatio, "mark", lambda movement: None)),
    "threshold-lost": Broken(collapsing, _set(health, "MOVED_ABOVE", 0.0)),
}


def _remove_first() -> None:
    def save(checkpoints: Path, step: int, content: Any, keep: int) -> Path:
        for saved in state.all_saved(checkpoints):
            files.remove_folder(saved.folder)
        return _honest_save(checkpoints, step, content, keep)

    state.save = save


def _forget_optimizers() -> None:
    honest = StageTrainer.load_state

    def load(play: StageTrainer, content: Any) -> None:
        own = {name: optimizer.state_dict() for name, optimizer in play.optimizers.items()}
        honest(play, {**content, "optimizers": own})

    StageTrainer.load_state = load  # type: ignore[method-assign]


def _by_process() -> Any:
    import numpy as np

    return np.random.default_rng(os.getpid())


def is_red(name: str, folder: Path) -> bool:
    """Whether the row of a variant, tried in a process that is broken in this way, says so."""
    broken = VARIANTS[name]

    def attempt() -> int:
        broken.damage()
        (folder / name).mkdir(parents=True)
        outcome = broken.row(Trial(folder / name))
        print("\n".join(outcome.broken[:3])[:600])
        return 1 if outcome.broken else 0

    ended = Child(attempt, folder / "said" / name).end()
    print(f"{'red  ' if ended.code == 1 else 'NOT RED'} {name}: {(ended.out + ended.err)[:300]}", flush=True)
    return ended.code == 1


def main() -> int:
    """Try the variants that are named, or all; 1 when one of them is not noticed."""
    with tempfile.TemporaryDirectory(prefix="gantools-broken-") as folder:
        noticed = [is_red(name, Path(folder)) for name in sys.argv[1:] or VARIANTS]
    return 0 if all(noticed) else 1


if __name__ == "__main__":
    sys.exit(main())
