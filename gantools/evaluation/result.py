"""What an evaluation found, and the forms in which it is told: means, rows, JSON, CSV. No torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gantools.evaluation.example import MODEL, RESULT
from gantools.metrics.protocols import MetricProtocol


@dataclass(frozen=True)
class Row:
    """The figures of one candidate for one picture; of the truth, its undirected ones."""

    picture: str
    candidate: str
    figures: Mapping[str, float]

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"picture": self.picture, "candidate": self.candidate, **_told(self.figures)}


@dataclass(frozen=True)
class Failure:
    """A picture that could not be measured, and why."""

    picture: str
    error: str

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"picture": self.picture, "error": self.error}


@dataclass(frozen=True)
class Evaluation:
    """Figures by picture and candidate, what they were taken with, and of what.

    ``subject`` says which weights, recipe and network, or which folders; ``data`` what the pictures are, ``inputs`` how
    they were degraded, ``reference`` what candidates are compared with. ``distances`` are of whole sets, by candidate.
    """

    subject: Mapping[str, str]
    data: str
    inputs: str
    reference: str
    metrics: tuple[MetricProtocol, ...]
    protocol: tuple[str, ...]
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        """How many pictures were measured."""
        return len({row.picture for row in self.rows})

    @property
    def candidates(self) -> tuple[str, ...]:
        """What was compared, in the order it was met."""
        return tuple(dict.fromkeys(row.candidate for row in self.rows))

    @property
    def judged(self) -> str:
        """The candidate that limits are for."""
        return MODEL if MODEL in self.candidates else RESULT

    def means(self) -> dict[str, dict[str, float]]:
        """Candidate → metric → mean over the pictures; of whole sets, the distance."""
        return {candidate: self._means_of(candidate) for candidate in self.candidates}

    def _means_of(self, candidate: str) -> dict[str, float]:
        rows = [row.figures for row in self.rows if row.candidate == candidate]
        figures = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
        return {**figures, **self.distances.get(candidate, {})}

    def told(self) -> dict[str, Any]:
        """Everything but the rows, as JSON; an infinite figure is the word inf."""
        return {
            **self.subject,
            "data": self.data,
            "inputs": self.inputs,
            "reference": self.reference,
            "pictures": self.pictures,
            "failed": [failure.told() for failure in self.failures],
            "means": {candidate: _told(figures) for candidate, figures in self.means().items()},
            "protocol": dict(zip((metric.name for metric in self.metrics), self.protocol, strict=True)),
        }

    def table(self) -> str:
        """Every row as CSV with a header."""
        names = [metric.name for metric in self.metrics if metric.takes != "sets"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["picture", "candidate", *names])
        for row in self.rows:
            writer.writerow([row.picture, row.candidate, *(row.figures.get(name, "") for name in names)])
        return text.getvalue()


def _told(figures: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no word for infinity; these are the ones that other programs read."""
    return {name: value if math.isfinite(value) else str(value) for name, value in figures.items()}
