"""Examples in, metrics out: image by image, keeping none of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gantools.data import transforms
from gantools.errors import DataError, ImageError
from gantools.evaluation.examples import Examples
from gantools.evaluation.result import Failure, Row
from gantools.images.image import Pixels
from gantools.images.ops.grid import grid
from gantools.metrics.example import TRUTH, Example
from gantools.metrics.frechet import Vectors, frechet
from gantools.metrics.loading import LoadedMetrics, MetricFunction

SHEET_PX, SHEET_ROWS = 160, 6
"""Side of the crops on a sheet, and how many images it shows."""


@dataclass
class Measurement:
    """Collects rows of metrics as examples come in; for distances of sets each image's vector; crops for a sheet."""

    metrics: LoadedMetrics
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    vectors: dict[str, dict[str, list[Vectors]]] = field(default_factory=dict)
    crops: list[list[Pixels]] = field(default_factory=list)
    titles: tuple[str, ...] = ()

    def add(self, example: Example) -> list[Row]:
        """Measure every candidate of an example. Raises ImageError, and then keeps nothing of it."""
        functions, has_truth = self.metrics.functions, example.reference is None
        rows = [Row(example.name, name, _values(functions, made, example)) for name, made in example.candidates.items()]
        undirected = {name: functions[name] for name in self.metrics.undirected}
        if undirected and has_truth:
            rows.append(Row(example.name, TRUTH, _values(undirected, example.truth, example)))
        wanted = example.truth if example.reference is None else example.reference
        embedded = {
            metric: {name: embedder.embed(made) for name, made in {TRUTH: wanted, **example.candidates}.items()}
            for metric, embedder in self.metrics.embedders.items()
        }
        for metric, vectors in embedded.items():
            for candidate, vector in vectors.items():
                self.vectors.setdefault(metric, {}).setdefault(candidate, []).append(vector)
        self.rows += rows
        if len(self.crops) < SHEET_ROWS:
            self.titles = (*example.candidates, TRUTH)
            self.crops.append([_middle(pixels) for pixels in (*example.candidates.values(), example.truth)])
        return rows

    def distances(self) -> dict[str, dict[str, float]]:
        """Candidate → metric → distance of its whole set from the truths."""
        found: dict[str, dict[str, float]] = {}
        for metric, sets in self.vectors.items():
            stacked = {name: np.stack(vectors) for name, vectors in sets.items()}
            truth = stacked.pop(TRUTH)
            for candidate, vectors in stacked.items():
                found.setdefault(candidate, {})[metric] = frechet(vectors, truth) if len(truth) > 1 else math.nan
        return found

    def sheet(self) -> Pixels:
        """The first images side by side. Raises DataError when none could be measured."""
        if not self.crops:
            raise DataError("--sheet: no image could be measured, so there is nothing to show")
        return grid(self.crops, self.titles)


def measure(examples: Examples, metrics: LoadedMetrics, progress: Callable[[int, int], None]) -> Measurement:
    """Measure all examples; those whose images cannot be used are failures. ``progress`` gets (done, total)."""
    measurement = Measurement(metrics)
    for index in range(len(examples)):
        try:
            measurement.add(examples[index])
        except ImageError as error:
            measurement.failures.append(Failure(examples.name(index), str(error)))
        progress(index + 1, len(examples))
    return measurement


def _values(functions: Mapping[str, MetricFunction], made: Pixels, example: Example) -> dict[str, float]:
    return {name: function(made, example.truth, example.mask) for name, function in functions.items()}


def _middle(pixels: Pixels) -> Pixels:
    height, width = (min(side, SHEET_PX) for side in pixels.shape[:2])
    return transforms.centre(pixels, height, width)
