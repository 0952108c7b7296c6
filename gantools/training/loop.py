"""The training loop: every mechanism of a run, written once for all recipes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from gantools.checkpoint import state as checkpoints
from gantools.config.schema import RunConfig, StageOptions
from gantools.data.dataset import Dataset
from gantools.errors import GantoolsError, NonFiniteError, UsageError
from gantools.training import batch_statistics, bystander, finite, optimizers, shares, streams
from gantools.training.ema import MovingAverage
from gantools.training.feed import Feed
from gantools.training.health import Health
from gantools.training.interruptions import Interruptions
from gantools.training.interval import Interval
from gantools.training.keeper import Keeper
from gantools.training.machine import Machine
from gantools.training.position import Position
from gantools.training.recipe import Recipe, Stage, exported_networks, networks_of
from gantools.training.reporter import Reporter
from gantools.training.run_directory import RunDirectory
from gantools.training.stage_play import StagePlay
from gantools.training.validation import Validation

Ending = Literal["finished", "limit", "interrupted"]


@dataclass(frozen=True)
class Prepared:
    """A recipe built on its machine, with its data found sound; ``init_from`` says what fine-tuning begins with."""

    recipe: Recipe[Any, Any]
    config: RunConfig
    machine: Machine
    training: Dataset
    validation: Dataset
    init_from: dict[str, Any] | None = None


@dataclass(frozen=True)
class Limits:
    """When to stop before the configuration's end; the run can be resumed afterwards."""

    max_steps: int | None = None
    max_seconds: float | None = None


