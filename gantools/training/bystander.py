"""The ranks that compute and do not write: the first one keeps the run's folder for all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantools.training.distributed.rank_info import Place
from gantools.training.recipe import Stage
from gantools.training.recorder import Recorder
from gantools.training.run.directory import RunDirectory


class Elsewhere(RunDirectory):
    """A run's folder in the hands of the first rank: nothing but its configuration is read, and nothing written."""

    @property
    def journal(self) -> Path:
        return Path(os.devnull)

    @contextmanager
    def claim(self) -> Iterator[None]:  # type: ignore[override]
        yield

    @contextmanager
    def lock(self) -> Iterator[None]:  # type: ignore[override]
        yield

    def begin(self, config_yaml: str) -> None:
        pass

    def tidy(self) -> None:
        pass

    def facts(self) -> dict[str, Any]:
        return {}

    def describe(self, facts: Mapping[str, Any]) -> None:
        pass


def run_directory(where: Place) -> type[RunDirectory]:
    """How the rank at ``where`` has the run's folder."""
    return RunDirectory if where.is_first else Elsewhere


def recorder(where: Place) -> type[Recorder]:
    """What the rank at ``where`` records with."""
    return Recorder if where.is_first else Bystander


class Bystander(Recorder):
    """Looks at losses and takes part in validations; writes and tells nothing."""

    def row(self, step: int, stage: Stage, figures: Mapping[str, float]) -> None:
        pass

    def warning(self, step: int, stage: Stage, line: str) -> None:
        pass

    def preview(self, step: int) -> None:
        pass

    def save_weights(self, name: str, step: int) -> None:
        pass

    def sync(self) -> None:
        pass
