"""Pictures through networks with norms over the whole picture, in stripes: see ``statistics`` for the way."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gantools.errors import ImageError
from gantools.inference.bundle import Model
from gantools.inference.canvas import Canvas
from gantools.inference.graph import Graph, NotStriped, graph_of
from gantools.inference.memory import Memory, ProcessorMemory
from gantools.inference.statistics import Passes
from gantools.inference.stripes import Stripe
from gantools.inference.tiles import Span, Tile

_known: WeakKeyDictionary[nn.Module, Graph | None] = WeakKeyDictionary()


def graph_for(model: Model) -> Graph | None:
    """The network in steps on rows, or None where it can only be computed as a whole."""
    if model.network not in _known:
        says = model.generator
        side_px = -(-2 * max(8, says.minimum_size_px) // says.size_multiple) * says.size_multiple
        try:
            _known[model.network] = graph_of(model.network, side_px, model.options.in_channels)
        except NotStriped:
            _known[model.network] = None
    return None if model.network.training else _known[model.network]


@dataclass(frozen=True, eq=False)
class Striping:
    """A picture, a network in steps, and what it is computed with. ``stripe_px`` is in rows of the input."""

    canvas: Canvas
    graph: Graph
    device: torch.device
    dtype: torch.dtype | None
    memory: Memory
    stripe_px: int

    def fill(self) -> bool:
        """Make the whole result; False where it is not finite. Raises ImageError where its features do not fit."""
        arithmetic: AbstractContextManager[object] = (
            torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()
        )
        passes = Passes(
            self.graph, self._rows, self.canvas.height, self.canvas.width, self.device, self.stripe_px, self._claim
        )
        with torch.inference_mode(), arithmetic:
            return all(self._written(stripe) for stripe in passes.result())

    def _rows(self, start: int, stop: int) -> Tensor:
        return self.canvas.seen(self._tile(start, stop), self.device)

    def _written(self, stripe: Stripe) -> bool:
        finite = bool(torch.isfinite(stripe.made).all())
        scale = self.canvas.scale
        first, last = stripe.start // scale, (stripe.start + stripe.made.shape[2]) // scale
        if finite and first < self.canvas.pixels.shape[0]:
            self.canvas.write(stripe.made.float(), self._tile(first, last))
        return finite

    def _tile(self, start: int, stop: int) -> Tile:
        return Tile(Span(start, stop, start, stop), Span(0, self.canvas.width, 0, self.canvas.width))

    def _claim(self, wanted_bytes: int) -> None:
        """Features between sweeps lie in the computer's memory, wherever the network is computed."""
        memory = self.memory if self.device.type == "cpu" else ProcessorMemory()
        try:
            memory.claim(wanted_bytes)
        except MemoryError as error:
            height, width = self.canvas.pixels.shape[:2]
            raise ImageError(
                f"not enough memory for {width}×{height} px: this network's norms look at the whole picture, and what "
                f"they look at takes {wanted_bytes / 2**30:.1f} GiB more than there is; make the picture smaller"
            ) from error
