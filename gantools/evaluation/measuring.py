"""Examples in, figures out: picture by picture, holding none of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gantools.errors import ImageError
from gantools.evaluation.example import Example, Examples
from gantools.evaluation.result import Failure, Row
from gantools.evaluation.sheet import Sheet
from gantools.metrics.frechet import Vectors, frechet
from gantools.metrics.instruments import Instruments, Judge

if TYPE_CHECKING:
    from gantools.images.image import Pixels

TRUTH = "truth"


@dataclass
class Measurement:
    """Rows of figures as examples come in; for distances of sets, each picture's vector; a sheet of the first."""

    instruments: Instruments
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    vectors: dict[str, dict[str, list[Vectors]]] = field(default_factory=dict)
    sheet: Sheet = field(default_factory=Sheet)

    def add(self, example: Example) -> None:
        """Measure every candidate of an example. Raises ImageError, and then keeps nothing of it."""
        judges = self.instruments.judges
        rows = [Row(example.name, name, _figures(judges, made, example)) for name, made in example.candidates.items()]
        embedded = {metric: self._embedded(example, metric) for metric in self.instruments.embedders}
        self.rows += [*rows, *self._of_truth(example)]
        self.sheet.add(example)
        for metric, vectors in embedded.items():
            for candidate, vector in vectors.items():
                self.vectors.setdefault(metric, {}).setdefault(candidate, []).append(vector)

    def _of_truth(self, example: Example) -> list[Row]:
        """The truth's own figures of undirected metrics, where there is a truth."""
        judges = {name: self.instruments.judges[name] for name in self.instruments.undirected}
        known = judges and example.kin is None
        return [Row(example.name, TRUTH, _figures(judges, example.truth, example))] if known else []

    def _embedded(self, example: Example, metric: str) -> dict[str, Vectors]:
        """A vector for each candidate, and for what they are held against."""
        embed = self.instruments.embedders[metric].embed
        wanted = example.truth if example.kin is None else example.kin
        return {TRUTH: embed(wanted), **{name: embed(made) for name, made in example.candidates.items()}}

    def distances(self) -> dict[str, dict[str, float]]:
        """Candidate → metric → distance of its whole set from the truths."""
        found: dict[str, dict[str, float]] = {}
        for metric, sets in self.vectors.items():
            stacked = {name: np.stack(vectors) for name, vectors in sets.items()}
            truth = stacked.pop(TRUTH)
            for candidate, vectors in stacked.items():
                found.setdefault(candidate, {})[metric] = frechet(vectors, truth) if len(truth) > 1 else math.nan
        return found


def _figures(judges: Mapping[str, Judge], made: Pixels, example: Example) -> dict[str, float]:
    return {name: judge(made, example.truth, example.hole) for name, judge in judges.items()}


def silent(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def measure(examples: Examples, instruments: Instruments, advance: Callable[[int, int], None] = silent) -> Measurement:
    """Measure all examples; those whose pictures cannot be used are failures. ``advance`` is told the progress."""
    measurement = Measurement(instruments)
    for index in range(len(examples)):
        try:
            measurement.add(examples[index])
        except ImageError as error:
            measurement.failures.append(Failure(examples.name(index), str(error)))
        advance(index + 1, len(examples))
    return measurement
