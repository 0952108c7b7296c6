"""What a run would do, make and take, without writing anything. torch is imported for the estimate only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gantools.errors import ImageError
from gantools.images.io import reader
from gantools.inference.options import InferOptions
from gantools.jobs.plan import Job
from gantools.jobs.result import Result, failed, untouched

if TYPE_CHECKING:
    from gantools.images.image import Pixels
    from gantools.inference.model import Model

TRIAL_PX = 192
"""Side of the tile that is tried."""

Size = tuple[int, int]


def dry_run(jobs: Sequence[Job], scale: int, options: InferOptions) -> list[Result]:
    """What would become of each job, as far as the headers of its files say: not those of pipes and URLs."""
    results = []
    for job in jobs:
        try:
            if _has_header(job):
                options.check_output_size(*_stated_size(job, options), scale)
            results.append(untouched(job, "skipped" if job.skip else "planned"))
        except ImageError as error:
            results.append(failed(job, error, 0.0, None))
    return results


def _has_header(job: Job) -> bool:
    """Whether the job has a local file that would be read."""
    return not job.skip and isinstance(job.source, Path) and os.path.isfile(job.source)


def _stated_size(job: Job, options: InferOptions) -> Size:
    """Width and height of a job's file. Raises ImageError for one that would not be decoded."""
    assert isinstance(job.source, Path)
    limit = reader.MAX_PIXELS if options.max_pixels is None else options.max_pixels
    header = reader.probe(job.source, name=job.input, max_pixels=limit, first_frame=options.frames == "first")
    return header.width, header.height


def sizes_of(jobs: Sequence[Job], options: InferOptions) -> list[Size]:
    """Width and height of every image that would be made and whose size can be known."""
    found = []
    for job in jobs:
        if _has_header(job):
            try:
                found.append(_stated_size(job, options))
            except ImageError:
                continue  # the dry run says what is wrong with it
    return found


def estimate(sizes: Sequence[Size], model: Model, options: InferOptions) -> str:
    """One line about the time and memory that images of these sizes would take, from a trial on a small tile."""
    from gantools.inference.scaling import Scaling
    from gantools.inference.tiling.tile_io import padded_sides

    scaling = Scaling.of(model.export, options.scale_to)
    seen = [padded_sides(*scaling.size(height, width), model) for width, height in sizes]
    seen_px = sum(height * width for height, width in seen)
    total_seconds = seen_px * _trial_seconds(model, options) / TRIAL_PX**2
    feature_bytes = max(_feature_bytes(height * width, model, options) for height, width in seen)
    sample_bytes = max(3 * width * height * (1 + 2 * model.export.scale**2) for width, height in sizes)
    total_bytes = _resident_bytes() + feature_bytes + sample_bytes
    minutes, seconds = divmod(round(total_seconds), 60)
    time_text = f"{minutes} min {seconds} s" if minutes else f"{total_seconds:.1f} s"
    images = "1 image" if len(sizes) == 1 else f"{len(sizes)} images"
    return (
        f"estimate: {images}, {seen_px / 1e6:.2f} megapixels through the network: about {time_text} on "
        f"{model.device}, by a trial of {TRIAL_PX}×{TRIAL_PX} px, and {total_bytes / 1e9:.1f} GB of memory; "
        "reading and writing come on top"
    )


def _trial_seconds(model: Model, options: InferOptions) -> float:
    """Seconds that a tile takes, once the network is prepared for its size."""
    from gantools.inference.tiling.forward import translate

    tile: Pixels = np.random.default_rng(0).integers(0, 256, (TRIAL_PX, TRIAL_PX, 3), np.uint8)
    for _ in range(2):
        started = time.perf_counter()
        mask = np.zeros((TRIAL_PX, TRIAL_PX), np.bool_) if model.sees_masks else None
        translate(tile, model, mask=mask, tile=options.tile, tta=options.tta)
    return time.perf_counter() - started


def _feature_bytes(px: int, model: Model, options: InferOptions) -> int:
    """What the features of an image take: no more than is comfortable where it can go through in parts."""
    from gantools.inference.memory import memory_of
    from gantools.inference.tiling.context import ExecutionContext

    context = ExecutionContext(model, model.autocast, options.tile, options.tta, memory_of(model.device))
    whole = int(px * context.activation_bytes_per_px())
    in_parts = not model.network.training and (model.generator.halo_px is not None or context.row_network() is not None)
    return min(whole, context.memory.preferred_bytes()) if in_parts and options.tile != 0 else whole


def _resident_bytes() -> int:
    """What the program takes at the most so far, the network included; 0 on Windows, where it is not known."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