class Loop:
    """Trains a recipe in a run directory. ``fit`` returns how it ended; ``signal`` holds the signal that ended it."""

    def __init__(self, prepared: Prepared, run: RunDirectory, reporter: Reporter) -> None:
        self.recipe, self.config, self.machine = prepared.recipe, prepared.config, prepared.machine
        self.data, self.run, self.reporter, self.options = prepared.training, run, reporter, prepared.config.train
        self.stages = list(self.recipe.stages())
        self.networks = {name: self.machine.place(network) for name, network in networks_of(self.stages).items()}
        if self.options.sync_batch_norm:
            for network in self.networks.values():
                batch_statistics.share_statistics(network)
        self.ranks = self.machine.ranks
        self.ranks.begin_alike(self.networks.values())
        for network in self.recipe.frozen().values():
            self.machine.place(network)
        self.machine.compile(self.networks, self.recipe.composed())
        exported = exported_networks(self.recipe, self.networks)
        self.average = MovingAverage(exported, self.options.ema_decay) if self.options.ema_decay else None
        self.validation = Validation(self.recipe, prepared.validation, self.networks, self.machine, self.average)
        self.keeper = Keeper(run.checkpoints, self.options, reporter.message)
        self.health = Health(self.recipe.resembling, self._warn, self.networks)
        self.position = Position()
        self.play: StagePlay | None = None
        self.signal: int | None = None
        self._saved: Position | None = None

    # --- the run

    def fit(self, limits: Limits) -> Ending:
        """Play the stages from the present position on. A run that stops early leaves a checkpoint."""
        self._limits, self._began = limits, time.monotonic()
        record = bystander.recorder(self.ranks.place)
        recorder = record(self.recipe, self.config, self.networks, self.validation, self.run, self.reporter)
        with closing(recorder) as self.recorder, closing(self._feed()) as self.feed, Interruptions() as interruptions:
            self._reopen()
            if not self.position.step:
                streams.part(self.config.seed, self.ranks.place.rank, 0)
            while self.position.stage < len(self.stages):
                ending = self._play_stage(self.stages[self.position.stage], interruptions)
                if ending != "finished":
                    self._save(final=True)
                    return ending
            recorder.settle(self.position.step)
            self._save(final=True)
            recorder.save_last(self.position.step)
        return "finished"

    def _reopen(self) -> None:
        """Go back into the last stage of a finished run that has been made longer."""
        at, last = self.position, len(self.stages) - 1
        if at.stage > last and at.stage_step < self.feed.length(self._options(self.stages[last])):
            self.position = replace(at, stage=last)

    def _play_stage(self, stage: Stage, interruptions: Interruptions) -> Ending:
        options = self._options(stage)
        # The players of a stage begin with fresh optimizers, or with those of the checkpoint that is being resumed.
        play = self.play if self.play and self.position.stage_step else self._open(stage)
        self.play = play
        length = self.feed.length(options)
        self.reporter.stage(stage.name, length, self.position.stage_step)
        self.health.begin(self.position.step)
        interval = Interval(self.position.step)
        while self.position.stage_step < length:
            if ending := self._stop_reason(interruptions):
                return ending
            self._step(play, options, length, interval)
        self._finish(stage)
        return "finished"

    def _step(self, play: StagePlay, options: StageOptions[Any], length: int, interval: Interval) -> None:
        batches = self._next_batches(interval)
        at = self.position
        factor = optimizers.rate_factor(options.schedule, self.feed.progress(at.stage_step, length))
        names = [name for batch in batches for name in batch.names]
        try:
            turns = play.step(at.stage_step, batches, factor)
        except NonFiniteError as error:
            raise finite.told(error, self.networks, at.step, names) from error
        self.recorder.note(at.step, names, turns, interval)
        if self.average:
            self.average.update()
        self.position = replace(at, step=at.step + 1, stage_step=at.stage_step + 1, batches=at.batches + len(batches))
        self.reporter.step(self.position.stage_step)
        self._periodic(play, at.stage_step + 1 == length, factor, interval)

    def _next_batches(self, interval: Interval) -> list[Any]:
        """The next step's batches. Where the data fail, what was learnt until now is saved first.

        Of several ranks the others are in the middle of the step by then; they end without.
        """
        try:
            with interval.waiting():
                return self.feed.step()
        except GantoolsError:
            if self.position.step and self.ranks.place.count == 1:
                self._save()
            raise

    def _periodic(self, play: StagePlay, last: bool, factor: float, interval: Interval) -> None:
        """What is due after a step; everything at the last one of a stage."""
        step, options, stage = self.position.step, self.options, play.stage
        if last or step % options.log_every_steps == 0:
            self._check_finite()
            rates = {f"lr/{name}": own.lr * factor for name, own in play.options.items()}
            figures = self.ranks.means(interval.take(step, self.feed.images_per_step)) | rates
            self.recorder.row(step, stage, self.health.row(step, figures))
        if last or step % options.preview_every_steps == 0:
            self.recorder.preview(step)
        if last or (options.validate_every_steps and step % options.validate_every_steps == 0):
            self.recorder.validate(step, stage)
        if self.ranks.largest(self.ranks.place.is_first and self.keeper.is_due(step)):
            self._save()

    def _finish(self, stage: Stage) -> None:
        """Leave a stage: its weights are kept under its name where there are several."""
        if len(self.stages) > 1:
            self.recorder.attempt_weights(stage.name, self.position.step)
        at = replace(self.position, stage=self.position.stage + 1)
        if at.stage < len(self.stages):
            self.validation.forget_best()
            at = replace(at, stage_step=0)
        self.position = at

    def _stop_reason(self, interruptions: Interruptions) -> Ending | None:
        """Why to stop at this edge: the same for all ranks, whichever of them was told."""
        limits = self._limits
        late = limits.max_seconds is not None and time.monotonic() - self._began >= limits.max_seconds
        received, out_of_time = divmod(self.ranks.largest(2 * (interruptions.received or 0) + late), 2)
        if received:
            self.signal = received
            if self.ranks.place.is_first:
                name = signal.Signals(received).name
                self.reporter.message(f"{name}: saving at step {self.position.step}, then stopping")
            return "interrupted"
        out_of_steps = limits.max_steps is not None and self.position.step >= limits.max_steps
        return "limit" if out_of_steps or out_of_time else None

    def try_stages(self) -> Iterator[str]:
        """Play one step of every stage, as a rehearsal; yields the names of the stages that went well."""
        with closing(self._feed()) as feed:
            for stage in self.stages:
                self._open(stage).step(0, feed.step(), 1.0)
                yield stage.name

    def _options(self, stage: Stage) -> StageOptions[Any]:
        options: StageOptions[Any] = dict(self.config.stages)[stage.name]
        return options

    def _open(self, stage: Stage) -> StagePlay:
        """A stage's players with fresh optimizers."""
        options = self._options(stage).optimizers
        most_skipped = self.options.max_skipped_steps
        return StagePlay(self.recipe, stage, options, self.machine, most_skipped, self.health.see)

    def _warn(self, line: str) -> None:
        self.recorder.warning(self.position.step, self.stages[self.position.stage], line)

    def _feed(self) -> Feed:
        return Feed(self.data, self.config, self.machine, self.position.batches, self.reporter.message)

    # --- checkpoints

    def _check_finite(self) -> None:
        """Raises NonFiniteError when a loss was, or a weight is, no number."""
        self.recorder.check_finite()
        average = self.average.state() if self.average else None
        networks = {name: network.state_dict() for name, network in self.networks.items()}
        finite.require({"networks": networks, "average": average}, self.position.step, self.recorder.last_batch)

    def _save(self, *, final: bool = False) -> None:
        """Write a checkpoint, unless this very state is in one. Raises NonFiniteError, or as the keeper does."""
        if self._saved == self.position:
            return
        self.recorder.check_finite()
        state = self._state()
        finite.require(state, self.position.step, self.recorder.last_batch)
        self.recorder.sync()
        if self.ranks.told_by_first(lambda: self.keeper.save(self.position.step, state, final=final)):
            self._saved = self.position

    def _state(self) -> dict[str, Any]:
        within_stage = self.position.stage_step > 0
        return {
            "position": asdict(self.position),
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "average": self.average.state() if self.average else None,
            "play": self.play.state() if self.play and within_stage else None,
            "validation": self.validation.state(),
            **shares.collected(self.ranks, self.recipe),
        }

    def resume(self) -> None:
        """Take the newest intact checkpoint's state. Raises ModelFileError when there is none, UsageError for another
        configuration's.
        """
        step, state = self.ranks.told_by_first(lambda: checkpoints.newest(self.run.checkpoints))
        try:
            self._take(state)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self.run.path}: step {step} does not fit this configuration ({reason})") from error
        self._saved = self.position

    def _checked(self, position: Position) -> Position:
        """Raises ValueError for a place where no run can stand."""
        numbers = [getattr(position, field.name) for field in fields(position)]
        if not all(type(number) is int and number >= 0 for number in numbers) or position.stage > len(self.stages):
            raise ValueError(f"no position: {numbers}")
        return position

    def _take(self, state: dict[str, Any]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        if self.average:
            self.average.load_state(state["average"])
        self.validation.load_state(state["validation"])
        self.position = self._dealt_anew(self._checked(Position(**state["position"])), shares.count(state))
        if self.position.stage_step:
            self.play = self._open(self.stages[min(self.position.stage, len(self.stages) - 1)])
            self.play.load_state(state["play"])
        shares.take(self.ranks, self.recipe, state, self.config.seed)

    def _dealt_anew(self, at: Position, before: int) -> Position:
        """``at`` as this number of ranks goes on from it, which is told where it is another one than saved it."""
        now = self.ranks.place.count
        if before == now:
            return at
        images = self.config.data.batch_images * self.options.accumulate_batches
        self.reporter.message(
            f"saved by {before} processes, going on with {now}: a step has {now * images} images, not "
            f"{before * images}; from here on the result is not that of {before} processes"
        )
        stage = self.stages[min(at.stage, len(self.stages) - 1)]
        return at.dealt_anew(before, now, in_epochs=self._options(stage).epochs is not None)
