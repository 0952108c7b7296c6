"""A network as steps on rows, and passes that compute it a few rows at a time.

Each step says which rows of its inputs it needs, so that every row is computed once and kept only while it is needed.
Networks with norms over the whole image are computed so (``global_norms``), and those whose halo is as large as a tile.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from gantools.inference.kernels.fuse import Doubling
from gantools.inference.kernels.onednn import PackedConv2d, PackedConvTranspose2d
from gantools.models.blocks import BlurPool, InstanceNorm
from gantools.models.encoders import ChannelAffine
from gantools.models.halo import Halo

Norm: TypeAlias = InstanceNorm | nn.GroupNorm
ReadRows: TypeAlias = Callable[[int, int], Tensor]
"""Rows ``start`` to ``stop`` of features that are known. Shapes: → [1, C, stop - start, W]."""

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, PackedConv2d, PackedConvTranspose2d)
_PADDINGS = (nn.ReflectionPad2d, nn.ZeroPad2d, nn.ReplicationPad2d)
_POINTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Sigmoid, nn.Identity),
    *(nn.Dropout, nn.BatchNorm2d, ChannelAffine),
)
_POINTWISE_CALLS = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, torch.tanh, torch.relu, torch.cat),
    *("relu", "clamp", "sigmoid", "tanh"),
)
_RESIZING = (nn.PixelShuffle, nn.PixelUnshuffle, nn.Upsample, BlurPool, Doubling)
_LEAVES = (*_CONVOLUTIONS, *_PADDINGS, *_POINTWISE, *_RESIZING, InstanceNorm, nn.GroupNorm)


class NotByRows(Exception):
    """A network has an operation that is not known to work on rows."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operation. Its rows ``a`` to ``b`` need rows ``a / factor - before`` to ``b / factor + after`` of its inputs.

    ``ratio`` is its rows per row of the network's input. ``norm`` is set for a norm over the whole image, which cannot
    be run before the statistics of all of its input are known. ``convolutions`` is 1 for a convolution, else 0.
    """

    inputs: tuple[int, ...]
    run: Callable[..., Tensor]
    factor: Fraction
    halo: Halo
    ratio: Fraction
    channels: int
    norm: Norm | None = None
    convolutions: int = 0

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Rows of the inputs for rows of this step: whole steps of it, not yet cut at the edges of the image."""
        coarse = max(1, int(1 / self.factor))
        first = int(start / self.factor // 1) - self.halo.before
        last = -int(-stop / self.factor // 1) + self.halo.after
        return first // coarse * coarse, -(-last // coarse) * coarse


def trace_steps(network: nn.Module, side_px: int, channels: int, device: torch.device) -> tuple[Step, ...]:
    """The steps of a network, by running it on an image of ``side_px``. Step 0 is the image, the last one the output.

    Raises NotByRows.
    """
    try:
        graph = _Tracer().trace(network)
    except Exception as error:  # whatever a network's own code raises when it is given no tensor
        raise NotByRows(str(error)) from error
    builder = _StepBuilder(fx.GraphModule(network, graph), side_px)
    with torch.inference_mode():
        builder.run(torch.zeros(1, channels, side_px, side_px, device=device))
    return tuple(builder.steps)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - the tracer's signature
        return isinstance(m, _LEAVES)


class _StepBuilder(fx.Interpreter):
    """Runs a traced network and lists its steps. A padding and the layer after it are one step."""

    def __init__(self, module: fx.GraphModule, side_px: int) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.extra_traceback = False
        self.layers, self.side_px = dict(module.named_modules()), side_px
        self.steps: list[Step] = []
        self.numbers: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if isinstance(output, Tensor) and n.op != "output" and self._padding(n) is None:
            self.numbers[n] = len(self.steps)
            self.steps.append(self._step(n, output.shape))
        return output

    def _padding(self, node: fx.Node) -> nn.Module | None:
        layer = self.layers[str(node.target)] if node.op == "call_module" else None
        return layer if isinstance(layer, _PADDINGS) else None

    def _step(self, node: fx.Node, shape: torch.Size) -> Step:
        inputs = [other for other in node.all_input_nodes if other in self.numbers or self._padding(other)]
        run: Callable[..., Tensor] = _Call(node, tuple(inputs))
        halo, norm, convolutions = Halo(), None, 0
        if node.op == "call_module":
            layer, padding, padded = self.layers[str(node.target)], self._padding(inputs[0]), 0
            run = layer
            if padding is not None:
                inputs[0] = cast(fx.Node, inputs[0].args[0])
                run, padded = nn.Sequential(padding, layer), cast("tuple[int, ...]", padding.padding)[2]
            halo, convolutions = _layer_halo(layer, padded), int(isinstance(layer, _CONVOLUTIONS))
            norm = layer if isinstance(layer, InstanceNorm | nn.GroupNorm) else None
        elif node.target is functional.interpolate:
            if node.kwargs.get("mode", "nearest") != "nearest":
                raise NotByRows("interpolation other than nearest")
            run = nn.Upsample(scale_factor=shape[-2] // self.env[inputs[0]].shape[-2])
        elif node.op != "placeholder" and (node.target not in _POINTWISE_CALLS or any(map(self._padding, inputs))):
            raise NotByRows(str(node.target))
        factor = Fraction(shape[-2], self.env[inputs[0]].shape[-2]) if inputs else Fraction(1)
        ratio, numbers = Fraction(shape[-2], self.side_px), tuple(self.numbers[other] for other in inputs)
        return Step(numbers, run, factor, halo, ratio, shape[1], norm, convolutions)


class _Call:
    """A function or method with its other arguments, to be called with its tensors."""

    def __init__(self, node: fx.Node, inputs: tuple[fx.Node, ...]) -> None:
        self.node, self.inputs = node, inputs

    def __call__(self, *given: Tensor) -> Tensor:
        tensors = dict(zip(self.inputs, given, strict=True))
        args = fx.map_arg(self.node.args, tensors.__getitem__)
        kwargs = fx.map_arg(self.node.kwargs, tensors.__getitem__)
        if self.node.op == "call_method":
            return cast(Tensor, getattr(args[0], str(self.node.target))(*args[1:], **kwargs))
        return cast("Callable[..., Tensor]", self.node.target)(*args, **kwargs)


def _layer_halo(layer: nn.Module, padded: int) -> Halo:
    """What an aligned edge of a layer's output needs beyond it. ``padded``: rows that a padding adds before it."""
    if isinstance(layer, _CONVOLUTIONS):
        own, kernel = cast("tuple[int, ...]", layer.padding)[0], layer.weight.shape[-2]
        if isinstance(layer, nn.ConvTranspose2d | PackedConvTranspose2d):
            return Halo().transposed(kernel, layer.stride[0], own)
        return Halo().convolution(kernel, layer.stride[0], own + padded)
    if isinstance(layer, BlurPool) and not padded:
        return Halo().convolution(3, 2)
    if isinstance(layer, nn.Upsample) and (layer.mode, layer.scale_factor, padded) == ("bilinear", 2, 0):
        return Halo().interpolated()
    if isinstance(layer, Doubling):
        return Halo(1, 1)
    if padded or (isinstance(layer, nn.Upsample) and layer.mode != "nearest"):
        raise NotByRows(type(layer).__name__)
    return Halo()


@dataclass(frozen=True)
class Chunk:
    """New rows of a step, from ``start`` on. Shapes: [1, C, h, W]."""

    step: int
    start: int
    rows: Tensor


class RowPass:
    """One pass over an image, from the features that are known (by step) to one step of the network."""

    def __init__(self, steps: Sequence[Step], target: int, known: Mapping[int, ReadRows]) -> None:
        self.steps, self.target, self.known = steps, target, known
        self.order = steps_between(steps, target, known)
        self.users = {number: [user for user in self.order if number in steps[user].inputs] for number in self.order}
        self.ends = dict.fromkeys(self.order, 0)
        self.windows = {number: Window() for number in self.order}

    def chunks(self, height_px: int, rows_px: int, wanted: Container[int]) -> Iterator[Chunk]:
        """All rows of the wanted steps, by about ``rows_px`` rows of the network's input at a time."""
        ratio = self.steps[self.target].ratio
        for stop_px in range(rows_px, height_px + rows_px, rows_px):
            stops = self._stops(int(min(stop_px, height_px) * ratio), height_px)
            for number in self.order:
                start = self.ends[number]
                if stops[number] > start:
                    self._compute(number, stops[number], height_px)
                    if number in wanted:
                        yield Chunk(number, start, self.windows[number].read(start, stops[number]))
                    self._forget(number, stops)

    def _stops(self, stop: int, height_px: int) -> dict[int, int]:
        """How far every step has to go for the target to get to row ``stop``."""
        stops = {**self.ends, self.target: stop}
        for number in reversed(self.order):
            if stops[number] <= self.ends[number]:
                continue
            step = self.steps[number]
            for given in step.inputs:
                if given in stops:
                    length = int(height_px * self.steps[given].ratio)
                    stops[given] = max(stops[given], min(step.needs(self.ends[number], stops[number])[1], length))
        return stops

    def _compute(self, number: int, stop: int, height_px: int) -> None:
        step, start = self.steps[number], self.ends[number]
        first, last = step.needs(start, stop)
        first, last = max(0, first), min(last, int(height_px * self.steps[step.inputs[0]].ratio))
        readers = (self.known.get(given) or self.windows[given].read for given in step.inputs)
        output = step.run(*(read(first, last) for read in readers))
        skipped = start - int(first * step.factor)
        self.windows[number].append(output[:, :, skipped : skipped + stop - start])
        self.ends[number] = stop

    def _forget(self, computed: int, stops: Mapping[int, int]) -> None:
        """Drop rows of a step and its inputs that nothing later needs, once all users have had this chunk."""
        for number in (computed, *self.steps[computed].inputs):
            users = self.users.get(number, [])
            if number in self.windows and all(self.ends[user] == stops[user] for user in users):
                needed = [self.steps[user].needs(self.ends[user], self.ends[user] + 1)[0] for user in users]
                self.windows[number].forget(min([self.ends[number], *needed]))


class Window:
    """The rows of a step that are still needed, in the pieces that they were computed in."""

    def __init__(self) -> None:
        self.first, self.pieces = 0, list[Tensor]()

    def append(self, rows: Tensor) -> None:
        """Add the next rows."""
        self.pieces.append(rows)

    def read(self, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last``; a view where they are in one piece."""
        found, start = [], self.first
        for piece in self.pieces:
            stop = start + piece.shape[2]
            if start < last and first < stop:
                found.append(piece[:, :, max(first - start, 0) : last - start])
            start = stop
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def forget(self, before: int) -> None:
        """Drop the rows above ``before``."""
        while self.pieces and self.first < before:
            length = self.pieces[0].shape[2]
            if self.first + length > before:
                # A copy, because a view would hold the whole piece.
                self.pieces[0] = self.pieces[0][:, :, before - self.first :].clone()
                self.first = before
            else:
                del self.pieces[0]
                self.first += length


def steps_between(steps: Sequence[Step], target: int, known: Container[int]) -> list[int]:
    """The steps between what is known and ``target``, in the order of computation."""
    needed, waiting = set[int](), [target]
    while waiting:
        number = waiting.pop()
        if number not in known and number not in needed:
            needed.add(number)
            waiting += steps[number].inputs
    return sorted(needed)
