"""A run's whole state, written and taken back: where it stands, what it has learnt, what comes next at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from gantools.checkpoint import state as checkpoints
from gantools.errors import UsageError
from gantools.training import shares
from gantools.training.keeper import Keeper
from gantools.training.monitor import finite
from gantools.training.progress import Position
from gantools.training.recipe import Stage
from gantools.training.recorder import Recorder
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.state import Cast
from gantools.training.step import StagePlay


class Saves:
    """The checkpoints of a run: written by the first rank with every rank's share, read by all."""

    def __init__(self, cast: Cast, run: RunDirectory, reporter: Reporter) -> None:
        self._cast, self._run, self._reporter = cast, run, reporter
        self._ranks = cast.machine.ranks
        self._keeper = Keeper(run.checkpoints, cast.config.train, reporter.message)
        self._saved: Position | None = None

    def are_due(self, step: int) -> bool:
        """Whether a checkpoint is due after ``step`` steps: the same for all ranks."""
        return bool(self._ranks.largest(self._ranks.place.is_first and self._keeper.is_due(step)))

    def write(self, at: Position, play: StagePlay | None, recorder: Recorder, *, final: bool = False) -> None:
        """Write a checkpoint and its weights. Raises NonFiniteError, or as the keeper does.

        Where this very state is in one there is nothing to do; at the end of a training the weights are written anyway.
        """
        state = None
        if self._saved != at:
            state = self._whole_state(at, play, recorder)
        elif not final:
            return
        export = partial(recorder.save_weights, "last", at.step)
        if self._ranks.told_by_first(lambda: self._keeper.save(at.step, state, export, final=final)):
            self._saved = at

    def _whole_state(self, at: Position, play: StagePlay | None, recorder: Recorder) -> dict[str, Any]:
        recorder.check_finite()
        state = self._state(at, play)
        finite.require(state, at.step, recorder.last_batch)
        recorder.sync()
        return state

    def _state(self, at: Position, play: StagePlay | None) -> dict[str, Any]:
        return {
            "position": asdict(at),
            **self._cast.weights(),
            "play": play.state() if play and at.stage_step else None,
            "validation": self._cast.validation.state(),
            **shares.collected(self._ranks, self._cast.recipe, self._cast.machine.device),
        }

    def resume(self, opened: Callable[[Stage], StagePlay]) -> tuple[Position, StagePlay | None]:
        """Take the newest intact checkpoint's state; where it stands, and the stage that was being played.

        Raises ModelFileError when there is none, UsageError for another configuration's.
        """
        step, state = self._ranks.told_by_first(lambda: checkpoints.newest(self._run.checkpoints))
        try:
            at, play = self._taken(state, opened)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self._run.path}: step {step} does not fit this configuration ({reason})") from error
        self._saved = at
        return at, play

    def _taken(self, state: dict[str, Any], opened: Callable[[Stage], StagePlay]) -> tuple[Position, StagePlay | None]:
        self._cast.load_weights(state)
        self._cast.validation.load_state(state["validation"])
        at = self._dealt_anew(self._checked(Position(**state["position"])), shares.count(state))
        play = opened(self._stage(at)) if at.stage_step else None
        if play:
            play.load_state(state["play"])
        shares.take(self._ranks, self._cast.recipe, state, self._cast.config.seed, self._cast.machine.device)
        return at, play

    def _checked(self, at: Position) -> Position:
        """Raises ValueError for a place where no run can stand."""
        numbers = [getattr(at, field.name) for field in fields(at)]
        if not all(type(number) is int and number >= 0 for number in numbers) or at.stage > len(self._cast.stages):
            raise ValueError(f"no position: {numbers}")
        return at

    def _stage(self, at: Position) -> Stage:
        """The stage a run stands in, or the last one of a finished run."""
        return self._cast.stages[min(at.stage, len(self._cast.stages) - 1)]

    def _dealt_anew(self, at: Position, before: int) -> Position:
        """``at`` as this number of ranks goes on from it, which is told where it is another one than saved it."""
        now, config = self._ranks.place.count, self._cast.config
        if before == now:
            return at
        images = config.data.batch_images * config.train.accumulate_batches
        self._reporter.message(
            f"saved by {before} processes, going on with {now}: a step has {now * images} images, not "
            f"{before * images}; from here on the result is not that of {before} processes"
        )
        return at.dealt_anew(before, now, in_epochs=self._cast.options(self._stage(at)).epochs is not None)
