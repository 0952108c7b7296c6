"""Figures that must be reached: ``psnr_y=28``. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gantools.errors import UsageError
from gantools.metrics import protocols
from gantools.metrics.protocols import MetricProtocol


@dataclass(frozen=True)
class Limit:
    """The worst mean of a metric that is good enough."""

    metric: MetricProtocol
    value: float

    def missed_by(self, figure: float) -> bool:
        """Whether a figure is worse; one that is no number is."""
        return math.isnan(figure) or self.metric.beats(self.value, figure)


def parse(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Limits from ``METRIC=NUMBER`` words. Raises UsageError for other words and for metrics without a better side."""
    return tuple(map(_limit, texts))


def missed(limits: Iterable[Limit], means: Mapping[str, float]) -> list[str]:
    """One line for every limit that the means miss."""
    return [
        f"{limit.metric.name} is {means[limit.metric.name]:.4f}, worse than the limit of {limit.value:g}"
        for limit in limits
        if limit.missed_by(means[limit.metric.name])
    ]


def _limit(text: str) -> Limit:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not math.isfinite(value):
        raise UsageError(f"--fail-under {text}: a limit is METRIC=NUMBER, such as psnr_y=28")
    metric = protocols.find(name)
    if metric.better == "neither":
        raise UsageError(f"--fail-under {text}: {metric.direction}, so it has no limit")
    return Limit(metric, value)
