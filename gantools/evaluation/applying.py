"""Pictures through a model on the way of ``gantools infer``: the only place here that knows the engine."""

from __future__ import annotations

from pathlib import Path

from gantools.images.image import Image, Pixels, to_8_bit
from gantools.images.io import reader
from gantools.images.ops.masks import Mask
from gantools.inference import image as engine
from gantools.inference.model import Model
from gantools.inference.options import ScaleTo, Settings
from gantools.inference.plan import Job


def made_of(pixels: Pixels, model: Model, scale_to: ScaleTo = "auto") -> Pixels:
    """What a model makes of a picture. Shapes: uint8 [H, W, 3] → ``scale`` times as large."""
    return engine.process(Image(pixels), model, Settings(scale_to=scale_to)).pixels


def filled(pixels: Pixels, hole: Mask, model: Model, scale_to: ScaleTo = "auto") -> Pixels:
    """A picture whose hole a model has filled. Shapes: uint8 [H, W, 3], bool [H, W]."""
    return engine.complete(Image(pixels), hole, model, Settings(scale_to=scale_to)).pixels


def made_from(path: Path, model: Model, mask: str | None, scale_to: ScaleTo = "auto") -> Pixels:
    """What a model makes of a picture file, as ``gantools infer`` would; ``mask`` and ``scale_to`` as its options.

    Raises ImageError for a picture that cannot be used, UsageError for a mask that does not fit.
    """
    job = Job(path.name, path, None, None)
    settings = Settings(mask=mask, scale_to=scale_to)
    made = engine.make(reader.read(path, name=str(path)), job, model, settings)
    return to_8_bit(made.pixels)
