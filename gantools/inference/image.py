"""What a network makes of one picture, beside its files: colours, depth, transparency, gray, holes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from gantools.images.image import Image, Pixels
from gantools.images.ops import color
from gantools.images.ops.masks import Mask
from gantools.images.ops.resize import resize_bicubic
from gantools.images.ops.transparency import restore, spread
from gantools.inference import inpainting, sizes
from gantools.inference.model import Model
from gantools.inference.options import Settings
from gantools.inference.pipeline.batches import Joint
from gantools.inference.pipeline.results import Run
from gantools.inference.plan import Job
from gantools.inference.scaling import Scaling
from gantools.inference.tiling.forward import translate
from gantools.models.options import ContextEncoderOptions

_NOTICEABLE = 0.02
_VEIL = 2 / 255
"""So little opacity above clear pixels is a network's noise."""


def run(model: Model, jobs: Sequence[Job], settings: Settings) -> Run:
    """Carry out the jobs, one result for each in their order; a failed one does not stop those after it."""
    return put_through(model, Run(jobs, settings), settings)


def put_through(model: Model, run: Run, settings: Settings) -> Run:
    """Put the pictures of a run, which the run prepares itself, through the network."""
    prepared = settings if settings.prepare_at == "resized" else replace(settings, prepare=None)
    finish = partial(_finished_from, model=model, settings=prepared)
    check = partial(_require_size, model=model, settings=prepared)
    joint = Joint(model, prepared, check, finish, run.pictures, overlap=model.device.type == "cuda")
    masked = model.export.takes == "masked"
    return run.change(lambda picture, job: make(picture, job, model, prepared), None if masked else joint)


def make(picture: Image, job: Job, model: Model, settings: Settings) -> Image:
    """What the network makes of a job's picture, or of what is missing from it. Raises ImageError or UsageError."""
    if model.export.takes == "picture":
        return process(picture, model, settings)
    hole = inpainting.hole_in(picture, job, settings.mask, _center_px(model))
    return complete(inpainting.without_alpha_hole(picture, settings.mask), hole, model, settings)


def complete(picture: Image, hole: Mask, model: Model, settings: Settings) -> Image:
    """Fill the hole of a picture; every other sample stays as it is, and so do size, depth, alpha and metadata.

    Raises UsageError when the network cannot fill a hole as large as this.
    """
    predict = partial(translate, model=model, tile=settings.tile, tta=settings.tta)
    fill = partial(inpainting.fill_by_picture, predict=predict, trained_px=_trained_px(model))
    if _fills_the_middle(model):
        fill = partial(
            inpainting.fill_by_center, predict=predict, side_px=_trained_px(model), hole_px=_center_px(model)
        )
    filled = Scaling.of(model.export, settings).filled(_seen(picture, settings), hole, fill)
    if settings.alpha != "drop":
        restore(filled, picture)
    gray = picture.gray and _stays_gray(model, settings)
    alpha = None if settings.alpha == "drop" else picture.alpha
    return replace(picture, pixels=_in_gray(filled) if gray else filled, alpha=alpha, gray=gray)


def process(picture: Image, model: Model, settings: Settings) -> Image:
    """Put a picture through the network: ``scale`` times its size exactly, depth, alpha, gray and metadata kept.

    Raises ImageError when the result would be too large, does not fit the memory, or is not finite.
    """
    at_original = settings.prepare is not None and settings.prepare_at == "original"
    given = settings.prepare(picture) if settings.prepare is not None and at_original else picture
    _require_size(given, model, settings)
    return _finished_from(given, _applied(_seen(given, settings), model, settings), model, settings)


def _applied(pixels: Pixels, model: Model, settings: Settings) -> Pixels:
    """What the network makes of colours, at the size at which it sees them."""
    seen = Scaling.of(model.export, settings).seen(pixels)
    return translate(seen, model, tile=settings.tile, tta=settings.tta)


def _finished_from(given: Image, made: Pixels, model: Model, settings: Settings) -> Image:
    """A picture from what the network made of what it saw of it."""
    return finished(given, Scaling.of(model.export, settings).result(made, given.pixels), model, settings)


def finished(given: Image, pixels: Pixels, model: Model, settings: Settings) -> Image:
    """A picture with what the network made of its colours, and its transparency beside them."""
    gray = given.gray and _stays_gray(model, settings)
    if model.generator.scale == 1 and settings.alpha != "drop":
        restore(pixels, given)
    return replace(
        given,
        pixels=_in_gray(pixels) if gray else pixels,
        alpha=_alpha(given, model, settings),
        gray=gray or model.options.out_channels == 1,
    )


def _seen(picture: Image, settings: Settings) -> Pixels:
    """The colours that a network is shown: those that nobody sees are not among them, unless they come to light."""
    return picture.pixels if settings.alpha == "drop" else spread(picture)


def _alpha(picture: Image, model: Model, settings: Settings) -> Pixels | None:
    """The result's transparency: resized beside the colours, or made by the network where that is not fully clear."""
    scale = model.generator.scale
    if picture.alpha is None or settings.alpha == "drop":
        return None
    resized = picture.alpha if scale == 1 else resize_bicubic(picture.alpha[..., None], scale=scale)[..., 0]
    if settings.alpha == "keep":
        return resized
    given, plain = color.gray_to_rgb(picture.alpha), replace(settings, prepare=None)
    made = color.gray(Scaling.of(model.export, plain).result(_applied(given, model, plain), given))
    clear = cv2.resize((picture.alpha == 0).astype(np.uint8), made.shape[::-1], interpolation=cv2.INTER_NEAREST)
    made[(clear == 1) & ((resized == 0) | (made <= _VEIL * np.iinfo(made.dtype).max))] = 0
    return made


def _trained_px(model: Model) -> int:
    return model.export.trained_px or model.generator.minimum_size_px


def _fills_the_middle(model: Model) -> bool:
    return isinstance(model.options, ContextEncoderOptions) and model.options.region == "center"


def _center_px(model: Model) -> int:
    """Side of the square that a network was trained to fill in the middle."""
    overlap_px = model.options.overlap_px if isinstance(model.options, ContextEncoderOptions) else 0
    return _trained_px(model) // 2 - (2 * overlap_px if _fills_the_middle(model) else 0)


def _stays_gray(model: Model, settings: Settings) -> bool:
    return (model.export.gray if settings.gray == "auto" else settings.gray) == "keep"


def _in_gray(pixels: Pixels) -> Pixels:
    """Take the colours out, and say so where there were some."""
    gray = color.gray_to_rgb(color.gray(pixels))
    if cv2.norm(gray, pixels, cv2.NORM_L1) > _NOTICEABLE * np.iinfo(pixels.dtype).max * pixels.size:
        warnings.warn("a gray picture stays gray; --gray color gives the colours that the network made", stacklevel=2)
    return gray


def _require_size(picture: Image, model: Model, settings: Settings) -> None:
    """Refuse what would grow beyond reason before the memory for it is asked for."""
    seen = Scaling.of(model.export, settings).size(picture.height, picture.width)
    for height, width in ((picture.height, picture.width), seen):
        sizes.require_output(width, height, model.generator.scale, settings.max_pixels)
