"""A list of degradations, done one after the other: the loaders' bad versions of good photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from gantools.data.degrade import blur, crappify, real
from gantools.data.degrade.crappify import Chance
from gantools.data.options.degradations import Degradation, LowResolutionOptions, OneOfOptions, SingleDegradation
from gantools.images.image import Pixels

_COMPRESSIONS = ("jpeg", "webp")
_ENLARGEMENTS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


def degrade(
    photo: Pixels,
    degradations: Sequence[Degradation],
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
) -> Pixels:
    """A bad version of ``photo``, of its size or of ``size`` (height, width).

    Each compression has a draw of its own; where a number is written, all share the number's: with equal ranges it is
    the quality, as in the source.
    Shapes: uint8 (H, W, 3) → (H, W, 3), or (h, w, 3).
    Differs from the source, whose small images become large where they are loaded: here it is the end of the list.
    """
    height, width = size or photo.shape[:2]
    chance = Chance(rng, float(rng.random()), (height, width))
    chosen = list(_chosen(degradations, rng))
    names_number = any(one.name == "text" for one in chosen)
    bad, resizing = photo, cv2.INTER_LINEAR
    for options in chosen:
        if rng.random() < options.share:
            bad = _FUNCTIONS[options.name](bad, options, chance)
        if isinstance(options, LowResolutionOptions):
            resizing = _ENLARGEMENTS[options.enlarge]
        if options.name in _COMPRESSIONS and not names_number:
            chance = chance._replace(badness=float(rng.random()))
    if bad.shape[:2] != (height, width):
        bad = real.resized(bad, height, width, resizing)
    return bad


def _chosen(degradations: Sequence[Degradation], rng: np.random.Generator) -> Iterator[SingleDegradation]:
    """The degradations with one list drawn for each ``one_of``."""
    for options in degradations:
        if not isinstance(options, OneOfOptions):
            yield options
        elif rng.random() < options.share:
            weights = np.array(options.weights or [1.0] * len(options.of))
            yield from options.of[int(rng.choice(len(weights), p=weights / weights.sum()))]


_FUNCTIONS: Mapping[str, Callable[[Pixels, Any, Chance], Pixels]] = {
    "low_resolution": crappify.low_resolution,
    "text": crappify.text,
    "jpeg": crappify.jpeg,
    "webp": real.webp,
    "gray": lambda photo, _options, _chance: crappify.gray(photo),
    "noise": crappify.noise,
    "poisson": real.poisson,
    "gaussian_blur": real.gaussian_blur,
    "sinc": real.sinc,
    "camera_blur": lambda photo, options, chance: blur.blurred(photo, chance.rng, options.blur),
    "resize": real.resize,
    "input_size": real.input_size,
    "missing": crappify.missing,
}
