"""Networks compiled for every shape of picture that comes; on CUDA their kernels are launched together as well.

Each shape has code of its own, whatever came before it, so that a picture comes out the same in any company.
docs/benchmarks.md has what is gained; docs/decisions/0017 says why it has to be asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gantools.devices import is_out_of_memory
from gantools.lowering import Complaint, Lower, inductor

Form: TypeAlias = Callable[[Tensor], Tensor]
Cuda: TypeAlias = Any

MOST_GRAPH_PX = 1 << 20
"""Beyond a megapixel the launches that a graph saves no longer count."""

MOST_GRAPH_BYTES = 1 << 30
"""What all graphs may hold of inputs and results; their features share one pool."""

_WARM_UPS = 3
"""What libraries choose and allocate at their first calls must not be captured."""

MOST_SHAPES = 32
"""Shapes whose code is held; torch has that of the others on disk."""

_SAME = {None: 1e-3, torch.bfloat16: 0.02, torch.float16: 0.02}
"""How far compiled code may be from what it was compiled from, in the mean; one in the other's place is off by more."""


class ByShape:
    """A form made anew by ``make`` for every shape of picture; of too many shapes the longest unused goes.

    So it does where graphs hold more than ``most_bytes``.
    """

    def __init__(
        self, make: Callable[[Tensor], Form], most: int = MOST_SHAPES, most_bytes: int = MOST_GRAPH_BYTES
    ) -> None:
        self._make, self._most, self._most_bytes = make, most, most_bytes
        self._made: OrderedDict[tuple[int, ...], Form] = OrderedDict()

    def __call__(self, image: Tensor) -> Tensor:
        shape = tuple(image.shape)
        if shape not in self._made:
            while len(self._made) >= self._most:
                self._made.popitem(last=False)
            self._made[shape] = self._make(image)
            while len(self._made) > 1 and self._held_bytes() > self._most_bytes:
                self._made.popitem(last=False)
        self._made.move_to_end(shape)
        return self._made[shape](image.contiguous())

    def _held_bytes(self) -> int:
        return sum(form.held_bytes for form in self._made.values() if isinstance(form, Captured))


def compiled(form: Form, dtype: torch.dtype | None, lower: Lower = inductor) -> ByShape:
    """A form that is compiled for every shape; where that fails it stays as it is, which is told once."""
    complaint = Complaint("--compile: a network")
    graphs: dict[torch.device, Graphs] = {}

    def captured(slower: Form, sample: Tensor) -> Form:
        if sample.device not in graphs:
            graphs[sample.device] = Graphs(sample.device)
        return graphs[sample.device].captured(slower, sample)

    def attempt(way: Callable[[Form, Tensor], Form], slower: Form, sample: Tensor) -> Form:
        try:
            faster = way(slower, sample)
            _require_same(faster(sample), form(sample), dtype)
        except Exception as error:  # a compiler can fail in any way, and pictures are made without it
            if is_out_of_memory(error):
                raise
            complaint.tell(error)
            return slower
        return faster

    def make(image: Tensor) -> Form:
        sample = _sample(image)
        made = attempt(lambda slower, seen: _compiled(slower, seen, lower), form, sample)
        small = image.shape[0] * image.shape[2] * image.shape[3] <= MOST_GRAPH_PX
        return attempt(captured, made, sample) if image.device.type == "cuda" and small else made

    return ByShape(make)


def _compiled(form: Form, sample: Tensor, lower: Lower) -> Form:
    traced = torch.export.export(_Module(form), (sample,)).module()
    run = lower(traced, [sample], {})

    def compiled_form(image: Tensor) -> Tensor:
        made: Any = run(image)
        return made if isinstance(made, Tensor) else made[0]

    return compiled_form


class _Module(nn.Module):
    """A form as what torch can trace; its network is a part, so that weights stay where they are."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    def forward(self, image: Tensor) -> Tensor:
        return self.form(image)


def _sample(image: Tensor) -> Tensor:
    """The same values for every picture of a shape: no picture decides how others are computed."""
    values = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return values.to(image.device)


def _require_same(made: Tensor, wanted: Tensor, dtype: torch.dtype | None) -> None:
    """Raise ArithmeticError for compiled code that computes something else."""
    apart = float((made.float() - wanted.float()).abs().mean())
    if not apart <= _SAME[dtype]:
        raise ArithmeticError(f"compiled, it is off by {apart:.2g} in the mean")


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
