"""The training loop: every mechanism of a run, written once for all recipes."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from gantools.checkpoint import state as checkpoints
from gantools.checkpoint import weights
from gantools.config.schema import RunConfig, StageOptions
from gantools.data import loader
from gantools.data.batches import to_network
from gantools.data.dataset import Dataset
from gantools.errors import NonFiniteError, TrainingError
from gantools.training import optimizers, streams
from gantools.training.ema import MovingAverage
from gantools.training.interruptions import Interruptions
from gantools.training.interval import Interval
from gantools.training.journal import Journal
from gantools.training.machine import Machine
from gantools.training.previews import Previews
from gantools.training.recipe import LossTerms, Recipe, Stage, networks_of
from gantools.training.reporter import Reporter
from gantools.training.run_directory import RunDirectory
from gantools.training.stage_play import StagePlay, require_finite
from gantools.training.validation import Validation


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


Ending = Literal["finished", "limit", "interrupted"]


class Loop:
    """Trains a recipe in a run directory. ``fit`` returns how it ended; ``signal`` holds the signal that ended it."""

    def __init__(self, prepared: Prepared, run: RunDirectory, reporter: Reporter) -> None:
        recipe, machine = prepared.recipe, prepared.machine
        self.recipe, self.config, self.machine, self.data = recipe, prepared.config, machine, prepared.training
        self.run, self.reporter = run, reporter
        self.options = self.config.train
        self.stages = list(recipe.stages())
        self.networks = {name: machine.place(network) for name, network in networks_of(self.stages).items()}
        for network in recipe.frozen().values():
            machine.place(network)
        exported = {export.network: self.networks[export.network] for export in recipe.exports().values()}
        self.average = MovingAverage(exported, self.options.ema_decay) if self.options.ema_decay else None
        self.position = Position()
        self.validation = Validation(recipe, prepared.validation, self.networks, machine, self.average)
        self.previews = Previews(self.validation, run.samples)
        self.play: StagePlay | None = None
        self._pending_state: dict[str, Any] | None = None
        self._unchecked: list[tuple[int, Any, dict[str, LossTerms]]] = []
        self.signal: int | None = None

    # --- the run

    def fit(self, limits: Limits = Limits()) -> Ending:
        """Play the stages from the present position on. A run that stops early leaves a checkpoint."""
        self._began, self._limits = time.monotonic(), limits
        self._saved_at = self._began
        self.journal = Journal(self.run.journal)
        try:
            with Interruptions() as self._interruptions:
                return self._play_stages()
        finally:
            self.journal.close()

    def _play_stages(self) -> Ending:
        while self.position.stage < len(self.stages):
            stage = self.stages[self.position.stage]
            ending = self._play_stage(stage)
            if ending != "finished":
                self.save_checkpoint()
                return ending
            self._finish_stage(stage)
        self.save_checkpoint()
        self.save_weights("last")
        return "finished"

    def _play_stage(self, stage: Stage) -> Ending:
        options: StageOptions[Any] = getattr(self.config.stages, stage.name)
        self.play = StagePlay(self.recipe, stage, options.optimizers, self.machine, self.options.max_skipped_steps)
        if self._pending_state is not None:
            self.play.load_state(self._pending_state)
            self._pending_state = None
        length = self._length(options)
        self.reporter.stage(stage.name, length, self.position.stage_step)
        interval = Interval(self.position.step)
        batches = self._batches()
        while self.position.stage_step < length:
            if ending := self._stop_reason():
                return ending
            self._step(stage, options, length, batches, interval)
        return "finished"

    def _step(
        self, stage: Stage, options: StageOptions[Any], length: int, batches: Iterator[Any], interval: Interval
    ) -> None:
        assert self.play is not None
        with interval.waiting():
            group = [next(batches) for _ in range(self.options.accumulate_batches)]
        factor = optimizers.rate_factor(options.schedule, self._progress(length))
        turns = self.play.step(self.position.stage_step, group, factor)
        self._note_losses(group[-1], turns, interval)
        if self.average:
            self.average.update()
        self.position = replace(
            self.position,
            step=self.position.step + 1,
            stage_step=self.position.stage_step + 1,
            batches=self.position.batches + len(group),
        )
        self.reporter.step(self.position.stage_step)
        self._periodic(stage, length, factor, interval)

    def _periodic(self, stage: Stage, length: int, factor: float, interval: Interval) -> None:
        step, last = self.position.step, self.position.stage_step == length
        if last or step % self.options.log_every_steps == 0:
            self._log(stage, factor, interval)
        if last or step % self.options.preview_every_steps == 0:
            self.previews.write(step)
        if last or (self.options.validate_every_steps and step % self.options.validate_every_steps == 0):
            self._validate(stage)
        overdue = time.monotonic() - self._saved_at > 60 * self.options.checkpoint_every_minutes
        if overdue or step % self.options.checkpoint_every_steps == 0:
            self.save_checkpoint()

    def _finish_stage(self, stage: Stage) -> None:
        if len(self.stages) > 1:
            self.save_weights(stage.name)
        self.validation.forget_best()
        self.position = replace(self.position, stage=self.position.stage + 1, stage_step=0)
        self.play = None

    def _stop_reason(self) -> Ending | None:
        if self._interruptions.received is not None:
            self.signal = self._interruptions.received
            self.reporter.message(
                f"{signal.Signals(self.signal).name}: saving at step {self.position.step}, then stopping"
            )
            return "interrupted"
        limits = self._limits
        out_of_steps = limits.max_steps is not None and self.position.step >= limits.max_steps
        out_of_time = limits.max_seconds is not None and time.monotonic() - self._began >= limits.max_seconds
        return "limit" if out_of_steps or out_of_time else None

    def try_stages(self) -> Iterator[str]:
        """Play one step of every stage, as a rehearsal; yields the names of the stages that went well."""
        batches = self._batches()
        for stage in self.stages:
            options: StageOptions[Any] = getattr(self.config.stages, stage.name)
            play = StagePlay(self.recipe, stage, options.optimizers, self.machine)
            play.step(0, [next(batches)], 1.0)
            yield stage.name

    # --- data and progress

    def _batches(self) -> Iterator[Any]:
        stream = loader.batches(
            self.data,
            batch_images=self.config.data.batch_images,  # type: ignore[attr-defined]
            start_batch=self.position.batches,
            seed=self.config.seed,
            workers=self.config.data.workers,  # type: ignore[attr-defined]
            pin_memory=self.machine.device.type == "cuda",
            warn=self.reporter.message,
        )
        return (to_network(batch, self.machine.device, channels_last=self.machine.channels_last) for batch in stream)

    @property
    def _images_per_step(self) -> int:
        return int(self.config.data.batch_images * self.options.accumulate_batches)  # type: ignore[attr-defined]

    def _length(self, options: StageOptions[Any]) -> int:
        if options.steps is not None:
            return options.steps
        assert options.epochs is not None
        return max(1, math.ceil(options.epochs * len(self.data) / self._images_per_step))

    def _progress(self, length: int) -> optimizers.Progress:
        epoch = self.position.stage_step * self._images_per_step // len(self.data)
        return optimizers.Progress(self.position.stage_step, length, epoch)

    # --- what is written down

    def _note_losses(self, batch: Any, turns: Mapping[str, LossTerms], interval: Interval) -> None:
        for player, terms in turns.items():
            interval.means.add({f"loss/{player}/{term}": value for term, value in terms.terms.items()})
        if self.machine.waits_for_values:
            self._unchecked.append((self.position.step, batch.names, dict(turns)))

    def _log(self, stage: Stage, factor: float, interval: Interval) -> None:
        self._check_finite()
        assert self.play is not None
        rates = {f"lr/{name}": options.lr * factor for name, options in self.play.options.items()}
        row = {
            "step": self.position.step,
            "stage": stage.name,
            **interval.take(self.position.step, self._images_per_step),
            **rates,
        }
        self.journal.write(row)
        self.reporter.metrics(row)

    def _check_finite(self) -> None:
        """Look at the losses that were left on the device since the last look."""
        for step, names, turns in self._unchecked:
            for player, terms in turns.items():
                require_finite(player, terms.terms, f"at step {step}", names)
        self._unchecked.clear()

    def _validate(self, stage: Stage) -> None:
        figures = self.validation.measure()
        if not figures:
            return
        row = {
            "step": self.position.step,
            "stage": stage.name,
            **{f"validation/{key}": value for key, value in figures.items()},
        }
        self.journal.write(row)
        self.reporter.metrics(row)
        if self.validation.is_best(stage.best, figures):
            self.save_weights("best")

    def save_weights(self, name: str) -> None:
        """Write ``weights/<name>.safetensors`` with the moving average where there is one."""
        exports = self.recipe.exports()
        about = {
            "step": self.position.step,
            "seed": self.config.seed,
            "validation": self.validation.latest,
            "config": self.config.model_dump(mode="json"),
        }
        with self.validation.exported_weights():
            networks = {key: self.networks[export.network] for key, export in exports.items()}
            weights.save(self.run.weights / f"{name}.safetensors", self.config.recipe, exports, networks, about)

    # --- checkpoints

    def save_checkpoint(self) -> None:
        """Write the whole state. Raises NonFiniteError instead of writing weights that are NaN or infinite."""
        self._check_finite()
        for name, network in self.networks.items():
            if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
                raise NonFiniteError(
                    f"the weights of {name} are NaN or infinite at step {self.position.step}; nothing was saved"
                )
        checkpoints.save(self.run.checkpoints, self.position.step, self._state(), self.options.keep_checkpoints)
        self._saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "position": asdict(self.position),
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "average": self.average.state() if self.average else None,
            "play": self.play.state() if self.play else None,
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
