"""A sheet of what a loader feeds to a recipe, whatever the data set: a row per example, a column per image of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gantools.data.folders.search import Split
from gantools.data.loading.batches import Batch
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import EndlessSampler, SampleKey
from gantools.data.loading.unreadable import read_or_replace
from gantools.errors import DataError
from gantools.images.image import Pixels
from gantools.images.ops.grid import grid


def sheet(dataset: Dataset, split: Split, *, count: int, seed: int) -> Pixels:
    """The first ``count`` examples in the order of a training with this seed, or of validation.

    Shapes: → uint8 [H, W, 3]. Raises DataError for a set whose batches hold no images, or when none can be read.
    """
    if split == "training":
        sampler = EndlessSampler(len(dataset), seed, dataset.parts)
        keys = [sampler.key(sample) for sample in range(count)]
    else:
        keys = [SampleKey(0, index) for index in range(min(count, len(dataset)))]
    # one example is a batch: examples of different sizes cannot be stacked
    rows = [tiles(dataset.collate([read_or_replace(dataset, key)[0]])) for key in keys]
    if not rows or not rows[0]:
        raise DataError("data: there are no images to show")
    return grid([list(row.values()) for row in rows], list(rows[0]))


def tiles(batch: Batch) -> dict[str, Pixels]:
    """The first example of a batch: field → uint8 [h, w, 3], for every tensor that is an image.

    Images are (N, H, W, 1 or 3), or (N, H, W). Range: bytes as they are; True and False, and floats from 0 to 1, become
    0 to 255.
    """
    found = {}
    for name, values in vars(batch).items():
        if isinstance(values, Tensor) and (values.ndim == 3 or (values.ndim == 4 and values.shape[-1] in (1, 3))):
            channels = values[0] if values.ndim == 4 else values[0][..., None]
            if channels.dtype != torch.uint8:
                channels = (channels.float().clamp(0, 1) * 255).round().to(torch.uint8)
            found[name] = np.ascontiguousarray(channels.expand(*channels.shape[:2], 3).numpy())
    return found
