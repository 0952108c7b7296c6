"""Every metric with its protocol: what one must know to repeat a value. No torch, no numpy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeAlias

from gantools.errors import UsageError
from gantools.registry import did_you_mean

Takes: TypeAlias = Literal["pair", "hole", "result", "features", "class", "sets", "samples"]
Better: TypeAlias = Literal["higher", "lower", "neither"]

DISTRIBUTIONS = {"opencv": ("opencv-python-headless", "opencv-python")}
"""Names under which packages are installed, where they are not the library's own."""


@dataclass(frozen=True)
class MetricProtocol:
    """How a metric is computed.

    ``takes``: a ``pair`` of result and truth, a pair and its ``hole``, the ``result`` alone, a pair as a feature
    network sees it (``features``), the result as its classifier sees it (``class``), all results against all truths
    (``sets``), or samples of a model that starts from noise against real images (``samples``). ``networks`` are the
    feature networks it can be had with, one of which is needed. ``libraries`` compute it, besides gantools. A metric of
    which ``too_much`` is bad can have a limit although less is not better.
    """

    name: str
    target: str
    what: str
    takes: Takes = "pair"
    better: Better = "higher"
    border_px: int = 0
    resize: str = "no resize"
    networks: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ("numpy",)
    too_much: bool = False

    @property
    def direction(self) -> str:
        """Which values are better, in words."""
        if self.too_much:
            return "more than the truth's is bad, less is not better"
        return "neither more nor less is better" if self.better == "neither" else f"{self.better} is better"

    def line(self, network: str | None = None) -> str:
        """The protocol in one line; ``network`` is the feature network that is used."""
        border = f"{self.border_px} px border cut" if self.border_px else "no border cut"
        seen = [f"features of {network}"] if network else []
        versions = [f"{library} {installed_version(library)}" for library in self.libraries]
        return "; ".join([f"{self.name}: {self.what}", self.direction, border, self.resize, *seen, *versions])

    def beats(self, value: float, other: float) -> bool:
        """Whether ``value`` is the better of two values."""
        return value < other if self.better == "lower" else value > other

    def misses(self, limit: float, value: float) -> bool:
        """Whether ``value`` is worse than ``limit``; NaN always is."""
        return math.isnan(value) or (value > limit if self.too_much else self.beats(limit, value))

    def best_of(self, candidates: Mapping[str, Mapping[str, float]]) -> str | None:
        """Which of several candidates has the best value of this metric; None where no value is better."""
        known = {name: values[self.name] for name, values in candidates.items() if self.name in values}
        if self.better == "neither" or len(set(known.values())) < 2:
            return None
        return min(known, key=known.__getitem__) if self.better == "lower" else max(known, key=known.__getitem__)


