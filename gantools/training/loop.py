"""The training loop: every mechanism of a run, written once for all recipes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from gantools.config.schema import StageOptions
from gantools.errors import GantoolsError, NonFiniteError, PeerError
from gantools.training import rng
from gantools.training.checkpoints import CheckpointManager
from gantools.training.device.loader import DeviceLoader
from gantools.training.monitor import finite
from gantools.training.monitor.health import Health
from gantools.training.progress import Progress
from gantools.training.recipe import Stage, StepInfo
from gantools.training.recorder import LogWindow, Recorder
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.state import RunSpec, TrainState
from gantools.training.step import StageTrainer
from gantools.training.stopping import Ending, Limits, Stopping

FINITE = "whether losses and weights are finite"


class Loop:
    """Trains a recipe in a run directory. ``fit`` returns how it ended; ``signal`` holds the signal that ended it."""

    def __init__(self, spec: RunSpec, run: RunDirectory, reporter: Reporter) -> None:
        self.state, self.config, self.options = TrainState(spec), spec.config, spec.config.train
        self.data, self.run, self.reporter = spec.training, run, reporter
        self.ranks = spec.runtime.ranks
        self.checkpoints = CheckpointManager(self.state, run, reporter)
        self.health = Health(spec.recipe.monitored_pairs, self._warn, self.state.networks)
        self.progress = Progress()
        self.trainer: StageTrainer | None = None
        self.ending: Ending = "finished"
        self.signal: int | None = None

    def restore(self) -> None:
        """Load the newest intact checkpoint. Raises ModelFileError when there is none, UsageError for another
        configuration's.
        """
        self.progress, self.trainer = self.checkpoints.restore(self._open)

    def fit(self, limits: Limits) -> Ending:
        """Train the stages from the present step on."""
        with self._session(limits) as stopping:
            for stage in self.state.stages[self.progress.stage :]:
                trainer, length, window = self._begin(stage)
                while self.progress.stage_step < length:
                    if ending := stopping.reason(self.progress.step):
                        if window.has_steps(self.progress.step):
                            self._log(trainer, window, self._rate_factor(stage, self.progress.stage_step - 1, length))
                        self.ending, self.signal = ending, stopping.signal
                        return ending
                    batches = self._next_batches(stage, window)
                    names = [name for batch in batches for name in batch.names]
                    rate_factor = self._rate_factor(stage, self.progress.stage_step, length)
                    self._announce(stage, self.progress.stage_step, length)
                    try:
                        losses = trainer.step(self.progress.stage_step, batches, rate_factor)
                    except NonFiniteError as error:
                        raise finite.with_context(error, self.state.networks, self.progress.step, names) from error
                    window.add(losses)
                    self.recorder.add(self.progress.step, names, losses)
                    if self.state.average:
                        self.state.average.update()
                    self.progress = self.progress.advance(len(batches))
                    self.reporter.step(self.progress.stage_step)
                    self._after_step(trainer, window, rate_factor, is_last=self.progress.stage_step == length)
                self._finish(stage)
        return self.ending

    @contextmanager
    def _session(self, limits: Limits) -> Iterator[Stopping]:
        """Log, data and signal handlers of a training. ``run.json`` records how it ended.

        A run that stops early leaves what a finished one does: a checkpoint, weights and a sample sheet.
        """
        self._describe({"status": "running"})
        try:
            with (
                closing(Recorder(self.state, self.run, self.reporter)) as self.recorder,
                closing(self._loader()) as self.loader,
                Stopping(limits, self.ranks, self.reporter.message) as stopping,
            ):
                self._reopen_last_stage()
                if not self.progress.step:
                    rng.separate_ranks(self.config.seed, self.ranks.rank, 0)
                yield stopping
                if self.ending == "finished":
                    self.recorder.finish(self.progress.step)
                self._save(final=True)
                self._preview_last()
        except BaseException as error:
            reason = str(error) if isinstance(error, GantoolsError) else type(error).__name__
            if not isinstance(error, PeerError):
                self.ranks.report_failure(reason)
            self._describe_end({"status": "failed", "reason": reason})
            raise
        self._describe_end({"status": self.ending, "validation": self.state.validation.latest})

    def _reopen_last_stage(self) -> None:
        """Go back into the last stage of a finished run that has been made longer."""
        at, last = self.progress, len(self.state.stages) - 1
        if at.stage > last and at.stage_step < self.loader.length(self.state.options(self.state.stages[last])):
            self.progress = replace(at, stage=last)

    def _begin(self, stage: Stage) -> tuple[StageTrainer, int, LogWindow]:
        """A stage's players, its length in steps, and its first log window.

        The players begin with fresh optimizers, or with those of the checkpoint that is being resumed.
        """
        trainer = self.trainer if self.progress.stage_step else None
        if trainer is None:
            trainer = self._open(stage)
            if self.state.average:
                self.state.average.begin_stage()
        self.trainer = trainer
        options = self.state.options(stage)
        if self.state.average:
            self.state.average.decay = self.options.average_decay(self.loader.images_per_step(options)) or 0.0
        length = self.loader.length(options)
        self.reporter.stage(stage.name, length, self.progress.stage_step)
        self.health.begin(self.progress.step)
        return trainer, length, LogWindow(self.progress.step)

    def _announce(self, stage: Stage, stage_step: int, length: int) -> None:
        """Let the recipe know which step begins."""
        images = stage_step * self.loader.images_per_step(self.state.options(stage))
        self.state.recipe.begin_step(StepInfo(stage.name, stage_step, length, images))

    def _rate_factor(self, stage: Stage, stage_step: int, length: int) -> float:
        options: StageOptions[Any] = self.state.options(stage)
        return options.schedule.rate_factor(self.loader.stage_progress(options, stage_step, length))

    def _next_batches(self, stage: Stage, window: LogWindow) -> list[Any]:
        """The next step's batches. Where the data fail, what was learnt until now is saved first.

        Of several ranks the others are in the middle of the step by then; they end without.
        """
        with self._saving_before_failure(), window.waiting():
            return self.loader.step(self.state.options(stage))

    @contextmanager
    def _saving_before_failure(self) -> Iterator[None]:
        """An error within the context ends the run, once the steps before it are saved."""
        try:
            yield
        except GantoolsError:
            if self.progress.step and self.ranks.world_size == 1:
                self._save()
            raise

    def _after_step(self, trainer: StageTrainer, window: LogWindow, rate_factor: float, *, is_last: bool) -> None:
        """Log, sample sheet, validation and checkpoint where they are due; all but the last after a stage's last."""
        step, options, stage = self.progress.step, self.options, trainer.stage
        if is_last or step % options.log_every_steps == 0:
            self._log(trainer, window, rate_factor)
        with window.paused():
            with self._saving_before_failure():
                if is_last or self.recorder.previews.are_due(step):
                    self.recorder.preview(step)
                if is_last or (options.validate_every_steps and step % options.validate_every_steps == 0):
                    self.recorder.validate(step, stage)
            if self.checkpoints.is_due(step):
                self._save()

    def _log(self, trainer: StageTrainer, window: LogWindow, rate_factor: float) -> None:
        """Append what happened since the last row to the log. Raises NonFiniteError for a loss or a weight."""
        step, weights = self.progress.step, self.state.weights()
        is_finite = finite.all_finite([*self.recorder.unchecked(), *finite.tensors_of(weights)])
        read = finite.read({**window.means(), **self.health.scalars(), FINITE: is_finite})
        self.recorder.check_finite(known=bool(read[FINITE]))
        if not read[FINITE]:
            finite.require(weights, step, self.recorder.last_batch)
        rates = {f"lr/{name}": own.lr * rate_factor for name, own in trainer.options.items()}
        images_per_step = self.loader.images_per_step(self.state.options(trainer.stage))
        metrics = self.ranks.all_reduce_mean(window.take(step, images_per_step, read)) | rates
        self.recorder.row(step, trainer.stage, self.health.row(step, metrics, read))

    def _finish(self, stage: Stage) -> None:
        """Leave a stage: its weights are kept under its name where there are several."""
        if len(self.state.stages) > 1:
            self.recorder.try_weights(stage.name, self.progress.step)
        progress = replace(self.progress, stage=self.progress.stage + 1)
        if progress.stage < len(self.state.stages):
            self.state.validation.forget_best()
            progress = replace(progress, stage_step=0)
        self.progress = progress

    def _save(self, *, final: bool = False) -> None:
        self.checkpoints.save(self.progress, self.trainer, self.recorder, final=final)

    def _preview_last(self) -> None:
        """Draw a sample sheet of the last step, unless there is one; all is saved by now, so that it may fail."""
        step = self.progress.step
        try:
            if not self.recorder.previews.has(step):
                self.recorder.preview(step)
        except GantoolsError as error:
            self.reporter.message(str(error))

    def _describe(self, facts: dict[str, Any]) -> None:
        if self.ranks.is_main:
            self.run.describe(facts)

    def _describe_end(self, facts: dict[str, Any]) -> None:
        """Write into ``run.json`` how it ended; a disk that is full for that must not hide what is being reported."""
        try:
            self._describe({**facts, "step": self.progress.step})
        except OSError as error:
            self.reporter.message(f"run.json could not be brought up to date ({error.strerror or error})")

    def try_stages(self) -> Iterator[str]:
        """Train one step of every stage, as a dry run; yields the names of the stages that went well."""
        with closing(self._loader()) as loader:
            for stage in self.state.stages:
                self.state.recipe.begin_step(StepInfo(stage.name, 0, 1, 0))
                self._open(stage).step(0, loader.step(self.state.options(stage)), 1.0)
                yield stage.name

    def _open(self, stage: Stage) -> StageTrainer:
        return self.state.open(stage, self.health.see)

    def _warn(self, line: str) -> None:
        self.recorder.event(self.progress.step, self.state.stages[self.progress.stage], "warning", line)

    def _loader(self) -> DeviceLoader:
        return DeviceLoader(
            self.data, self.config, self.state.runtime, self.progress.batches, warn=self.reporter.message
        )
