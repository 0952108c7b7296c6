"""What a run writes down while it trains: journal rows, sample sheets, validation figures, exported weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from gantools.config.schema import RunConfig
from gantools.errors import ImageError
from gantools.training import export
from gantools.training.interval import Interval
from gantools.training.previews import Previews
from gantools.training.recipe import LossTerms, Recipe, Stage
from gantools.training.reporter import Reporter
from gantools.training.run.directory import RunDirectory
from gantools.training.run.metrics_log import Journal
from gantools.training.step import require_finite
from gantools.training.validation import Validation

PLATEAU_VALIDATIONS = 10
"""Validations without a better figure after which a run is advised to stop."""


class Recorder:
    """Keeps a run's folder up to date. Losses stay on their device until a row is due."""

    def __init__(
        self,
        recipe: Recipe[Any, Any],
        config: RunConfig,
        networks: Mapping[str, nn.Module],
        validation: Validation,
        run: RunDirectory,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.config, self.networks = recipe, config, networks
        self.validation, self.run, self.reporter = validation, run, reporter
        self.previews = Previews(validation, run.samples, config.train.preview_every_steps)
        self._journal = Journal(run.journal, reporter.message)
        self._unchecked: list[tuple[int, Sequence[str], Mapping[str, LossTerms]]] = []
        self._owed: tuple[int, float | None] | None = None  # step and figure of best weights that were not written
        self.last_batch: Sequence[str] = ()

    def note(self, step: int, names: Sequence[str], turns: Mapping[str, LossTerms], interval: Interval) -> None:
        """Remember a step's losses until the next row."""
        for player, terms in turns.items():
            interval.means.add({f"loss/{player}/{term}": value for term, value in terms.terms.items()})
            interval.means.add({f"figure/{player}/{name}": value for name, value in terms.figures.items()})
        self._unchecked.append((step, names, turns))
        self.last_batch = names

    def row(self, step: int, stage: Stage, figures: Mapping[str, float]) -> None:
        """Append a row to the journal and show it."""
        row = {"step": step, "stage": stage.name, **figures}
        self._journal.write(row)
        self.reporter.metrics(row)

    def warning(self, step: int, stage: Stage, line: str) -> None:
        """Append a warning to the journal and tell it."""
        self._journal.write({"step": step, "stage": stage.name, "warning": line})
        self.reporter.message(line)

    def check_finite(self) -> None:
        """Look at the losses noted since the last look. Raises NonFiniteError naming term, step and files."""
        for step, names, turns in self._unchecked:
            for player, terms in turns.items():
                require_finite(player, terms.terms, f"at step {step}", names)
        self._unchecked.clear()

    def validate(self, step: int, stage: Stage) -> None:
        """Measure on the validation pictures; the best weights of a stage are kept."""
        figures = self.validation.measure()
        if not figures:
            return
        self.row(step, stage, {f"validation/{name}": value for name, value in figures.items()})
        before, self._owed = self.validation.best, None
        if self.validation.is_best(stage.best, figures) and not self.attempt_weights("best", step):
            self._owed = step, self.validation.best
            self.validation.best = before  # the next good figure tries again, or the end where there is none
        if stage.best is not None and self.validation.stale == PLATEAU_VALIDATIONS:
            self._advise(step, stage, stage.best.metric)

    def _advise(self, step: int, stage: Stage, metric: str) -> None:
        """Say once per plateau that more of the same may be in vain: advice, not a warning."""
        line = (
            f"{metric} has not become better for {PLATEAU_VALIDATIONS} validations (best {self.validation.best:.4g}); "
            "weights/best.safetensors has the best: stopping here loses nothing, a lower rate may help"
        )
        self._journal.write({"step": step, "stage": stage.name, "advice": line})
        self.reporter.message(f"step {step}: {line}")

    def preview(self, step: int) -> None:
        """Draw the sheet of this step."""
        self._attempt(f"the sample sheet of step {step}", lambda: self.previews.write(step))

    def settle(self, step: int) -> None:
        """Try once more to write the best weights, where the last validation found them and the disk refused."""
        if self._owed is not None and self._owed[0] == step and self.attempt_weights("best", step):
            self.validation.best, self._owed = self._owed[1], None

    def attempt_weights(self, name: str, step: int) -> bool:
        """``save_weights`` where the run can do without them, as it can until its end."""
        return self._attempt(f"weights '{name}' of step {step}", lambda: self.save_weights(name, step))

    def _attempt(self, what: str, write: Callable[[], object]) -> bool:
        """A disk that is full for a while ends no training; whether the file was written."""
        try:
            write()
        except (OSError, ImageError) as error:
            self.reporter.message(f"{what} could not be written ({error}); training goes on")
            return False
        return True

    def save_weights(self, name: str, step: int) -> None:
        """Write ``weights/<name>.safetensors``, with the moving average where there is one."""
        path = self.run.weights / f"{name}.safetensors"
        with self.validation.exported_weights():
            export.write(path, self.recipe, self.networks, self.config, step, self.validation.latest)

    def sync(self) -> None:
        """Make the journal durable."""
        self._journal.sync()

    def close(self) -> None:
        self._journal.close()
