"""What commands on styles share: a model that has some, and images planned first and written one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from gantools import files
from gantools.devices import choose_device
from gantools.errors import UsageError
from gantools.generation.latents import Vectors
from gantools.generation.model import LatentModel, open_model
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.images.ops.color import as_rgb
from gantools.jobs import outputs
from gantools.jobs.result import Result, failed, untouched

if TYPE_CHECKING:
    from gantools.models.latent.style import StyleGenerator


@dataclass(frozen=True)
class Job:
    """A file to be written: ``write`` makes it and returns its width and height."""

    input: str
    output: Path
    write: Callable[[Path], tuple[int, int]]


@dataclass(frozen=True)
class Work:
    """Planned files: nothing was written. ``notes`` are lines about how they are made."""

    weights: Path
    recipe: str
    jobs: tuple[Job, ...]
    kept: frozenset[Path]
    notes: tuple[str, ...] = ()

    def run(self) -> Iterator[Result]:
        """Make and write what is planned; one result for each file, in order."""
        files.remove_abandoned({each.output.parent for each in self.jobs})
        for job in self.jobs:
            if job.output in self.kept:
                yield untouched(job)
                continue
            began = time.perf_counter()
            try:
                job.output.parent.mkdir(parents=True, exist_ok=True)
                size = job.write(job.output)
            except Exception as error:
                yield failed(job, error, time.perf_counter() - began, None)
                continue
            yield Result(job.input, job.output, "done", time.perf_counter() - began, output_size=size)


def planned(
    weights: Path, recipe: str, jobs: Sequence[Job], notes: Sequence[str], *, skip_existing: bool, overwrite: bool
) -> Work:
    """The jobs, once it is settled that their outputs may be written. Raises UsageError."""
    existing = outputs.existing_policy(skip_existing, overwrite)
    kept = outputs.settle([(each.input, each.output) for each in jobs], (), existing)
    return Work(weights, recipe, tuple(jobs), kept, tuple(notes))


def open_styled(path: Path, device: str, noise: Literal["const", "random", "none"] = "const") -> LatentModel:
    """Open a model whose images are made from styles. Raises UsageError for another."""
    model = open_model(path, device=choose_device(device))
    if not model.latent.rows:
        raise UsageError(f"'{path}' ({model.recipe}) has no styles as stylegan2 has; use: gantools generate {path}")
    return replace(model, noise=noise)


def mean_style(model: LatentModel) -> Vectors:
    """Shapes: [style_size]."""
    return cast(Vectors, cast("StyleGenerator", model.network).mapping.running_mean.cpu().numpy())


def write_still(make: Callable[[], Pixels]) -> Callable[[Path], tuple[int, int]]:
    """The ``write`` of a job whose image ``make`` makes."""

    def write(output: Path) -> tuple[int, int]:
        pixels = make()
        writer.write(Image(as_rgb(pixels), gray=pixels.shape[2] == 1), output)
        return pixels.shape[1], pixels.shape[0]

    return write
