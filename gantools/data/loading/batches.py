"""What a training step is given: frozen batches of uint8 NHWC images, turned into network tensors in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from gantools.images import ranges

B = TypeVar("B", bound="Batch")


@dataclass(frozen=True)
class Batch:
    """Images that belong together, and the names of the files they came from.

    Shapes: every tensor is (N, H, W, 3) uint8 from the loader, (N, 3, H, W) float after ``to_network``.
    """

    @classmethod
    def stacked(cls, samples: Sequence[Any]) -> Self:
        """The batch of samples of one size: named tuples with the batch's fields as images, and ``name`` or several.

        Shapes: (H, W, C) uint8 each → (N, H, W, C). Names of a second kind follow all those of the first.
        """
        columns = dict(zip(samples[0]._fields, zip(*samples, strict=True), strict=True))
        names = tuple(name for field, column in columns.items() if field.startswith("name") for name in column)
        images = {field: column for field, column in columns.items() if not field.startswith("name")}
        return cls(names=names, **{field: torch.from_numpy(np.stack(column)) for field, column in images.items()})  # type: ignore[call-arg]

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same batch with ``change`` applied to each tensor."""
        return replace(self, **{name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)})

    def to(
        self,
        device: torch.device | str,
        *,
        non_blocking: bool = False,
        memory_format: torch.memory_format = torch.preserve_format,
    ) -> Self:
        """The same batch on ``device``."""
        return self.map_tensors(lambda t: t.to(device, non_blocking=non_blocking, memory_format=memory_format))

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, from which copies to a GPU can overlap with work."""
        return self.map_tensors(Tensor.pin_memory)


@dataclass(frozen=True)
class Paired(Batch):
    """Input images and the wanted results: ``source`` → ``target``."""

    source: Tensor
    target: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class LowHigh(Batch):
    """Small images and their large originals."""

    low: Tensor
    high: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class Restoration(Batch):
    """Damaged images and what they were before: ``degraded`` → ``clean``."""

    degraded: Tensor
    clean: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class Unpaired(Batch):
    """Images of two domains that do not correspond; ``names``: the ``a`` images, then the ``b`` images."""

    a: Tensor
    b: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class Masked(Batch):
    """Images, what is missing from them, and what a network sees of them: missing pixels are filled with a start.

    ``mask`` is (N, H, W, 1) from the loader, 255 where pixels are missing and 0 elsewhere; ``to_network`` treats it as
    any image, so that it is 1 and -1 there, and ``missing`` is what networks and losses compute with.
    """

    image: Tensor
    mask: Tensor
    shown: Tensor
    names: tuple[str, ...]

    @property
    def missing(self) -> Tensor:
        """Exactly 1 where pixels are missing, else 0, of a batch on its device. Shapes: (N, 1, H, W) float."""
        return (self.mask + 1) / 2


@dataclass(frozen=True)
class LabelledImages(Batch):
    """Images and what they show: one-hot labels or text vectors.

    Shapes: ``image`` as in every batch, of 1 or 3 channels; ``condition`` (N, K) float32, K = 0 for neither.
    """

    image: Tensor
    condition: Tensor
    names: tuple[str, ...]

    def shuffled(self) -> LabelledImages:
        """The same batch with its conditions in a random order."""
        order = torch.randperm(len(self.condition), device=self.condition.device)
        return replace(self, condition=self.condition[order])


def to_network(batch: B, device: torch.device | str, *, channels_last: bool = False) -> B:
    """Move a loader's batch to ``device`` as bytes (a quarter of the traffic) and convert it there.

    Only to CUDA the copy does not block: on Metal such copies read memory that is given away by then (PyTorch issue
    139550).
    Range: uint8 [0, 255] → float [-1, 1]; tensors of other types are not images and stay as they are.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    moved = batch.to(device, non_blocking=torch.device(device).type == "cuda")
    return moved.map_tensors(lambda t: ranges.batch_to_float(t, layout) if t.dtype == torch.uint8 else t)
