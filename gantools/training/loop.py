"""The training loop: every mechanism of a run, written once for all recipes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from gantools.config.schema import StageOptions
from gantools.errors import GantoolsError, NonFiniteError
from gantools.training import bystander, optimizers, rng
from gantools.training.checkpoints import Saves
from gantools.training.device.loader import Feed
from gantools.training.interruptions import Interruptions
from gantools.training.interval import Interval
from gantools.training.monitor import finite
from gantools.training.monitor.health import Health
from gantools.training.progress import Position
from gantools.training.recipe import Stage
from gantools.training.recorder import Recorder
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.state import Cast, Prepared
from gantools.training.step import StagePlay
from gantools.training.stopping import Ending, Limits, Stopping


class Loop:
    """Trains a recipe in a run directory. ``fit`` returns how it ended; ``signal`` holds the signal that ended it."""

    def __init__(self, prepared: Prepared, run: RunDirectory, reporter: Reporter) -> None:
        self.cast, self.config, self.options = Cast(prepared), prepared.config, prepared.config.train
        self.data, self.run, self.reporter = prepared.training, run, reporter
        self.ranks = prepared.machine.ranks
        self.saves = Saves(self.cast, run, reporter)
        self.health = Health(prepared.recipe.resembling, self._warn, self.cast.networks)
        self.position = Position()
        self.play: StagePlay | None = None
        self.signal: int | None = None

    def resume(self) -> None:
        """Go on from the newest intact checkpoint. Raises ModelFileError when there is none, UsageError for another
        configuration's.
        """
        self.position, self.play = self.saves.resume(self._open)

    def fit(self, limits: Limits) -> Ending:
        """Play the stages from the present position on.

        A run that stops early leaves what a finished one does: a checkpoint, weights and a sample sheet.
        """
        with closing(self._recorder()) as self.recorder, closing(self._feed()) as self.feed, Interruptions() as signals:
            stopping = Stopping(limits, signals, self.ranks, self.reporter.message)
            ending = self._play(stopping)
            self.signal = stopping.signal
            if ending == "finished":
                self.recorder.settle(self.position.step)
            self._save(final=True)
            self._show_last()
        return ending

    def _show_last(self) -> None:
        """Draw a sample sheet of the last step, unless there is one; all is saved by now, so that it may fail."""
        step = self.position.step
        try:
            if not self.recorder.previews.has(step):
                self.recorder.preview(step)
        except GantoolsError as error:
            self.reporter.message(str(error))

    def _recorder(self) -> Recorder:
        record, cast = bystander.recorder(self.ranks.place), self.cast
        return record(cast.recipe, self.config, cast.networks, cast.validation, self.run, self.reporter)

    def _play(self, stopping: Stopping) -> Ending:
        self._reopen()
        if not self.position.step:
            rng.part(self.config.seed, self.ranks.place.rank, 0)
        while self.position.stage < len(self.cast.stages):
            ending = self._play_stage(self.cast.stages[self.position.stage], stopping)
            if ending != "finished":
                return ending
        return "finished"

    def _reopen(self) -> None:
        """Go back into the last stage of a finished run that has been made longer."""
        at, last = self.position, len(self.cast.stages) - 1
        if at.stage > last and at.stage_step < self.feed.length(self.cast.options(self.cast.stages[last])):
            self.position = replace(at, stage=last)

    def _play_stage(self, stage: Stage, stopping: Stopping) -> Ending:
        options = self.cast.options(stage)
        # The players of a stage begin with fresh optimizers, or with those of the checkpoint that is being resumed.
        play = self.play if self.play and self.position.stage_step else self._open(stage)
        self.play = play
        length = self.feed.length(options)
        self.reporter.stage(stage.name, length, self.position.stage_step)
        self.health.begin(self.position.step)
        interval = Interval(self.position.step)
        while self.position.stage_step < length:
            if ending := stopping.reason(self.position.step):
                if interval.has_steps(self.position.step):
                    self._log(play, self._rate_factor(options, self.position.stage_step - 1, length), interval)
                return ending
            self._step(play, options, length, interval)
        self._finish(stage)
        return "finished"

    def _step(self, play: StagePlay, options: StageOptions[Any], length: int, interval: Interval) -> None:
        batches = self._next_batches(interval)
        at = self.position
        factor = self._rate_factor(options, at.stage_step, length)
        names = [name for batch in batches for name in batch.names]
        try:
            turns = play.step(at.stage_step, batches, factor)
        except NonFiniteError as error:
            raise finite.told(error, self.cast.networks, at.step, names) from error
        self.recorder.note(at.step, names, turns, interval)
        if self.cast.average:
            self.cast.average.update()
        self.position = replace(at, step=at.step + 1, stage_step=at.stage_step + 1, batches=at.batches + len(batches))
        self.reporter.step(self.position.stage_step)
        self._periodic(play, at.stage_step + 1 == length, factor, interval)

    def _rate_factor(self, options: StageOptions[Any], stage_step: int, length: int) -> float:
        return optimizers.rate_factor(options.schedule, self.feed.progress(stage_step, length))

    def _next_batches(self, interval: Interval) -> list[Any]:
        """The next step's batches. Where the data fail, what was learnt until now is saved first.

        Of several ranks the others are in the middle of the step by then; they end without.
        """
        with self._saving_before_failure(), interval.waiting():
            return self.feed.step()

    @contextmanager
    def _saving_before_failure(self) -> Iterator[None]:
        """What fails within the context on its own account ends the run, once the steps before it are saved."""
        try:
            yield
        except GantoolsError:
            if self.position.step and self.ranks.place.count == 1:
                self._save()
            raise

    def _check_finite(self) -> None:
        """Raises NonFiniteError when a loss was, or a weight is, no number."""
        self.recorder.check_finite()
        finite.require(self.cast.weights(), self.position.step, self.recorder.last_batch)

    def _save(self, *, final: bool = False) -> None:
        self.saves.write(self.position, self.play, self.recorder, final=final)

    def _periodic(self, play: StagePlay, last: bool, factor: float, interval: Interval) -> None:
        """What is due after a step; everything at the last one of a stage."""
        step, options, stage = self.position.step, self.options, play.stage
        if last or step % options.log_every_steps == 0:
            self._log(play, factor, interval)
        with interval.paused():
            with self._saving_before_failure():
                if last or self.recorder.previews.are_due(step):
                    self.recorder.preview(step)
                if last or (options.validate_every_steps and step % options.validate_every_steps == 0):
                    self.recorder.validate(step, stage)
            if self.saves.are_due(step):
                self._save()

    def _log(self, play: StagePlay, factor: float, interval: Interval) -> None:
        """Append what happened since the last row to the journal. Raises NonFiniteError."""
        self._check_finite()
        step = self.position.step
        rates = {f"lr/{name}": own.lr * factor for name, own in play.options.items()}
        figures = self.ranks.means(interval.take(step, self.feed.images_per_step)) | rates
        self.recorder.row(step, play.stage, self.health.row(step, figures))

    def _finish(self, stage: Stage) -> None:
        """Leave a stage: its weights are kept under its name where there are several."""
        if len(self.cast.stages) > 1:
            self.recorder.attempt_weights(stage.name, self.position.step)
        at = replace(self.position, stage=self.position.stage + 1)
        if at.stage < len(self.cast.stages):
            self.cast.validation.forget_best()
            at = replace(at, stage_step=0)
        self.position = at

    def try_stages(self) -> Iterator[str]:
        """Play one step of every stage, as a rehearsal; yields the names of the stages that went well."""
        with closing(self._feed()) as feed:
            for stage in self.cast.stages:
                self._open(stage).step(0, feed.step(), 1.0)
                yield stage.name

    def _open(self, stage: Stage) -> StagePlay:
        return self.cast.open(stage, self.health.see)

    def _warn(self, line: str) -> None:
        self.recorder.warning(self.position.step, self.cast.stages[self.position.stage], line)

    def _feed(self) -> Feed:
        return Feed(self.data, self.config, self.cast.machine, self.position.batches, self.reporter.message)
