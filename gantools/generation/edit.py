"""``gantools edit``: images moved along a direction, as a strip, a moving image, or files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from gantools import files
from gantools.errors import UsageError
from gantools.generation import directions, style_files, style_rows, walk
from gantools.generation.directions import Direction
from gantools.generation.latents import Sample, Vectors
from gantools.generation.model import LatentModel
from gantools.generation.options import EditOptions
from gantools.generation.run import image_path
from gantools.generation.styled import Job, Work, mean_style, open_styled, planned, write_still
from gantools.images.image import Pixels
from gantools.images.ops.color import as_rgb
from gantools.images.ops.grid import grid

MOVING = (".gif", ".webp", ".apng", ".mp4")


@dataclass(frozen=True)
class _Edit:
    """What is shown: images at distances along a direction."""

    model: LatentModel
    direction: Direction
    samples: tuple[Sample, ...]
    distances: tuple[float, ...]
    rows: tuple[int, ...]

    def image(self, sample: Sample, distance: float) -> Pixels:
        """A sample at a distance."""
        styles = self.direction.moved(cast(Vectors, sample.styles), distance, self.rows)
        return self.model.images([replace(sample, styles=styles)])[0]

    def strip(self) -> Pixels:
        """A row for each sample."""
        return grid([[as_rgb(self.image(each, at)) for at in self.distances] for each in self.samples])

    def frames(self, *, back: bool) -> Iterator[Pixels]:
        """All samples side by side at each distance; ``back`` returns to the first one."""
        there = [*self.distances, *self.distances[-2:0:-1]] if back else self.distances
        for at in there:
            images = [self.image(each, at) for each in self.samples]
            yield images[0] if len(images) == 1 else grid([[as_rgb(each) for each in images]])


def plan(path: Path, label: str, sources: Sequence[str], options: EditOptions) -> Work:
    """Settle what is edited and where it goes. Raises UsageError, and ModelFileError for other files."""
    if not sources:
        raise UsageError("name an image to edit, such as seed:85 or a file of styles")
    model = open_styled(path, options.device, options.noise)
    direction = directions.read(directions.find(path, options.direction))
    others = [directions.read(directions.find(path, each, "--keep")) for each in options.keep or ()]
    for each in (direction, *others):
        directions.require_fitting(each, len(mean_style(model)))
    samples = [
        sample
        for given in sources
        for sample in style_files.samples_of(model, given, options.label, options.truncation)
    ]
    distances = np.linspace(options.start, options.end, options.steps).tolist()
    rows = style_rows.parse(options.rows, model.latent.rows)
    edit = _Edit(model, direction.keeping(others), tuple(samples), tuple(distances), rows)
    notes = [*_notes(edit), *_strange(path, [direction, *others])]
    return planned(
        path,
        model.recipe,
        _jobs(edit, label, options),
        notes,
        skip_existing=options.skip_existing,
        overwrite=options.overwrite,
    )


def _notes(edit: _Edit) -> list[str]:
    """How distances are measured, and which rows move."""
    single = [each.name for each in edit.samples if directions.is_single(cast(Vectors, each.styles))]
    others = [each.name for each in edit.samples if each.name not in single]
    rows = f"rows {style_rows.ranges(edit.rows)} ({style_rows.sides(edit.rows)})"
    ends = f"{edit.distances[0]:g} to {edit.distances[-1]:g}"
    notes = []
    if single:
        notes.append(f"{_some(single)}: {edit.direction.name} {ends} from its boundary (styles in W), {rows}")
    if others:
        notes.append(f"{_some(others)}: {edit.direction.name} {ends} from where it is (styles in W+), {rows}")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _strange(path: Path, used: Sequence[Direction]) -> list[str]:
    """A line for each direction that was learnt with other weights."""
    stated = [each for each in used if each.about.get("model")]
    own = files.sha256(path) if stated else ""
    strange = [each.name for each in stated if each.about["model"] != own]
    return [f"{name}: was learnt with other weights, and may do something else here" for name in strange]


def _jobs(edit: _Edit, label: str, options: EditOptions) -> list[Job]:
    single = edit.samples[0].name if len(edit.samples) == 1 else label
    path = Path(options.output) if options.output else Path(f"{single}-{edit.direction.name}.png")
    if not path.suffix or path.is_dir():
        return [
            Job(name, path / f"{name}.png", write_still(partial(edit.image, sample, at)))
            for sample in edit.samples
            for number, at in enumerate(edit.distances)
            for name in (f"{sample.name}-{edit.direction.name}-{number:02d}",)
        ]
    title = f"{len(edit.samples)}x{len(edit.distances)} images"
    if path.suffix.lower() not in MOVING:
        return [Job(title, image_path(path), write_still(edit.strip))]

    def write(output: Path) -> tuple[int, int]:
        frames = edit.frames(back=options.loop)
        first = next(frames)
        walk.write(itertools.chain([first], frames), output, fps=options.fps, loop=options.loop)
        return first.shape[1], first.shape[0]

    return [Job(title, path, write)]
