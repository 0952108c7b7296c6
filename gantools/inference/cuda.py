"""What only CUDA has: copies beside the computing, and kernels that are launched together.

Nothing else in inference names a stream, an event or a graph. Without a GPU nothing here runs; ``Cuda`` is torch.cuda,
or what stands for it in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Form: TypeAlias = Callable[[Tensor], Tensor]
Cuda: TypeAlias = Any

MOST_GRAPH_PX = 1 << 20
"""Beyond a megapixel the launches that a graph saves no longer count."""

MOST_GRAPH_BYTES = 1 << 30
"""What all graphs may hold of inputs and results; their features share one pool."""

_WARM_UPS = 3
"""What libraries choose and allocate at their first calls must not be captured."""


class Ferry:
    """Takes samples to a GPU and back on streams of their own, through page-locked memory.

    The stream that computes waits for a copy, the program does not: it may bring the next picture meanwhile.
    """

    def __init__(self, device: torch.device, cuda: Cuda = torch.cuda) -> None:
        self._device, self._cuda = device, cuda
        self._there, self._back = cuda.Stream(device), cuda.Stream(device)

    def there(self, samples: Tensor) -> Tensor:
        """Samples on the GPU, for what is computed from now on."""
        locked = _locked_like(samples).copy_(samples)
        with self._cuda.stream(self._there):
            arrived = locked.to(self._device, non_blocking=True)
        computing = self._cuda.current_stream(self._device)
        computing.wait_stream(self._there)
        arrived.record_stream(computing)  # the allocator knows only the stream that it was made on
        return arrived

    def back(self, made: Sequence[Tensor]) -> Landing:
        """Start to bring back what is being computed."""
        self._back.wait_stream(self._cuda.current_stream(self._device))
        locked = [_locked_like(each) for each in made]
        with self._cuda.stream(self._back):
            for here, each in zip(locked, made, strict=True):
                here.copy_(each, non_blocking=True)
                each.record_stream(self._back)
        return Landing(locked, self._back.record_event())


@dataclass(frozen=True)
class Landing:
    """Tensors on their way back."""

    _locked: Sequence[Tensor]
    _landed: Any

    def wait(self) -> Sequence[Tensor]:
        """The tensors, once they are all there."""
        self._landed.synchronize()
        return self._locked


class Graphs:
    """Captures forms on one stream and in one pool of memory.

    Each graph may overwrite the features of the others, for no two run at once; a graph's input and result are its own.
    """

    def __init__(self, device: torch.device, cuda: Cuda = torch.cuda) -> None:
        self._device, self._cuda = device, cuda
        self._beside, self._pool = cuda.Stream(device), cuda.graph_pool_handle()

    def captured(self, form: Form, sample: Tensor) -> Captured:
        """A form whose kernels are launched together, for inputs of one shape. Raises what capturing raises."""
        given, cuda = sample.clone(), self._cuda
        self._beside.wait_stream(cuda.current_stream(self._device))
        with cuda.stream(self._beside):
            for _ in range(_WARM_UPS):
                form(given)
        cuda.current_stream(self._device).wait_stream(self._beside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph, pool=self._pool, stream=self._beside):  # the stream that libraries met in the warm-up
            made = form(given)
        return Captured(form, given, made, graph)


@dataclass(frozen=True, eq=False)
class Captured:
    """A graph that reads ``given`` and writes ``made``, always in the same places; ``form`` owns its weights."""

    form: Form
    given: Tensor
    made: Tensor
    graph: Any

    @property
    def held_bytes(self) -> int:
        """What it keeps for itself beside the pool."""
        return self.given.nbytes + self.made.nbytes

    def __call__(self, image: Tensor) -> Tensor:
        self.given.copy_(image)
        self.graph.replay()
        return self.made.clone()  # the next picture is made in the same place


def _locked_like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
