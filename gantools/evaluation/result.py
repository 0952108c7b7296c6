"""What an evaluation found, as means, rows, JSON and CSV; limits that it must reach. No torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gantools.errors import UsageError
from gantools.metrics import protocols
from gantools.metrics.example import MODEL, RESULT
from gantools.metrics.protocols import MetricProtocol


@dataclass(frozen=True)
class Row:
    """The metrics of one candidate for one image. The truth has only metrics without a better direction."""

    image: str
    candidate: str
    metrics: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"image": self.image, "candidate": self.candidate, **_json(self.metrics)}


@dataclass(frozen=True)
class Failure:
    """An image that could not be measured, and why."""

    image: str
    error: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"image": self.image, "error": self.error}


@dataclass(frozen=True)
class Evaluation:
    """Metrics by image and candidate, with what is needed to repeat them.

    ``subject`` names the weights, recipe and network, or the folders. ``data`` says which images, ``inputs`` how inputs
    were made, ``reference`` what candidates are compared with. ``distances`` are those of whole sets, by candidate.
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
    samples: int | None = None
    """How many were made, of a model that starts from noise: its metrics are ``distances`` only."""

    @property
    def images(self) -> int:
        """How many images were measured."""
        return len({row.image for row in self.rows}) if self.samples is None else self.samples

    def means(self) -> dict[str, dict[str, float]]:
        """Candidate → metric → mean over the images; for metrics of whole sets, the distance."""
        found: dict[str, dict[str, float]] = {}
        for candidate in dict.fromkeys(row.candidate for row in self.rows):
            rows = [row.metrics for row in self.rows if row.candidate == candidate]
            means = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
            found[candidate] = {**means, **self.distances.get(candidate, {})}
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything but the rows, as JSON; what is no number is the word nan."""
        return {
            **self.subject,
            "data": self.data,
            "inputs": self.inputs,
            "reference": self.reference,
            "images": self.images,
            "failed": [failure.as_dict() for failure in self.failures],
            "means": {candidate: _json(means) for candidate, means in self.means().items()},
            "protocol": dict(zip((metric.name for metric in self.metrics), self.protocol, strict=True)),
        }

    def as_csv(self) -> str:
        """Every row as CSV with a header."""
        names = [metric.name for metric in self.metrics if metric.takes not in ("sets", "samples")]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "candidate", *names])
        for row in self.rows:
            writer.writerow([row.image, row.candidate, *(row.metrics.get(name, "") for name in names)])
        return text.getvalue()

    def missed(self, limits: Iterable[str]) -> list[str]:
        """One line for every limit, as ``METRIC=NUMBER``, that the model's means miss; NaN misses every limit."""
        means, lines = self.means(), []
        judged = [name for name in means if name in (MODEL, RESULT) or name.startswith(f"{MODEL}, ")]
        for metric, limit in map(parse_limit, limits):
            for name in judged:
                value, of = means[name][metric.name], "" if name in (MODEL, RESULT) else f"{name}: "
                if metric.misses(limit, value):
                    lines.append(f"{of}{metric.name} is {value:.4f}, worse than the limit of {limit:g}")
        return lines


def parse_limit(text: str) -> tuple[MetricProtocol, float]:
    """A metric and its worst accepted mean, from ``METRIC=NUMBER``. Raises UsageError."""
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not math.isfinite(value):
        raise UsageError(f"--fail-under {text}: a limit is METRIC=NUMBER, such as psnr_y=28")
    metric = protocols.find(name)
    if metric.better == "neither" and not metric.too_much:
        raise UsageError(f"--fail-under {text}: {metric.direction}, so it has no limit")
    return metric, value


def _json(values: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no NaN and no infinity; ``nan`` and ``inf`` are the words that other programs read."""
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
