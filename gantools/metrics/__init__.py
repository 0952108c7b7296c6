"""Measures of similarity, each with its protocol in its name: uint8 RGB [H, W, 3] in, one float out.

``protocols`` is the one table: what each metric is, which metrics are the better ones, what it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from gantools.metrics.protocols import METRICS
from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.images.image import Pixels


class PairMetric(Protocol):
    """Compares a result with the truth."""

    def __call__(self, a: Pixels, b: Pixels) -> float: ...


PAIR_METRICS: Registry[PairMetric] = Registry(
    "metric", {name: f"gantools.metrics.{metric.target}" for name, metric in METRICS.items() if metric.takes == "pair"}
)
"""Metrics that need nothing but the two images."""


def pair_metric(name: str) -> PairMetric:
    """Return the metric called ``name``. Raises UsageError for an unknown one."""
    return cast("PairMetric", PAIR_METRICS.factory(name))
