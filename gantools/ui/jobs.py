"""The jobs of the page: what its worker process calls, which is ``gantools.api``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools import api
from gantools.errors import GantoolsError

if TYPE_CHECKING:
    from gantools.jobs.result import Result
    from gantools.ui.worker import Report


@dataclass(frozen=True)
class Made:
    """The files that a job wrote, lines about how it did, and what failed."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]


def infer(report: Report, model: str, images: Sequence[Path], options: Mapping[str, Any]) -> Made:
    """Put images through a model."""
    with _caught() as warned, api.infer(model, images, **options) as results:
        return _collected(report, results, warned, len(images), results.notes)


def generate(report: Report, model: str, options: Mapping[str, Any]) -> Made:
    """Make images from noise."""
    with _caught() as warned:
        planned = api.plan_generation(model, api.GenerateOptions(**options))
        return _collected(report, planned.run(), warned, len(planned.outputs))


def mix(report: Report, model: str, options: Mapping[str, Any]) -> Made:
    """Make a sheet of mixed styles."""
    with _caught() as warned:
        return _collected(report, api.mix(model, **options), warned)


def edit(report: Report, model: str, image: str, options: Mapping[str, Any]) -> Made:
    """Move an image along a direction."""
    with _caught() as warned:
        return _collected(report, api.edit(model, image, **options), warned)


def project(report: Report, model: str, photo: Path, options: Mapping[str, Any]) -> Made:
    """Find the styles of a photo."""
    with _caught() as warned:
        planned = api.plan_projection(model, photo, api.ProjectOptions(**options))
        results = planned.run(_Watcher(report, planned.options.steps))
        return _collected(lambda *_: None, results, warned, notes=planned.notes)


def outline(_report: Report, model: str, photo: Path, output: Path, side_px: int, max_pixels: int) -> Made:
    """Draw the outline of a photo."""
    api.draw_outline(model, photo, output, side_px=side_px, max_pixels=max_pixels)
    return Made((output,), (), ())


@dataclass(frozen=True)
class _Watcher:
    """Hands the progress of a projection on."""

    report: Report
    steps: int

    def photo(self, name: str, done: int, steps: int) -> None:
        self.report(done, steps, name)

    def step(self, done: int, distance: float) -> None:
        self.report(done, self.steps, f"distance {distance:.4f}")

    def message(self, text: str) -> None: ...


@contextmanager
def _caught() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings of what is done meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _collected(
    report: Report,
    results: Iterable[Result],
    warned: Sequence[warnings.WarningMessage],
    total: int = 1,
    notes: Sequence[str] = (),
) -> Made:
    """All results of a run. Raises GantoolsError where nothing was made."""
    made: list[Path] = []
    failures = []
    for number, result in enumerate(results, 1):
        name = Path(result.input).name
        if isinstance(result.output, Path) and result.status == "done":
            made += [result.output, *result.more_outputs]
        else:
            failures.append(f"{name}: {result.error}")
        report(number, max(total, number), name)
    if failures and not made:
        raise GantoolsError("; ".join(failures))
    said = [str(each.message) for each in warned if each.category is UserWarning]
    return Made(tuple(made), (*notes, *dict.fromkeys(said)), tuple(failures))
