"""The batches of a run, on its device, from any position on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import torch

from gantools.config.schedules import StageProgress
from gantools.config.schema import RunConfig, StageOptions
from gantools.data.loading import loader
from gantools.data.loading.batches import Batch, to_network
from gantools.data.loading.dataset import Dataset
from gantools.training.device.runtime import Runtime

B = TypeVar("B", bound=Batch)


class DeviceLoader:
    """The batches of each step: one or several (``accumulate_batches``) of ``data.batch_images`` images.

    Closing it ends the workers.
    """

    def __init__(
        self, data: Dataset, config: RunConfig, runtime: Runtime, start_batch: int, *, warn: Callable[[str], None]
    ) -> None:
        self._runtime, self._images = runtime, len(data)
        self._accumulated = config.train.accumulate_batches
        info, on_cuda = runtime.ranks.info, runtime.device.type == "cuda"
        self._images_per_batch = config.data.batch_images * info.world_size
        self._stream = loader.batches(
            data,
            batch_images=config.data.batch_images,
            start_batch=start_batch,
            seed=config.seed,
            workers=config.data.workers,
            pin_memory=on_cuda,
            rank=info.rank,
            ranks=info.world_size,
            sharing=info.local_world_size,
            warn=warn,
        )
        moved = map(self._to_device, self._stream)
        self._batches = Prefetcher(self._stream, self._to_device, CudaStream(runtime.device)) if on_cuda else moved

    def step(self, options: StageOptions[Any] | None = None) -> list[Any]:
        """The batches of the next step, as network tensors on the device; a stage may want several of its own."""
        own = options.accumulate_batches if options else None
        return [next(self._batches) for _ in range(own or self._accumulated)]

    def images_per_step(self, options: StageOptions[Any]) -> int:
        """The images of a step of a stage, of all ranks together."""
        return self._images_per_batch * (options.accumulate_batches or self._accumulated)

    def _to_device(self, batch: Batch) -> Batch:
        return to_network(batch, self._runtime.device, channels_last=self._runtime.channels_last)

    def length(self, options: StageOptions[Any]) -> int:
        """A stage's length in steps, also where it is given in epochs or thousands of images."""
        if options.steps is not None:
            return options.steps
        images = options.epochs * self._images if options.epochs is not None else 1000 * (options.kimg or 0)
        return max(1, math.ceil(images / self.images_per_step(options)))

    def stage_progress(self, options: StageOptions[Any], stage_step: int, length: int) -> StageProgress:
        """How far a stage is, for its schedule."""
        return StageProgress(stage_step, length, stage_step * self.images_per_step(options) // self._images)

    def close(self) -> None:
        self._stream.close()


class SideStream(Protocol):
    """A stream beside the one that computes."""

    def working(self) -> AbstractContextManager[Any]:
        """Within the context work is queued on it."""

    def hand_over(self, batch: Batch) -> None:
        """Let the computing stream wait for what is queued, and keep the batch's memory until it is done with it."""


class CudaStream:
    """A CUDA stream."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def working(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = torch.cuda.stream(self._stream)
        return context

    def hand_over(self, batch: Batch) -> None:
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._stream)
        # The allocator knows only the stream that a tensor was made on, and would give its memory to the next copy.
        for value in vars(batch).values():
            if isinstance(value, torch.Tensor):
                value.record_stream(computing)


class Prefetcher(Generic[B]):
    """Copies the next batch on a side stream while the present one is computed with.

    A failure comes when its batch is due.
    """

    def __init__(self, source: Iterator[B], move: Callable[[B], B], side: SideStream) -> None:
        self._source, self._move, self._side = source, move, side
        self._ready: B | None = None
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        if self._ready is None and self._failure is None:
            self._fetch()
        if self._failure is not None:
            raise self._failure
        assert self._ready is not None
        batch, self._ready = self._ready, None
        self._side.hand_over(batch)
        self._fetch()
        return batch

    def _fetch(self) -> None:
        try:
            with self._side.working():
                self._ready = self._move(next(self._source))
        except Exception as error:  # whatever it is, it belongs to the batch after this one
            self._failure = error
