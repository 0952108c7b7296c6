"""How large inputs and results may be."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gantools.errors import ImageError
from gantools.images.io import reader
from gantools.inference.options import Settings
from gantools.inference.plan import Job
from gantools.jobs.result import Result, failed, untouched

OUTPUT_PIXELS_PER_MAX_PIXELS = 4
"""An output may have this many times ``max_pixels``, so that ×4 of an ordinary photo is within the limit."""


def require_output(width: int, height: int, scale: int, max_pixels: int | None) -> None:
    """Raise ImageError when ``scale`` times an image of this size is over the limit for results.

    ``max_pixels`` is the limit for inputs; None: the reader's.
    """
    width, height = width * scale, height * scale
    limit = OUTPUT_PIXELS_PER_MAX_PIXELS * (reader.MAX_PIXELS if max_pixels is None else max_pixels)
    if width * height > limit:
        raise ImageError(
            f"the result of {width}×{height} would be {width * height:,} pixels, over the limit of {limit:,}; "
            "raise it with --max-pixels"
        )


def rehearsed(jobs: Sequence[Job], scale: int, settings: Settings) -> list[Result]:
    """What would become of each job, as far as the headers of its files say; of pipes nothing is known before."""
    return [untouched(job) if job.skip else _rehearsed(job, scale, settings) for job in jobs]


def _rehearsed(job: Job, scale: int, settings: Settings) -> Result:
    try:
        size = None if job.source is None or not os.path.isfile(job.source) else stated_size(job, settings)
        if size is not None:
            require_output(*size, scale, settings.max_pixels)
    except ImageError as error:
        return failed(job, error, 0.0, None)
    return untouched(job, "planned")


def stated_size(job: Job, settings: Settings) -> tuple[int, int]:
    """Width and height of a job's file. Raises ImageError for one that would not be decoded."""
    assert job.source is not None
    limit = reader.MAX_PIXELS if settings.max_pixels is None else settings.max_pixels
    header = reader.probe(job.source, name=job.input, max_pixels=limit, first_frame=settings.first_frame)
    return header.width, header.height
