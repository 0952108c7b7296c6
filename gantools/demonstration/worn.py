"""What the shipped weights make of sample photos that something was done to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantools import api
from gantools.data.loading import sampler
from gantools.data.options.blur import BlurOptions
from gantools.data.options.degradations import JpegOptions, LowResolutionOptions, TextOptions
from gantools.data.options.masks import RandomRegionMask
from gantools.data.prepare.change import Blur, Change, Crappify, Mask, gray
from gantools.errors import ImageError
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.images.ops import grid
from gantools.inference.options import Settings
from gantools.jobs.result import Result

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
HOLES = RandomRegionMask()
MOTION = BlurOptions(motion_weight=1, defocus_weight=0, gaussian_weight=0, motion_px=(7, 10), noise_sigma=(1, 1))


@dataclass(frozen=True)
class Wear:
    """Something that is done to photos, and the weights that undo it, told where by what ``mask`` makes of a photo."""

    weights: str
    label: str
    change: Change
    mask: Change | None = None


WORN = (
    Wear("deblur", "blurred", Blur(MOTION)),
    Wear("restore", "small, written on, JPEG", Crappify((LowResolutionOptions(), TextOptions(), JpegOptions()))),
    Wear("colorize", "gray", gray),
    Wear("context_encoder", "missing", Mask(HOLES, alone=False), mask=Mask(HOLES, alone=True)),
)


def show_worn(folder: Path) -> dict[str, Path]:
    """Wear the sample photos, mend them, and draw a sheet for each of the weights into ``folder``; paths by weights."""
    return {wear.weights: _shown(wear, folder) for wear in WORN}


def _shown(wear: Wear, folder: Path) -> Path:
    place, truths = folder / wear.weights, sorted(SAMPLES.glob("*.jpg"))
    worn = _changed(wear.change, truths, place / "worn")
    settings = Settings()
    if wear.mask:
        _changed(wear.mask, truths, place / "missing")
        settings = Settings(mask=str(place / "missing"))
    mended = outputs(api.infer(wear.weights, worn, output=place / "mended", settings=settings))
    rows = [[reader.read_rgb8(path) for path in row] for row in zip(worn, mended, truths, strict=True)]
    return sheet(folder / f"{wear.weights}.png", rows, [wear.label, wear.weights, "truth"])


def _changed(change: Change, photos: Iterable[Path], folder: Path) -> list[Path]:
    """Write what ``change`` makes of each photo; chance is the photo's name alone, so that holes and masks agree."""
    return [
        _write(folder / f"{path.stem}.png", change(reader.read_rgb8(path), sampler.file_rng(0, path.stem)))
        for path in photos
    ]


def _write(path: Path, pixels: Pixels) -> Path:
    is_gray = pixels.ndim == 2
    writer.write(Image(np.dstack([pixels] * 3) if is_gray else pixels, gray=is_gray), path)
    return path


def outputs(results: Iterable[Result]) -> list[Path]:
    """The written files of an inference. Raises ImageError for the first that failed."""
    made = []
    for result in results:
        if result.output is None or result.error:
            raise ImageError(f"{result.input}: {result.error}")
        made.append(Path(result.output))
    return made


def sheet(path: Path, rows: Sequence[Sequence[Pixels]], labels: list[str]) -> Path:
    """Draw rows of pictures under their labels."""
    writer.write(Image(grid.grid([list(row) for row in rows], labels)), path)
    return path
