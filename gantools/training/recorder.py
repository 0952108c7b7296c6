"""What a run writes while it trains: log rows, sample sheets, validation metrics, exported weights."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from gantools.errors import ImageError
from gantools.training import export
from gantools.training.monitor import finite
from gantools.training.previews import Previews
from gantools.training.recipe import LossTerms, Stage
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.run.metrics_log import MetricsLog
from gantools.training.state import TrainState

PLATEAU_VALIDATIONS = 10
"""Validations without a better metric after which a run is advised to stop."""


class LogWindow:
    """What happened since the last log row: mean losses, time, time spent waiting for data.

    Losses stay on their device until a row reads them.
    """

    def __init__(self, step: int) -> None:
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._step, self._start, self._waited = step, time.monotonic(), 0.0
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, losses: Mapping[str, LossTerms]) -> None:
        """Add a step's losses, and what was noted beside them."""
        for player, terms in losses.items():
            named = {f"loss/{player}/{name}": value for name, value in terms.terms.items()}
            named |= {f"figure/{player}/{name}": value for name, value in terms.metrics.items()}
            for key, value in named.items():
                self._values[key].append(value)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent within counts as waiting for data."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent within does not count: validation, sample sheets and checkpoints are not part of the speed."""
        start = time.monotonic()
        yield
        self._start += time.monotonic() - start

    def has_steps(self, step: int) -> bool:
        """Whether steps before ``step`` are in no row yet."""
        return step > self._step

    def means(self) -> dict[str, Tensor]:
        """The mean of each loss and metric, on their device."""
        return {key: torch.stack(values).mean() for key, values in self._values.items()}

    def take(self, step: int, images_per_step: int, read: Mapping[str, float]) -> dict[str, float]:
        """The metrics of the window, its ``means`` being those in ``read``; a new one begins."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        metrics = {
            **{key: read[key] for key in self._values},
            "images_per_second": (step - self._step) * images_per_step / seconds,
            "data_wait_share": self._waited / seconds,
        }
        self._begin(step)
        return metrics


class Recorder:
    """Keeps a run's folder up to date; ranks other than 0 take part in validation and write nothing."""

    def __init__(self, state: TrainState, run: RunDirectory, reporter: Reporter) -> None:
        self._state, self._run, self._reporter = state, run, reporter
        self._is_main = state.runtime.ranks.is_main
        self._validation = state.validation
        self.previews = Previews(state.validation, run.samples, state.config.train.preview_every_steps)
        self._log = MetricsLog(run.metrics if self._is_main else Path(os.devnull), reporter.message)
        self._unchecked: list[tuple[int, Sequence[str], Mapping[str, LossTerms]]] = []
        self._unwritten_best: tuple[int, float | None] | None = None  # step and metric
        self.last_batch: Sequence[str] = ()

    def add(self, step: int, names: Sequence[str], losses: Mapping[str, LossTerms]) -> None:
        """Remember a step's losses, which stay on their device, until ``check_finite``."""
        self._unchecked.append((step, names, losses))
        self.last_batch = names

    def unchecked(self) -> list[Tensor]:
        """The losses since the last check."""
        return [value for *_, losses in self._unchecked for terms in losses.values() for value in terms.terms.values()]

    def check_finite(self, *, known: bool = False) -> None:
        """Check the losses since the last check, unless it is known that all are finite.

        Raises NonFiniteError naming term, step and files.
        """
        if not known and not finite.all_finite(self.unchecked()):
            for step, names, losses in self._unchecked:
                for player, terms in losses.items():
                    finite.require_losses(player, terms.terms, f"at step {step}", names)
        self._unchecked.clear()

    def row(self, step: int, stage: Stage, metrics: Mapping[str, float]) -> None:
        """Append a row to the log and show it."""
        if self._is_main:
            row = {"step": step, "stage": stage.name, **metrics}
            self._log.write(row)
            self._reporter.metrics(row)

    def event(self, step: int, stage: Stage, kind: str, line: str, shown: str | None = None) -> None:
        """Append a line of ``kind`` (warning, advice) to the log and report it, or ``shown`` in its place."""
        if self._is_main:
            self._log.write({"step": step, "stage": stage.name, kind: line})
            self._reporter.message(shown or line)

    def validate(self, step: int, stage: Stage) -> None:
        """Measure on the validation images; the best weights of a stage are kept."""
        validation = self._validation
        metrics = validation.measure()
        if not metrics:
            return
        self.row(step, stage, {f"validation/{name}": value for name, value in metrics.items()})
        before, self._unwritten_best = validation.best, None
        if validation.is_best(stage.best, metrics) and not self.try_weights("best", step):
            self._unwritten_best = step, validation.best
            validation.best = before  # the next good validation tries again, or the end where there is none
        if stage.best is not None and validation.stale == PLATEAU_VALIDATIONS:
            line = (
                f"{stage.best.metric} has not become better for {PLATEAU_VALIDATIONS} validations (best "
                f"{validation.best:.4g}); weights/best.safetensors has the best: stopping here loses nothing, a lower "
                "rate may help"
            )
            self.event(step, stage, "advice", line, f"step {step}: {line}")

    def finish(self, step: int) -> None:
        """Try again to write the best weights, where the last validation found them and the disk was full."""
        if self._unwritten_best and self._unwritten_best[0] == step and self.try_weights("best", step):
            self._validation.best, self._unwritten_best = self._unwritten_best[1], None

    def preview(self, step: int) -> None:
        """Draw the sample sheet of this step."""
        if self._is_main:
            self._try(f"the sample sheet of step {step}", lambda: self.previews.write(step))

    def save_weights(self, name: str, step: int) -> None:
        """Write ``weights/<name>.safetensors``, with the moving average where there is one."""
        if self._is_main:
            path, state = self._run.weights / f"{name}.safetensors", self._state
            with self._validation.exported_weights():
                latest = self._validation.latest
                export.write(path, state.recipe, state.networks, state.config, step, latest, self._run.facts())

    def try_weights(self, name: str, step: int) -> bool:
        """``save_weights`` where training continues without them; whether they were written."""
        return self._try(f"weights '{name}' of step {step}", lambda: self.save_weights(name, step))

    def _try(self, what: str, write: Callable[[], object]) -> bool:
        """A disk that is full for a while ends no training; whether the file was written."""
        try:
            write()
        except (OSError, ImageError) as error:
            self._reporter.message(f"{what} could not be written ({error}); training continues")
            return False
        return True

    def sync(self) -> None:
        """Make the log durable."""
        if self._is_main:
            self._log.sync()

    def close(self) -> None:
        self._log.close()
