"""Pictures through networks in stripes of rows: see ``statistics`` for the way."""

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
from gantools.inference.optimise import is_picture_wide
from gantools.inference.statistics import Passes
from gantools.inference.stripes import Stripe
from gantools.inference.tiles import Span, Tile


@dataclass(frozen=True, eq=False)
class Steps:
    """A network in steps on rows, and the type that torch has to be told to compute them in, if any."""

    graph: Graph
    autocast: torch.dtype | None


_known: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, Steps | None]] = WeakKeyDictionary()


def steps_of(model: Model, dtype: torch.dtype | None) -> Steps | None:
    """The network in steps on rows, as it is computed in ``dtype``; None where it can only be computed as a whole."""
    known = _known.setdefault(model.network, {})
    if dtype not in known:
        known[dtype] = None if model.network.training else _taken_apart(model, dtype)
    return known[dtype]


def _taken_apart(model: Model, dtype: torch.dtype | None) -> Steps | None:
    """Rewritten forms are taken apart where they are modules; norms over the picture, only as they were written."""
    form, says = model.runnable.form(dtype), model.generator
    side_px = -(-2 * max(8, says.minimum_size_px) // says.size_multiple) * says.size_multiple
    rewritten = form if isinstance(form, nn.Module) and not is_picture_wide(model.network) else None
    try:
        graph = graph_of(rewritten or model.network, side_px, model.options.in_channels, model.device)
    except NotStriped:
        return None
    return Steps(graph, None if rewritten else dtype)


@dataclass(frozen=True, eq=False)
class Striping:
    """A band of a picture, a network in steps, and what it is computed with. ``stripe_px`` is in rows of the input."""

    canvas: Canvas
    columns: Span
    steps: Steps
    device: torch.device
    memory: Memory
    stripe_px: int

    def fill(self) -> bool:
        """Make the band's result; False where it is not finite. Raises ImageError where its features do not fit."""
        autocast = self.steps.autocast
        arithmetic: AbstractContextManager[object] = (
            torch.autocast(self.device.type, autocast) if autocast else nullcontext()
        )
        width = self.columns.last - self.columns.first
        passes = Passes(
            self.steps.graph, self._rows, self.canvas.height, width, self.device, self.stripe_px, self._claim
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
        return Tile(Span(start, stop, start, stop), self.columns)

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
