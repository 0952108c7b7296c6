"""The batches of a run, on its device, from any position on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gantools.config.schema import RunConfig, StageOptions
from gantools.data.loading import loader
from gantools.data.loading.batches import Batch, to_network
from gantools.data.loading.dataset import Dataset
from gantools.training.device.ahead import Ahead, CudaSide
from gantools.training.device.runtime import Machine
from gantools.training.optimizers import Progress


class Feed:
    """Hands out groups of batches; a step takes ``train.accumulate_batches`` of them. Closing it ends the workers."""

    def __init__(
        self, data: Dataset, config: RunConfig, machine: Machine, start_batch: int, warn: Callable[[str], None]
    ) -> None:
        self._machine, self._images = machine, len(data)
        self.batches_per_step = config.train.accumulate_batches
        where = machine.ranks.place
        self.images_per_step = config.data.batch_images * self.batches_per_step * where.count
        self._stream = loader.batches(
            data,
            batch_images=config.data.batch_images,
            start_batch=start_batch,
            seed=config.seed,
            workers=config.data.workers,
            pin_memory=machine.device.type == "cuda",
            rank=where.rank,
            ranks=where.count,
            sharing=where.local_count,
            warn=warn,
        )

        on_cuda = machine.device.type == "cuda"
        self._ahead = Ahead(self._stream, self._moved, CudaSide(machine.device)) if on_cuda else None

    def step(self) -> list[Any]:
        """The batches of the next step, as network tensors on the device."""
        return [self._next() for _ in range(self.batches_per_step)]

    def _next(self) -> Any:
        return next(self._ahead) if self._ahead else self._moved(next(self._stream))

    def _moved(self, batch: Batch) -> Batch:
        return to_network(batch, self._machine.device, channels_last=self._machine.channels_last)

    def length(self, options: StageOptions[Any]) -> int:
        """A stage's length in steps, also where it is given in epochs."""
        if options.steps is not None:
            return options.steps
        assert options.epochs is not None
        return max(1, math.ceil(options.epochs * self._images / self.images_per_step))

    def progress(self, stage_step: int, length: int) -> Progress:
        """Where a stage stands, for its schedule."""
        return Progress(stage_step, length, stage_step * self.images_per_step // self._images)

    def close(self) -> None:
        self._stream.close()
