"""Norms over the whole picture for pictures that are never whole: exact statistics, norm after norm.

A norm's input is computed in stripes, its sums are taken in float64, and from then on the norm is a factor and a shift
per channel. Features of small size are kept on the way, so that the way to the next norm starts from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gantools.errors import ImageError
from gantools.inference.kernels.select import has_global_norm
from gantools.inference.memory import CpuMemory, Memory
from gantools.inference.model import Model
from gantools.inference.tiling.grid import Span, Tile
from gantools.inference.tiling.row_pass import Graph, Norm, NotStriped, Rows, Stripe, Sweep, graph_of, steps_between
from gantools.inference.tiling.tile_io import TileIO
from gantools.models.blocks import InstanceNorm

KEPT_BYTES_PER_PX = 64
"""Features up to this size per pixel of the picture are kept: 256 channels at a quarter of the sides."""

_AT_ONCE = 16
REPEATED_CONVOLUTIONS = 2
"""Larger ones are computed again, unless more than so many convolutions lie between them and what is kept."""


@dataclass
class Sums:
    """Sums of a map's channels in float64. Shapes: [C]."""

    count: int = 0
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Take in new rows. Shapes: [1, C, h, W]."""
        values = rows[0].flatten(1)
        parts = [_double(values[start : start + _AT_ONCE]) for start in range(0, len(values), _AT_ONCE)]
        total, squares = (torch.cat(sums) for sums in zip(*parts, strict=True))
        self.count += values.shape[1]
        self.total = total if self.total is None else self.total + total
        self.squares = squares if self.squares is None else self.squares + squares

    def affine(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """The norm as a factor and a shift per channel. Shapes: [C, 1, 1] in float32."""
        assert self.total is not None
        assert self.squares is not None
        groups, epsilon = (
            (norm.channels, norm.epsilon) if isinstance(norm, InstanceNorm) else (norm.num_groups, norm.eps)
        )
        per_group = [part.view(groups, -1).mean(1) / self.count for part in (self.total, self.squares)]
        deviation = (per_group[1] - per_group[0].square()).clamp(min=0).add(epsilon).sqrt()
        repeated = len(self.total) // groups
        factor = (1 / deviation).repeat_interleave(repeated)
        shift = -per_group[0].repeat_interleave(repeated) * factor
        if isinstance(norm, nn.GroupNorm) and norm.affine:
            weight, bias = (part.to(factor) for part in (norm.weight, norm.bias))
            factor, shift = factor * weight, shift * weight + bias
        return factor.float()[:, None, None], shift.float()[:, None, None]


def _double(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums and sums of squares of rows. Metal has no float64."""
    exact = (values.cpu() if values.device.type == "mps" else values).double()
    return exact.sum(1), exact.square().sum(1)