def installed_version(library: str) -> str:
    """The version of an installed library; ``unknown`` where it does not say."""
    for distribution in DISTRIBUTIONS.get(library, (library,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"


_Y = "of brightness (Y of BT.601, 16 to 235, not rounded)"
_SSIM = "Gaussian window of 11 px, σ 1.5, valid region, float64 on [0, 255]"
_LPIPS = "learnt perceptual distance (LPIPS 0.1, Zhang et al. 2018), RGB"

_TABLE = (
    MetricProtocol("psnr_y", "pixels:psnr_y", f"PSNR in dB {_Y}, peak 255", border_px=4),
    MetricProtocol("psnr_rgb", "pixels:psnr_rgb", "PSNR in dB over R, G and B together, peak 255"),
    MetricProtocol("ssim_y", "ssim:ssim_y", f"SSIM {_Y}, {_SSIM}", border_px=4, libraries=("numpy", "opencv")),
    MetricProtocol("ssim_rgb", "ssim:ssim_rgb", f"SSIM, mean of R, G and B, {_SSIM}", libraries=("numpy", "opencv")),
    MetricProtocol(
        "ms_ssim",
        "ssim:ms_ssim",
        f"SSIM on five scales (Wang et al. 2003), R, G and B together on each, {_SSIM}",
        resize="means of 2×2 pixels between scales",
        libraries=("numpy", "opencv"),
    ),
    MetricProtocol("l1_percent", "pixels:l1_percent", "mean absolute difference of RGB in percent", better="lower"),
    MetricProtocol("l2_percent", "pixels:l2_percent", "mean squared difference of RGB in percent", better="lower"),
    MetricProtocol(
        "ab_l1",
        "pixels:ab_l1",
        "mean absolute difference of a and b in CIELAB (sRGB, D65)",
        better="lower",
        libraries=("numpy", "opencv"),
    ),
    MetricProtocol("hole_psnr", "pixels:hole_psnr", "PSNR in dB over the missing pixels' RGB, peak 255", "hole"),
    MetricProtocol(
        "hole_l1_percent",
        "pixels:hole_l1_percent",
        "mean absolute difference of the missing pixels' RGB in percent",
        "hole",
        "lower",
    ),
    MetricProtocol(
        "hole_l2_percent",
        "pixels:hole_l2_percent",
        "mean squared difference of the missing pixels' RGB in percent",
        "hole",
        "lower",
    ),
    MetricProtocol(
        "colorfulness",
        "pixels:colorfulness",
        "colourfulness of the result alone (Hasler and Süsstrunk 2003), RGB",
        "result",
        "neither",
    ),
    MetricProtocol(
        "flat_texture",
        "texture:flat_texture",
        f"fine texture of the result where the truth is flat, divided by the truth's own, {_Y}",
        better="neither",
        libraries=("numpy", "opencv"),
        too_much=True,
    ),
    MetricProtocol(
        "lattice",
        "texture:lattice",
        f"patterns of 2 and 4 px in the result alone, in dB above what lies beside them in the spectrum {_Y}",
        "result",
        "lower",
    ),
    MetricProtocol(
        "niqe_kodak",
        "niqe:niqe_kodak",
        f"NIQE (Mittal et al. 2013) of the result alone, fitted to the 24 Kodak photos, {_Y}",
        "result",
        "lower",
        libraries=("numpy", "opencv"),
    ),
    MetricProtocol(
        "feature_distance",
        "feature_distance:FeatureDistance",
        "squared differences of nine unit-length SqueezeNet activations, RGB, no learnt weights",
        "features",
        "lower",
        networks=("squeezenet1_0",),
        libraries=("torch", "torchvision"),
    ),
    *(
        MetricProtocol(
            f"lpips_{short}",
            "lpips:Lpips",
            _LPIPS,
            "features",
            "lower",
            networks=(network,),
            libraries=("torch", "torchvision"),
        )
        for short, network in (("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet1_1"))
    ),
    MetricProtocol(
        "frechet_distance",
        "frechet:FrechetDistance",
        "Fréchet distance of all results to all truths, mean activations of the network's last layer, RGB",
        "sets",
        "lower",
        networks=("squeezenet1_0", "squeezenet1_1", "vgg16"),
        libraries=("numpy", "torch", "torchvision"),
    ),
    MetricProtocol(
        "fid",
        "inception:InceptionVectors",
        "FID (Heusel et al. 2017) of all results to all truths, RGB",
        "sets",
        "lower",
        resize="to 299×299 px, bilinear without antialiasing",
        networks=("inception_fid",),
        libraries=("numpy", "torch", "torchvision"),
    ),
    MetricProtocol(
        "frechet_classifier",
        "",
        "Fréchet distance of samples to held-out images, 84 features of a classifier trained on the training images",
        "samples",
        "lower",
        libraries=("numpy", "torch"),
    ),
    MetricProtocol(
        "label_accuracy",
        "",
        "share of samples that the same classifier takes for the class that was asked for",
        "samples",
        libraries=("torch",),
    ),
    MetricProtocol(
        "code_accuracy",
        "",
        "share of samples whose class is the one that their categorical code stands for, by the best assignment",
        "samples",
        libraries=("torch",),
    ),
    MetricProtocol(
        "classes_seen", "", "classes that the same classifier finds among the samples", "samples", libraries=("torch",)
    ),
    MetricProtocol(
        "precision",
        "",
        "share of samples within the region of the held-out images (Kynkäänniemi et al. 2019), the same 84 features",
        "samples",
        libraries=("numpy", "torch"),
    ),
    MetricProtocol(
        "recall",
        "",
        "share of held-out images within the region of the samples (Kynkäänniemi et al. 2019), the same 84 features",
        "samples",
        libraries=("numpy", "torch"),
    ),
    MetricProtocol(
        "attribute_accuracy",
        "",
        "share of samples that show what their caption's row says, by a classifier trained on the training images",
        "samples",
        libraries=("torch",),
    ),
    MetricProtocol(
        "code_correlation",
        "",
        "correlation of a continuous code with slant, width, height or brightness, the strongest for one value of c1",
        "samples",
    ),
    MetricProtocol(
        "kernel_distance",
        "",
        "squared kernel distance (Bińkowski et al. 2018), the features of frechet_distance",
        "samples",
        "lower",
        libraries=("numpy", "torch", "torchvision"),
    ),
    MetricProtocol(
        "detail",
        "",
        "energy of the finest detail of samples, divided by that of held-out images: 1 is theirs",
        "samples",
        "neither",
        libraries=("numpy", "opencv"),
    ),
    MetricProtocol("diversity", "", "mean distance of two samples, divided by that of two held-out images", "samples"),
    MetricProtocol(
        "nearest_training",
        "",
        "median distance to the nearest training image (RMS, 0 to 255): far below that of held-out images is memorised",
        "samples",
        "neither",
        resize="to 16×16 px",
        libraries=("numpy", "opencv"),
    ),
)

METRICS: Mapping[str, MetricProtocol] = {metric.name: metric for metric in _TABLE}

ALIASES = {"l1": "l1_percent", "l2": "l2_percent", "lpips": "lpips_alex", "psnr": "psnr_rgb", "ssim": "ssim_rgb"}
"""Short names, for what is typed; metrics are shown under the full ones."""

_CLASS_SCORE = re.compile(r"class_score:(\d{1,3})")
_CLASS_PROTOCOL = MetricProtocol(
    "class_score",
    "class_score:ClassScore",
    "probability of one ImageNet class for the result alone",
    "class",
    resize="short side to 256 px, middle 224 px",
    networks=("squeezenet1_0",),
    libraries=("torch", "torchvision"),
)


def find(name: str) -> MetricProtocol:
    """The metric called ``name``, a short name too; ``class_score:950`` is one of ImageNet's class 950.

    Raises UsageError with the nearest name.
    """
    if _CLASS_SCORE.fullmatch(name):
        return replace(_CLASS_PROTOCOL, name=name)
    full = ALIASES.get(name, name)
    if full not in METRICS:
        raise UsageError(f"unknown metric {name!r}{did_you_mean(name, [*METRICS, 'class_score:N'])}")
    return METRICS[full]


def find_all(names: Iterable[str]) -> tuple[MetricProtocol, ...]:
    """The metrics of several names, each once, in their order. Raises UsageError."""
    return tuple({metric.name: metric for metric in map(find, names)}.values())


RECIPE_FIGURES: Mapping[str, Better] = {
    "perceptual": "lower",
    "l1_and_features": "lower",
    "frechet": "lower",
    "cycle_l1": "lower",
}
"""Validation metrics that recipes compute themselves, from the losses they train with."""


def higher_is_better(figure: str) -> bool:
    """Whether larger values of a validation metric are better. Raises UsageError for an unknown one."""
    better = RECIPE_FIGURES[figure] if figure in RECIPE_FIGURES else find(figure).better
    if better == "neither":
        raise UsageError(f"{figure}: neither more nor less of it is better, so it chooses no weights")
    return better == "higher"
