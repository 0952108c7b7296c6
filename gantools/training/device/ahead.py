"""The next batch is copied to a GPU, on a stream of its own, while the present one is computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import torch

from gantools.data.loading.batches import Batch

B = TypeVar("B", bound=Batch)


class Side(Protocol):
    """A stream beside the one that computes."""

    def working(self) -> AbstractContextManager[Any]:
        """Within the context work is queued on it."""

    def hand_over(self, batch: Batch) -> None:
        """Let the computing stream wait for what is queued, and keep the batch's memory until it is done with it."""


class CudaSide:
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


class Ahead(Generic[B]):
    """Batches of ``source`` as ``move`` brings them to the device, one ahead. A failure comes when its batch is due."""

    def __init__(self, source: Iterator[B], move: Callable[[B], B], side: Side) -> None:
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