@dataclass
class Passes:
    """A picture's way through a network, one sweep per norm and one for the result.

    ``picture`` gives rows of the network's input, ``claim`` is asked before features are kept (it raises MemoryError).
    """

    graph: Graph
    picture: Rows
    height: int
    width: int
    device: torch.device
    stripe_px: int
    claim: Callable[[int], None]
    kept: dict[int, Tensor] = field(default_factory=dict)
    runs: dict[int, Callable[..., Tensor]] = field(default_factory=dict)

    def result(self) -> Iterator[Stripe]:
        """Rows of the network's output, from top to bottom."""
        for number in self.graph.norms:
            self._fix(number)
        last = len(self.graph.steps) - 1
        yield from self._sweep(last, {last})

    def _fix(self, number: int) -> None:
        """Learn what a norm's input is like and make the norm a factor and a shift."""
        (given,) = self.graph.steps[number].inputs
        sums, keeping = Sums(), self._worth_keeping(given)
        for stripe in self._sweep(given, {given, *keeping}):
            if stripe.step == given:
                sums.add(stripe.made)
            if stripe.step in keeping:
                self._store(stripe)
        if not sums.count:  # it was kept on the way to another norm
            sums.add(self.kept[given])
        norm = self.graph.steps[number].norm
        assert norm is not None
        factor, shift = (part.to(self.device) for part in sums.affine(norm))
        self.runs[number] = _Affine(factor, shift)
        self._drop_unneeded()

    def _sweep(self, target: int, wanted: set[int]) -> Iterator[Stripe]:
        known = self._known()
        if target in known:
            return iter(())
        return Sweep(self.graph, target, known, self.runs).stripes(self.height, self.stripe_px, wanted)

    def _known(self) -> dict[int, Rows]:
        return {0: self.picture, **{number: self._rows(number) for number in self.kept}}

    def _rows(self, number: int) -> Rows:
        def rows(start: int, stop: int) -> Tensor:
            return self.kept[number][:, :, start:stop].to(self.device)

        return rows

    def _worth_keeping(self, target: int) -> set[int]:
        """Steps on the way to ``target`` that later sweeps start from."""
        order = steps_between(self.graph, target, self._known())
        far = self._distances(order)
        return {number for number in order if self._is_used_later(number, order) and self._is_kept(number, far[number])}

    def _distances(self, order: list[int]) -> dict[int, int]:
        """Convolutions between each step and what is kept."""
        far: dict[int, int] = {}
        for number in order:
            step = self.graph.steps[number]
            far[number] = step.convolutions + max((far.get(given, 0) for given in step.inputs), default=0)
        return far

    def _is_used_later(self, number: int, order: list[int]) -> bool:
        return any(number in step.inputs and user not in order for user, step in enumerate(self.graph.steps))

    def _is_kept(self, number: int, convolutions: int) -> bool:
        step = self.graph.steps[number]
        return 4 * step.channels * step.ratio**2 <= KEPT_BYTES_PER_PX or convolutions > REPEATED_CONVOLUTIONS

    def _store(self, stripe: Stripe) -> None:
        if stripe.step not in self.kept:
            ratio: Fraction = self.graph.steps[stripe.step].ratio
            shape = (1, stripe.made.shape[1], int(self.height * ratio), stripe.made.shape[3])
            self.claim(shape[1] * shape[2] * shape[3] * stripe.made.element_size())
            self.kept[stripe.step] = torch.empty(shape, dtype=stripe.made.dtype)
        self.kept[stripe.step][:, :, stripe.start : stripe.start + stripe.made.shape[2]] = stripe.made

    def _drop_unneeded(self) -> None:
        """Let go of features that no later sweep reaches."""
        needed, waiting = set[int](), [len(self.graph.steps) - 1]
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed.add(number)
                waiting += () if number in self.kept else self.graph.steps[number].inputs
        self.kept = {number: rows for number, rows in self.kept.items() if number in needed}


class _Affine:
    """A norm whose statistics are known."""

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        self.factor, self.shift = factor, shift

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addcmul(self.shift, features.float(), self.factor)


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
    form, says = model.variants.form(dtype), model.generator
    side_px = -(-2 * max(8, says.minimum_size_px) // says.size_multiple) * says.size_multiple
    rewritten = form if isinstance(form, nn.Module) and not has_global_norm(model.network) else None
    try:
        graph = graph_of(rewritten or model.network, side_px, model.options.in_channels, model.device)
    except NotStriped:
        return None
    return Steps(graph, None if rewritten else dtype)


@dataclass(frozen=True, eq=False)
class Striping:
    """A band of a picture, a network in steps, and what it is computed with. ``stripe_px`` is in rows of the input."""

    canvas: TileIO
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
        memory = self.memory if self.device.type == "cpu" else CpuMemory()
        try:
            memory.claim(wanted_bytes)
        except MemoryError as error:
            height, width = self.canvas.pixels.shape[:2]
            raise ImageError(
                f"not enough memory for {width}×{height} px: this network's norms look at the whole picture, and what "
                f"they look at takes {wanted_bytes / 2**30:.1f} GiB more than there is; make the picture smaller"
            ) from error
