"""Drawn data sets, offline and from a seed: enough to try every recipe without a single photo of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import astuple, fields
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from gantools import files
from gantools.data.folders.labelled import CAPTIONS
from gantools.data.loading import sampler
from gantools.data.synthetic import digits, fruit, scenes, shoes
from gantools.images.image import Image
from gantools.images.io import writer

Kind = Literal["shoes", "fruit", "scenes", "digits", "captioned-shoes"]
Draw: TypeAlias = Callable[[np.random.Generator, int], npt.NDArray[np.uint8]]

# Sub-folder of the data set ("" is the folder itself) → what is drawn there.
_FOLDERS: dict[Kind, dict[str, Draw]] = {
    "shoes": {"": shoes.draw},
    "fruit": {"trainA": fruit.apples, "trainB": fruit.oranges},
    "scenes": {"": scenes.draw},
    "digits": {str(digit): partial(digits.draw, digit=digit) for digit in range(10)},
    "captioned-shoes": {"": lambda rng, side_px: shoes.draw_described(rng, side_px)[0]},
}


def draw_dataset(
    kind: Kind, folder: Path, count: int, size_px: int, seed: int, *, suffix: Literal[".png", ".jpg"] = ".png"
) -> list[Path]:
    """Draw ``count`` square images (of fruit: of each sort; of digits: of each) into ``folder``; return their paths.

    Image ``i`` depends on kind, seed and ``i`` alone. Captioned shoes have captions and attributes in captions.csv.
    """
    written = []
    described: list[shoes.Attributes] = []
    for domain, (name, draw) in enumerate(_FOLDERS[kind].items()):
        for index in range(count):
            path, rng = folder / name / f"{index:05d}{suffix}", sampler.sample_rng(seed, domain, index)
            if kind == "captioned-shoes":
                pixels, attributes = shoes.draw_described(rng, size_px)
                described.append(attributes)
            else:
                pixels = draw(rng, size_px)
            writer.write(Image(pixels), path)
            written.append(path)
    if described:
        files.write_bytes(folder / CAPTIONS, _captions(written, described).encode())
    return written


def _captions(paths: list[Path], described: list[shoes.Attributes]) -> str:
    """A row for every shoe: file, caption, and the attributes that it was drawn with."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("file", "caption", *(field.name for field in fields(shoes.Attributes))))
    table.writerows((path.name, each.caption(), *astuple(each)) for path, each in zip(paths, described, strict=True))
    return stream.getvalue()


def draw_image(kind: Kind, index: int, size_px: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw one image (of fruit: an apple). Shapes: (size_px, size_px, 3) uint8."""
    draw = next(iter(_FOLDERS[kind].values()))
    return draw(sampler.sample_rng(seed, 0, index), size_px)
