"""The options of ``gantools eval`` and ``compare``, and of their functions, each declared once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gantools.config.command import CommandOptions, Option, option_of
from gantools.inference.options import InferOptions, ScaleTo


def parse_names(text: str) -> tuple[str, ...]:
    """``"psnr_y, l1"`` → ``("psnr_y", "l1")``."""
    return tuple(name.strip() for name in text.split(","))


@dataclass(frozen=True, eq=False, repr=False)
class MetricOptions(CommandOptions):
    """What is measured, and by which network of the weights."""

    metrics: Annotated[
        tuple[str, ...] | None,
        Option("Metrics; default: the recipe's own. See docs/metrics.md.", metavar="A,B", parse=parse_names),
    ] = None
    feature_weights: Annotated[
        list[str] | None, Option("A feature network for metrics (may be repeated).", metavar="FILE")
    ] = None
    inputs: Annotated[
        Literal["realistic"] | None,
        Option("Make inputs of the photos by a fixed chain, as users bring them: small, saved as JPEG."),
    ] = None
    export: Annotated[str | None, option_of(InferOptions, "export")] = None
    scale_to: Annotated[ScaleTo, option_of(InferOptions, "scale_to")] = "auto"
    blend_with: Annotated[str | None, option_of(InferOptions, "blend_with")] = None
    device: Annotated[str, option_of(InferOptions, "device")] = "auto"


@dataclass(frozen=True, eq=False, repr=False)
class EvalOptions(MetricOptions):
    """How a model, or a folder of results, is scored."""

    fail_under: Annotated[
        list[str] | None, Option("Exit 4 when the mean is worse.", metavar="METRIC=NUMBER")
    ] = None  # fmt: skip
    sheet: Annotated[str | None, Option("Draw the first images side by side.", metavar="FILE")] = None
    blend: Annotated[float | None, option_of(InferOptions, "blend")] = None


@dataclass(frozen=True, eq=False, repr=False)
class CompareOptions(MetricOptions):
    """Which images models are compared on, and what is shown of them."""

    truth: Annotated[
        str | None,
        Option("Ground truth (matching names) or, for models from noise, a data set; enables metrics.", metavar="DIR"),
    ] = None
    mask: Annotated[
        str | None, Option("Masks, for models that fill missing parts.", metavar="FILE|DIR|center")
    ] = None  # fmt: skip
    most: Annotated[int, Option("Images shown of folders.", min=1)] = 12
    blends: Annotated[
        list[float] | None,
        Option("Show the first model blended too, as by infer (may be repeated).", "--blend", "0..1"),
    ] = None
