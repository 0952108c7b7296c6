"""``gantools mix``: images with some rows of styles of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from gantools.errors import UsageError
from gantools.generation import style_files, style_rows
from gantools.generation.latents import Sample, Vectors
from gantools.generation.model import LatentModel
from gantools.generation.options import MixOptions
from gantools.generation.run import image_path
from gantools.generation.styled import Job, Work, open_styled, planned, write_still
from gantools.images.image import Pixels
from gantools.images.ops.color import as_rgb
from gantools.images.ops.grid import grid


def mixed(a: Sample, b: Sample, rows: Sequence[int]) -> Sample:
    """``a`` with rows of the styles of ``b``; its noise stays. Both have styles."""
    styles = cast(Vectors, a.styles).copy()
    styles[list(rows)] = cast(Vectors, b.styles)[list(rows)]
    return replace(a, styles=styles)


def plan(path: Path, label: str, sources: Sequence[str], options: MixOptions) -> Work:
    """Settle what is mixed and where it goes. Raises UsageError, and ModelFileError for other files."""
    in_grid = options.row_images is not None or options.column_images is not None
    if in_grid and (sources or options.row_images is None or options.column_images is None or options.both):
        raise UsageError("a sheet is made of --rows-seeds and --cols together, without A, B and --both")
    if not in_grid and len(sources) != 2:
        raise UsageError(
            f"{len(sources)} images are named; give two, such as seed:85 seed:100, or --rows-seeds, --cols"
        )
    model = open_styled(path, options.device, options.noise)
    rows = style_rows.parse(options.rows, model.latent.rows)
    word = options.rows if options.rows in style_rows.SETS else style_rows.ranges(rows)
    if in_grid:
        jobs = [_sheet(model, label, options, rows)]
        into = "of the columns go into the rows"
    else:
        a, b = (_sample(model, each, options) for each in sources)
        jobs = _pairs(model, a, b, rows, word, options)
        into = f"of {b.name} go into {a.name}" + (", and the other way round" if options.both else "")
    note = (
        f"rows {style_rows.ranges(rows)} ({style_rows.sides(rows)}) {into}; {style_rows.described(model.latent.rows)}"
    )
    return planned(path, model.recipe, jobs, [note], skip_existing=options.skip_existing, overwrite=options.overwrite)


def _sample(model: LatentModel, given: str, options: MixOptions) -> Sample:
    return style_files.sample_of(model, given, options.label, options.truncation)


def _pairs(model: LatentModel, a: Sample, b: Sample, rows: Sequence[int], word: str, options: MixOptions) -> list[Job]:
    """One image, or both directions."""
    given = Path(options.output) if options.output else None
    pairs = [(a, b), (b, a)] if options.both else [(a, b)]
    names = [f"{into.name}-{word}-of-{other.name}" for into, other in pairs]
    if given is not None and given.suffix and not given.is_dir():
        if options.both:
            raise UsageError(f"-o {given}: is one image, and --both makes two; give a folder")
        outputs = [image_path(given)]
    else:
        outputs = [(given or Path()) / f"{name}.png" for name in names]
    return [
        Job(name, output, write_still(partial(_image, model, mixed(into, other, rows))))
        for name, output, (into, other) in zip(names, outputs, pairs, strict=True)
    ]


def _image(model: LatentModel, sample: Sample) -> Pixels:
    return model.images([sample])[0]


def _sheet(model: LatentModel, label: str, options: MixOptions, rows: Sequence[int]) -> Job:
    """Mixtures of all pairs, their sources at the edges."""
    left, top = (
        [_sample(model, each, options) for each in given or ()] for given in (options.row_images, options.column_images)
    )

    def make() -> Pixels:
        sources = [[as_rgb(_image(model, each)) for each in edge] for edge in (left, top)]
        corner = np.full_like(sources[0][0], 255)
        lines = [[corner, *sources[1]]]
        for a, shown in zip(left, sources[0], strict=True):
            lines.append([shown, *(as_rgb(_image(model, mixed(a, b, rows))) for b in top)])
        return grid(lines)

    output = image_path(Path(options.output or f"{label}-mix.png"))
    return Job(f"{len(left)}x{len(top)} mixtures", output, write_still(make))
