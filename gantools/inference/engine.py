"""The way of one picture: decode, pre-process, network, post-process, encode.

Each step is a function of its own that hands a value on, so that a pipeline can run them beside each other.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

import cv2
import numpy as np

from gantools.errors import ImageError
from gantools.images import reader, writer
from gantools.images.color import resize_bicubic
from gantools.images.holes import Hole
from gantools.images.picture import Picture, Pixels
from gantools.inference import composer, missing
from gantools.inference.bundle import Model
from gantools.inference.forward import from_gray, luma, translate
from gantools.inference.plan import Job
from gantools.inference.settings import Settings
from gantools.jobs.result import Result, failed, untouched
from gantools.models.options import ContextEncoderOptions

OUTPUT_PIXELS_PER_MAX_PIXELS = 4
"""An output may have this many times ``max_pixels``, so that ×4 of an ordinary photo is within the limit."""

_NOTICEABLE = 0.02


def run(model: Model, jobs: Iterable[Job], settings: Settings) -> Iterator[Result]:
    """Carry out the jobs one after the other, one result for each; a failed one does not stop those after it."""
    for job in jobs:
        result = untouched(job) if job.skip else carry_out(job, model, settings)
        yield result
        if result.status == "failed" and settings.fail_fast:
            return


def carry_out(job: Job, model: Model, settings: Settings) -> Result:
    """Take one picture through the network, from file to file."""
    return carry_over(job, partial(make, job=job, model=model, settings=settings), settings)


def carry_over(job: Job, change: Callable[[Picture], Picture], settings: Settings) -> Result:
    """Take one picture from file to file. Whatever it makes a library raise is this picture's failure."""
    started, size = time.perf_counter(), None
    try:
        picture = decode(job, settings)
        size = (picture.width, picture.height)
        made = change(picture)
        content = encode(made, job, settings)
    except Exception as error:
        return failed(job, error, time.perf_counter() - started, size)
    seconds = time.perf_counter() - started
    return Result(
        job.input,
        job.output,
        "done",
        seconds,
        input_size=size,
        output_size=(made.width, made.height),
        content=content,
    )


def decode(job: Job, settings: Settings) -> Picture:
    """Read a job's picture from its file or from standard input. Raises ImageError."""
    return reader.read(
        sys.stdin.buffer.read() if job.source is None else job.source,
        name=job.input,
        max_pixels=_max_pixels(settings),
        allow_truncated=settings.allow_truncated,
        first_frame=settings.first_frame,
    )


def encode(picture: Picture, job: Job, settings: Settings) -> bytes | None:
    """Write a job's picture to its file, or return the content where it has none. Raises ImageError or UsageError."""
    kind = job.format or picture.format
    quality, depth, metadata = settings.quality, settings.depth, settings.metadata
    alpha: Literal["keep", "drop"] = "drop" if settings.alpha == "drop" else "keep"
    if job.output is None:
        return writer.encode(picture, kind, quality=quality, depth=depth, metadata=metadata, alpha=alpha)
    try:
        writer.save(picture, job.output, format=kind, quality=quality, depth=depth, metadata=metadata, alpha=alpha)
    except OSError as error:
        raise ImageError(f"{str(job.output)!r} cannot be written: {error.strerror or error}") from error
    return None


def make(picture: Picture, job: Job, model: Model, settings: Settings) -> Picture:
    """What the network makes of a job's picture, or of what is missing from it. Raises ImageError or UsageError."""
    if model.export.takes == "picture":
        return process(picture, model, settings)
    hole = missing.hole_in(picture, job, settings.mask, _center_px(model))
    return complete(missing.without_alpha_hole(picture, settings.mask), hole, model, settings)


def complete(picture: Picture, hole: Hole, model: Model, settings: Settings) -> Picture:
    """Fill the hole of a picture; every other sample stays as it is, and so do size, depth, alpha and metadata.

    Raises UsageError when the network cannot fill a hole as large as this.
    """
    predict, side_px = partial(translate, model=model), _trained_px(model)
    if _fills_the_middle(model):
        filled = composer.fill_by_center(picture.pixels, hole, predict, side_px, _center_px(model))
    else:
        filled = composer.fill_by_picture(picture.pixels, hole, predict, side_px)
    gray = picture.gray and _stays_gray(model, settings)
    alpha = None if settings.alpha == "drop" else picture.alpha
    return replace(picture, pixels=_in_gray(filled) if gray else filled, alpha=alpha, gray=gray)


def process(picture: Picture, model: Model, settings: Settings) -> Picture:
    """Put a picture through the network: ``scale`` times its size exactly, depth, alpha, gray and metadata kept.

    Raises ImageError when the result would be too large, does not fit the memory, or is not finite.
    """
    given = picture if settings.prepare is None else settings.prepare(picture)
    _require_size(given, model, settings)
    gray = given.gray and _stays_gray(model, settings)
    pixels = translate(given.pixels, model)
    return replace(
        given,
        pixels=_in_gray(pixels) if gray else pixels,
        alpha=_alpha(given, model, settings),
        gray=gray or model.options.out_channels == 1,
    )


def _alpha(picture: Picture, model: Model, settings: Settings) -> Pixels | None:
    """The result's transparency: resized beside the colours, or made by the network."""
    scale = model.generator.scale
    if picture.alpha is None or settings.alpha == "drop":
        return None
    if settings.alpha == "process":
        return luma(translate(from_gray(picture.alpha), model))
    return picture.alpha if scale == 1 else resize_bicubic(picture.alpha[..., None], scale=scale)[..., 0]


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
    gray = from_gray(luma(pixels))
    if cv2.norm(gray, pixels, cv2.NORM_L1) > _NOTICEABLE * np.iinfo(pixels.dtype).max * pixels.size:
        warnings.warn("a gray picture stays gray; --gray color gives the colours that the network made", stacklevel=2)
    return gray


def _max_pixels(settings: Settings) -> int:
    return reader.MAX_PIXELS if settings.max_pixels is None else settings.max_pixels


def _require_size(picture: Picture, model: Model, settings: Settings) -> None:
    """Refuse what would grow beyond reason before the memory for it is asked for."""
    width, height = picture.width * model.generator.scale, picture.height * model.generator.scale
    limit = OUTPUT_PIXELS_PER_MAX_PIXELS * _max_pixels(settings)
    if width * height > limit:
        raise ImageError(
            f"the result of {width}×{height} would be {width * height:,} pixels, over the limit of {limit:,}; "
            "raise it with --max-pixels"
        )
