"""Drawn data sets, offline and from a seed: enough to try every recipe without a single photo of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from gantools.data.loading import sampler
from gantools.data.synthetic import fruit, scenes, shoes
from gantools.images.image import Image
from gantools.images.io import writer

Kind = Literal["shoes", "fruit", "scenes"]
Draw: TypeAlias = Callable[[np.random.Generator, int], npt.NDArray[np.uint8]]

# Sub-folder of the data set ("" is the folder itself) → what is drawn there.
_FOLDERS: dict[Kind, dict[str, Draw]] = {
    "shoes": {"": shoes.draw},
    "fruit": {"trainA": fruit.apples, "trainB": fruit.oranges},
    "scenes": {"": scenes.draw},
}


def draw_dataset(
    kind: Kind, folder: Path, count: int, size_px: int, seed: int, *, suffix: Literal[".png", ".jpg"] = ".png"
) -> list[Path]:
    """Draw ``count`` square images (of fruit: of each sort) into ``folder`` and return their paths.

    Image ``i`` depends on kind, seed and ``i`` alone.
    """
    written = []
    for domain, (name, draw) in enumerate(_FOLDERS[kind].items()):
        for index in range(count):
            path = folder / name / f"{index:05d}{suffix}"
            writer.write(Image(draw(sampler.sample_rng(seed, domain, index), size_px)), path)
            written.append(path)
    return written


def draw_image(kind: Kind, index: int, size_px: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw one image (of fruit: an apple). Shapes: (size_px, size_px, 3) uint8."""
    draw = next(iter(_FOLDERS[kind].values()))
    return draw(sampler.sample_rng(seed, 0, index), size_px)
