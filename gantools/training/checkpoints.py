"""Checkpoints of a run: when they are due, what is in them, and what happens where one cannot be written."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor

from gantools import files
from gantools.checkpoint import state as storage
from gantools.config.schema import StageOptions
from gantools.errors import TrainingError, UsageError
from gantools.training import rng
from gantools.training.monitor import finite
from gantools.training.progress import Progress
from gantools.training.recipe import Stage
from gantools.training.recorder import Recorder
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.state import TrainState
from gantools.training.step import StageTrainer

MOST_FAILURES = 3


class CheckpointManager:
    """Saves and restores a run: rank 0 writes with every rank's share, all ranks read.

    Each checkpoint has its weights file. A save that fails is reported in one line and tried again when the next one is
    due. After three in a row, or where the run ends with one, TrainingError is raised: steps that nobody can keep are
    not worth computing.
    """

    def __init__(self, state: TrainState, run: RunDirectory, reporter: Reporter) -> None:
        self._state, self._run, self._reporter = state, run, reporter
        self._options, self._ranks = state.config.train, state.runtime.ranks
        self._saved: Progress | None = None
        self._tried_at, self._failures = time.monotonic(), 0

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is due after ``step`` steps: by steps or by rank 0's clock, the same for all ranks."""
        overdue = time.monotonic() - self._tried_at > 60 * self._options.checkpoint_every_minutes
        due = overdue or step % self._options.checkpoint_every_steps == 0
        return bool(self._ranks.all_reduce_max(self._ranks.is_main and due))

    def save(
        self, progress: Progress, trainer: StageTrainer | None, recorder: Recorder, *, final: bool = False
    ) -> None:
        """Write a checkpoint, then its weights: so weights are never newer than the newest checkpoint.

        Where the checkpoint of this step was written already, only a ``final`` save does anything: it writes the
        weights. Raises NonFiniteError, or TrainingError where too many saves failed.
        """
        content = None
        if self._saved != progress:
            recorder.check_finite()
            content = self._content(progress, trainer)
            finite.require(content, progress.step, recorder.last_batch)
            recorder.sync()
        elif not final:
            return
        if self._ranks.broadcast(lambda: self._write(progress.step, content, recorder.save_weights, final=final)):
            self._saved = progress

    def _content(self, progress: Progress, trainer: StageTrainer | None) -> dict[str, Any]:
        """Everything a run continues from. ``peers`` are the random states and image pools of the other ranks."""
        own = {"streams": rng.state(self._state.runtime.device), "extra": self._state.recipe.extra_state()}
        return {
            "position": asdict(progress),
            **self._state.weights(),
            "play": trainer.state() if trainer and progress.stage_step else None,
            "validation": self._state.validation.state(),
            **own,
            "peers": self._ranks.gather(_on_cpu(own))[1:] if self._ranks.world_size > 1 else [],
        }

    def _write(self, step: int, content: Any, save_weights: Callable[[str, int], None], *, final: bool) -> bool:
        """Write ``content``, unless it is None, and the weights. False where that failed and the run may go on."""
        folder = self._run.checkpoints
        self._tried_at = time.monotonic()
        try:
            if content is not None:
                if files.free_bytes(folder) < storage.stored_bytes(content):
                    raise OSError(errno.ENOSPC, "not enough room on the disk")
                storage.save(folder, step, content, self._options.keep_checkpoints)
        except OSError as error:
            needed, free = storage.stored_bytes(content) / 1e6, files.free_bytes(folder) / 1e6
            room = f"('{folder}': {needed:,.1f} MB needed, {free:,.1f} MB free)"
            self._fail(f"checkpoint of step {step} not saved: {error.strerror or error} {room}", final=final)
            return False
        try:
            save_weights("last", step)
        except OSError as error:
            self._fail(f"weights of step {step} not saved: {error.strerror or error}", final=final)
            return False
        self._failures = 0
        return True

    def _fail(self, what: str, *, final: bool) -> None:
        self._failures += 1
        kept = storage.steps(self._run.checkpoints)
        newest = f"the newest checkpoint is of step {kept[-1]}" if kept else "there is no checkpoint yet"
        if final or self._failures >= MOST_FAILURES:
            times = "" if final else f", {self._failures} times in a row"
            raise TrainingError(f"{what}{times}; {newest}; make room, then go on with --resume")
        self._reporter.message(f"{what}; {newest}; training continues")

    def restore(self, open_stage: Callable[[Stage], StageTrainer]) -> tuple[Progress, StageTrainer | None]:
        """Load the newest intact checkpoint: how far the run is, and the stage it is in.

        Raises ModelFileError when there is none, UsageError for another configuration's.
        """
        step, content = self._ranks.broadcast(lambda: storage.newest(self._run.checkpoints))
        try:
            progress, trainer = self._load(content, open_stage)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self._run.path}: step {step} does not fit this configuration ({reason})") from error
        self._saved = progress
        return progress, trainer

    def _load(
        self, content: dict[str, Any], open_stage: Callable[[Stage], StageTrainer]
    ) -> tuple[Progress, StageTrainer | None]:
        state, ranks = self._state, self._ranks
        state.load_weights(content)
        state.validation.load_state(content["validation"])
        progress = Progress(**content["position"])
        numbers = [getattr(progress, field.name) for field in fields(progress)]
        if not all(type(one) is int and one >= 0 for one in numbers) or progress.stage > len(state.stages):
            raise ValueError(f"no position: {numbers}")
        stage = state.stages[min(progress.stage, len(state.stages) - 1)]
        shares = [{"streams": content["streams"], "extra": content["extra"]}, *content["peers"]]
        if len(shares) != ranks.world_size:
            self._report_world_size(len(shares), state.options(stage))
            in_epochs = state.options(stage).steps is None
            progress = progress.for_world_size(len(shares), ranks.world_size, in_epochs=in_epochs)
        trainer = open_stage(stage) if progress.stage_step else None
        if trainer:
            trainer.load_state(content["play"])
        # A rank that was not there before begins with another one's image pools and a random state of its own.
        share = shares[ranks.rank % len(shares)]
        state.recipe.load_extra_state(share["extra"])
        if ranks.rank < len(shares):
            rng.load_state(share["streams"], state.runtime.device)
        else:
            rng.separate_ranks(state.config.seed, ranks.rank, content["position"]["step"])
        return progress, trainer

    def _report_world_size(self, before: int, options: StageOptions[Any]) -> None:
        now, config = self._ranks.world_size, self._state.config
        images = config.data.batch_images * (options.accumulate_batches or config.train.accumulate_batches)
        self._reporter.message(
            f"saved by {before} processes, going on with {now}: a step has {now * images} images, not "
            f"{before * images}; from here on the result is not that of {before} processes"
        )


def _on_cpu(value: Any) -> Any:
    """The same with tensors that another process can open."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(item) for item in value)
    return value
