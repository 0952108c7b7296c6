"""Measures of similarity, each with its protocol in its name: uint8 RGB [H, W, 3] in, one float out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.images.picture import Pixels


class PairMetric(Protocol):
    """Compares a result with the truth."""

    def __call__(self, a: Pixels, b: Pixels) -> float: ...


PAIR_METRICS: Registry[PairMetric] = Registry(
    "metric",
    {
        "psnr_y": "gantools.metrics.psnr:psnr_y",
        "psnr_rgb": "gantools.metrics.psnr:psnr_rgb",
        "ssim_y": "gantools.metrics.ssim:ssim_y",
        "ssim_rgb": "gantools.metrics.ssim:ssim_rgb",
        "l1_percent": "gantools.metrics.difference:l1_percent",
        "l2_percent": "gantools.metrics.difference:l2_percent",
        "ab_l1": "gantools.metrics.lab:ab_l1",
    },
)
"""Metrics that need nothing but the two pictures."""


def pair_metric(name: str) -> PairMetric:
    """Return the metric called ``name``. Raises UsageError for an unknown one."""
    return cast("PairMetric", PAIR_METRICS.factory(name))
