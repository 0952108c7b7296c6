"""The training loop: every mechanism of a run, written once for all recipes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from gantools.checkpoint import state as checkpoints
from gantools.config.schema import RunConfig, StageOptions
from gantools.data.dataset import Dataset
from gantools.errors import NonFiniteError, TrainingError
from gantools.training import optimizers, streams
from gantools.training.ema import MovingAverage
from gantools.training.feed import Feed
from gantools.training.interruptions import Interruptions
from gantools.training.interval import Interval
from gantools.training.machine import Machine
from gantools.training.recipe import Recipe, Stage, exported_networks, networks_of
from gantools.training.recorder import Recorder
from gantools.training.reporter import Reporter
from gantools.training.run_directory import RunDirectory
from gantools.training.stage_play import StagePlay
from gantools.training.validation import Validation

Ending = Literal["finished", "limit", "interrupted"]


@dataclass(frozen=True)
class Prepared:
    """A recipe built on its machine, with its data found sound."""

    recipe: Recipe[Any, Any]
    config: RunConfig
    machine: Machine
    training: Dataset
    validation: Dataset


@dataclass(frozen=True)
class Position:
    """Where a run stands. ``step`` counts over all stages, ``batches`` is how many the loader has given."""

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    batches: int = 0


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
        for network in self.recipe.frozen().values():
            self.machine.place(network)
        exported = exported_networks(self.recipe, self.networks)
        self.average = MovingAverage(exported, self.options.ema_decay) if self.options.ema_decay else None
        self.validation = Validation(self.recipe, prepared.validation, self.networks, self.machine, self.average)
        self.position = Position()
        self.signal: int | None = None
        self._pending_state: dict[str, Any] | None = None

    # --- the run

    def fit(self, limits: Limits) -> Ending:
        """Play the stages from the present position on. A run that stops early leaves a checkpoint."""
        self._limits, self._began = limits, time.monotonic()
        self._saved_at = self._began
        recorder = Recorder(self.recipe, self.config, self.networks, self.validation, self.run, self.reporter)
        with closing(recorder) as self.recorder, closing(self._feed()) as self.feed, Interruptions() as interruptions:
            while self.position.stage < len(self.stages):
                ending = self._play_stage(self.stages[self.position.stage], interruptions)
                if ending != "finished":
                    self._save()
                    return ending
            self._save()
            recorder.save_weights("last", self.position.step)
        return "finished"

    def _play_stage(self, stage: Stage, interruptions: Interruptions) -> Ending:
        options = self._options(stage)
        self.play = self._open(stage, options)
        length = self.feed.length(options)
        self.reporter.stage(stage.name, length, self.position.stage_step)
        interval = Interval(self.position.step)
        while self.position.stage_step < length:
            if ending := self._stop_reason(interruptions):
                return ending
            self._step(stage, options, length, interval)
        self._finish(stage)
        return "finished"

    def _step(self, stage: Stage, options: StageOptions[Any], length: int, interval: Interval) -> None:
        with interval.waiting():
            batches = self.feed.step()
        at = self.position
        factor = optimizers.rate_factor(options.schedule, self.feed.progress(at.stage_step, length))
        turns = self.play.step(at.stage_step, batches, factor)
        names = [name for batch in batches for name in batch.names]
        self.recorder.note(at.step, names, turns, interval)
        if self.average:
            self.average.update()
        self.position = replace(at, step=at.step + 1, stage_step=at.stage_step + 1, batches=at.batches + len(batches))
        self.reporter.step(self.position.stage_step)
        self._periodic(stage, at.stage_step + 1 == length, factor, interval)

    def _periodic(self, stage: Stage, last: bool, factor: float, interval: Interval) -> None:
        """What is due after a step; everything at the last one of a stage."""
        step, options = self.position.step, self.options
        if last or step % options.log_every_steps == 0:
            self.recorder.check_finite()
            rates = {f"lr/{name}": own.lr * factor for name, own in self.play.options.items()}
            self.recorder.row(step, stage, interval.take(step, self.feed.images_per_step) | rates)
        if last or step % options.preview_every_steps == 0:
            self.recorder.previews.write(step)
        if last or (options.validate_every_steps and step % options.validate_every_steps == 0):
            self.recorder.validate(step, stage)
        overdue = time.monotonic() - self._saved_at > 60 * options.checkpoint_every_minutes
        if overdue or step % options.checkpoint_every_steps == 0:
            self._save()

    def _finish(self, stage: Stage) -> None:
        """Leave a stage: its weights are kept under its name where there are several."""
        if len(self.stages) > 1:
            self.recorder.save_weights(stage.name, self.position.step)
        self.validation.forget_best()
        self.position = replace(self.position, stage=self.position.stage + 1, stage_step=0)

    def _stop_reason(self, interruptions: Interruptions) -> Ending | None:
        if interruptions.received is not None:
            self.signal = interruptions.received
            name = signal.Signals(self.signal).name
            self.reporter.message(f"{name}: saving at step {self.position.step}, then stopping")
            return "interrupted"
        limits = self._limits
        out_of_steps = limits.max_steps is not None and self.position.step >= limits.max_steps
        out_of_time = limits.max_seconds is not None and time.monotonic() - self._began >= limits.max_seconds
        return "limit" if out_of_steps or out_of_time else None

    def try_stages(self) -> Iterator[str]:
        """Play one step of every stage, as a rehearsal; yields the names of the stages that went well."""
        with closing(self._feed()) as feed:
            for stage in self.stages:
                self._open(stage, self._options(stage)).step(0, feed.step(), 1.0)
                yield stage.name

    def _options(self, stage: Stage) -> StageOptions[Any]:
        options: StageOptions[Any] = dict(self.config.stages)[stage.name]
        return options

    def _open(self, stage: Stage, options: StageOptions[Any]) -> StagePlay:
        """A stage's players with fresh optimizers, or with those of the checkpoint that is being resumed."""
        play = StagePlay(self.recipe, stage, options.optimizers, self.machine, self.options.max_skipped_steps)
        if self._pending_state is not None:
            play.load_state(self._pending_state)
            self._pending_state = None
        return play

    def _feed(self) -> Feed:
        return Feed(self.data, self.config, self.machine, self.position.batches, self.reporter.message)

    # --- checkpoints

    def _save(self) -> None:
        """Write a checkpoint. Raises NonFiniteError instead of writing weights that are NaN or infinite."""
        self.recorder.check_finite()
        for name, network in self.networks.items():
            if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
                step = self.position.step
                raise NonFiniteError(f"the weights of {name} are NaN or infinite at step {step}; nothing was saved")
        checkpoints.save(self.run.checkpoints, self.position.step, self._state(), self.options.keep_checkpoints)
        self._saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        within_stage = self.position.stage_step > 0
        return {
            "position": asdict(self.position),
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "average": self.average.state() if self.average else None,
            "play": self.play.state() if within_stage else None,
            "validation": self.validation.state(),
            "streams": streams.state(),
            "extra": self.recipe.extra_state(),
        }

    def resume(self) -> None:
        """Take the newest intact checkpoint's state. Raises ModelFileError when there is none."""
        step, state = checkpoints.newest(self.run.checkpoints)
        try:
            for name, network in self.networks.items():
                network.load_state_dict(state["networks"][name])
            if self.average:
                self.average.load_state(state["average"])
            self.recipe.load_extra_state(state["extra"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.run.path}: step {step} does not fit this configuration ({error})") from error
        self.validation.load_state(state["validation"])
        self._pending_state = state["play"]
        self.position = Position(**state["position"])
        streams.load_state(state["streams"])
