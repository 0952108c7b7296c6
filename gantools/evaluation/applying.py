"""Pictures through a model on the way of ``gantools infer``: the only place here that knows the engine."""

from __future__ import annotations

from gantools.images.holes import Hole
from gantools.images.picture import Picture, Pixels
from gantools.inference import engine
from gantools.inference.bundle import Model
from gantools.inference.settings import Settings


def made_of(pixels: Pixels, model: Model) -> Pixels:
    """What a model makes of a picture. Shapes: uint8 [H, W, 3] → ``scale`` times as large."""
    return engine.process(Picture(pixels), model, Settings()).pixels


def filled(pixels: Pixels, hole: Hole, model: Model) -> Pixels:
    """A picture whose hole a model has filled. Shapes: uint8 [H, W, 3], bool [H, W]."""
    return engine.complete(Picture(pixels), hole, model, Settings()).pixels
