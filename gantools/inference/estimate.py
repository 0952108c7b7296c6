"""What a run would take: memory by what the network's features take, time by a trial on a small tile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.inference.memory import memory_of
from gantools.inference.model import Model
from gantools.inference.options import Settings
from gantools.inference.plan import Job
from gantools.inference.scaling import Scaling
from gantools.inference.sizes import stated_size
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import translate
from gantools.inference.tiling.tile_io import padded_sides

TRIAL_PX = 192
"""Side of the tile that is tried."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Estimate:
    """Pictures, the pixels of them that the network sees, and what that takes: seconds, and bytes at the most."""

    pictures: int
    seen_px: int
    seconds: float
    bytes: int
    device: str

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        long = f"{minutes} min {seconds} s" if minutes else f"{self.seconds:.1f} s"
        images = "1 image" if self.pictures == 1 else f"{self.pictures} images"
        return (
            f"estimate: {images}, {self.seen_px / 1e6:.2f} megapixels through the network: about {long} on "
            f"{self.device}, by a trial of {TRIAL_PX}×{TRIAL_PX} px, and {self.bytes / 1e9:.1f} GB of memory; "
            "reading and writing come on top"
        )


def sizes_of(jobs: Sequence[Job], settings: Settings) -> list[Size]:
    """Width and height of every picture that would be made and whose size can be known."""
    found = []
    for job in jobs:
        if not job.skip and job.source is not None and os.path.isfile(job.source):
            try:
                found.append(stated_size(job, settings))
            except ImageError:
                continue  # the plan says what is wrong with it
    return found


def estimated(sizes: Sequence[Size], model: Model, settings: Settings) -> Estimate:
    """What pictures of these sizes would take. Shapes: (width, height) each."""
    scaling = Scaling.of(model.export, settings)
    seen = [padded_sides(*scaling.size(height, width), model) for width, height in sizes]
    px = sum(height * width for height, width in seen)
    seconds_per_px = _trial(model, settings) / TRIAL_PX**2
    largest_bytes = max(_features(height * width, model, settings) for height, width in seen)
    held_bytes = max(3 * width * height * (1 + 2 * model.export.scale**2) for width, height in sizes)
    total_bytes = _resident_bytes() + largest_bytes + held_bytes
    return Estimate(len(sizes), px, px * seconds_per_px, total_bytes, str(model.device))


def _trial(model: Model, settings: Settings) -> float:
    """Seconds that a tile takes, once the network is prepared for its size."""
    tile: Pixels = np.random.default_rng(0).integers(0, 256, (TRIAL_PX, TRIAL_PX, 3), np.uint8)
    for _ in range(2):
        started = time.perf_counter()
        translate(tile, model, tile=settings.tile, tta=settings.tta)
    return time.perf_counter() - started


def _features(px: int, model: Model, settings: Settings) -> int:
    """What the features of a picture take: no more than is comfortable where it can go through in parts."""
    context = ExecutionContext(model, model.autocast, settings.tile, settings.tta, memory_of(model.device))
    whole = int(px * context.activation_bytes_per_px())
    in_parts = not model.network.training and (model.generator.halo_px is not None or context.row_network() is not None)
    return min(whole, context.memory.preferred_bytes()) if in_parts and settings.tile != 0 else whole


def _resident_bytes() -> int:
    """What the program takes at the most so far, the network included; 0 on Windows, where it is not known."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
