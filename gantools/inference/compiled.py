"""Networks compiled for every shape of picture that comes; on CUDA their kernels are launched together as well.

Each shape has code of its own, whatever came before it, so that a picture comes out the same in any company.
docs/benchmarks.md has what is gained; docs/decisions/0017 says why it has to be asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gantools.devices import says_no_memory
from gantools.inference.cuda import MOST_GRAPH_BYTES, MOST_GRAPH_PX, Captured, Graphs
from gantools.lowering import Complaint, Lower, inductor

Form: TypeAlias = Callable[[Tensor], Tensor]

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
            if says_no_memory(error):
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
