"""Training samples with what a teacher makes of their inputs, written once: a folder that students train on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gantools.data.datasets import distilled
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import EndlessSampler
from gantools.data.loading.unreadable import read_or_replace
from gantools.errors import UsageError
from gantools.files import write_json
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.images.ops.resize import resize_bicubic


def distill(
    dataset: Dataset,
    seed: int,
    teach: Callable[[Pixels], Pixels] | None,
    about: Mapping[str, Any],
    output: Path,
    count: int,
    progress: Callable[[int, int], None],
) -> int:
    """Write the first ``count`` samples of a training with this seed, and the teacher's results; how many were new.

    ``teach``, None for samples that are learned from their originals: uint8 [h, w, 3] → [H, W, 3]; what is larger than
    the original is shrunk to its size by bicubic.
    Samples that are there stay: an interrupted call goes on, a larger count adds. ``about`` describes teacher and data.
    Raises UsageError where ``output`` was made in another way.
    """
    _begin(output, dict(about))
    sampler, sides, new = EndlessSampler(len(dataset), seed, dataset.parts), distilled.sides_of(about), 0
    for number in range(count):
        files = [output / side / f"{number:06d}.png" for side in sides]
        if not files[-1].is_file():
            given, truth, *_ = read_or_replace(dataset, sampler.key(number))[0]
            images = [given, truth, *([_taught(teach, given, truth)] if teach else [])]
            for file, pixels in zip(files, images, strict=True):  # the last one is the proof that all are there
                writer.write(Image(pixels), file)
            new += 1
        progress(number + 1, count)
    return new


def _taught(teach: Callable[[Pixels], Pixels], given: Pixels, truth: Pixels) -> Pixels:
    made = teach(given)
    return made if made.shape == truth.shape else resize_bicubic(made, size=truth.shape[:2])


def _begin(output: Path, about: dict[str, Any]) -> None:
    """Describe the folder, or see that it was begun alike."""
    manifest = output / distilled.MANIFEST
    if manifest.is_file():
        before = json.loads(manifest.read_text())
        other = [key for key in sorted(before.keys() | about.keys()) if before.get(key) != about.get(key)]
        if other:
            raise UsageError(f"-o '{output}': was made with another {' and '.join(other)}; name a new folder")
        return
    if output.exists() and any(output.iterdir()):
        raise UsageError(f"-o '{output}': exists and is no folder of `data distill`; name a new one")
    for side in distilled.sides_of(about):
        (output / side).mkdir(parents=True, exist_ok=True)
    write_json(manifest, about)
