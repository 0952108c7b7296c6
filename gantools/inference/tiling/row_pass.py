"""A network as a list of steps on rows: what each one needs of those before it, so that it can be computed in stripes.

Networks with norms over the whole picture are taken apart like this, and those whose context is as large as a tile.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from gantools.inference.kernels.onednn import PackedConv2d, PackedConvTranspose2d
from gantools.models.blocks import InstanceNorm
from gantools.models.encoders import ChannelAffine
from gantools.models.halo import Halo

Run: TypeAlias = Callable[..., Tensor]
Norm: TypeAlias = InstanceNorm | nn.GroupNorm

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, PackedConv2d, PackedConvTranspose2d)
_PADDINGS = (nn.ReflectionPad2d, nn.ZeroPad2d, nn.ReplicationPad2d)
_RESIZING = (nn.PixelShuffle, nn.PixelUnshuffle, nn.Upsample)
_POINTWISE_MODULES = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Sigmoid, nn.Identity),
    *(nn.Dropout, nn.BatchNorm2d, ChannelAffine),
)
_POINTWISE_FUNCTIONS = (operator.add, operator.sub, operator.mul, operator.truediv, torch.tanh, torch.relu, torch.cat)
_POINTWISE_METHODS = ("relu", "clamp", "sigmoid", "tanh")
_LEAVES = (*_CONVOLUTIONS, *_PADDINGS, *_RESIZING, *_POINTWISE_MODULES, InstanceNorm, nn.GroupNorm)


class NotStriped(Exception):
    """A network does something whose rows are not known here."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operation. Rows ``a`` to ``b`` of it need ``a / factor - before`` to ``b / factor + after`` of its inputs.

    ``ratio`` is its rows per row of the network's input, ``channels`` its width, ``run`` makes it of its inputs;
    ``norm`` is set where statistics of all of its input have to be known first.
    """

    inputs: tuple[int, ...]
    run: Run
    factor: Fraction
    reach: Halo
    ratio: Fraction
    channels: int
    norm: Norm | None = None
    convolutions: int = 0

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Rows of the inputs for rows of this one, whole steps of it, not yet cut at the picture's edges."""
        coarse = max(1, int(1 / self.factor))
        first = int(start / self.factor // 1) - self.reach.before
        last = -int(-stop / self.factor // 1) + self.reach.after
        return first // coarse * coarse, -(-last // coarse) * coarse


@dataclass(frozen=True, eq=False)
class Graph:
    """Steps in the order of their computation. The first is the picture, the last the result."""

    steps: tuple[Step, ...]

    @property
    def norms(self) -> list[int]:
        """The steps that need statistics."""
        return [number for number, step in enumerate(self.steps) if step.norm is not None]


def graph_of(network: nn.Module, side_px: int, channels: int, device: torch.device) -> Graph:
    """Take a network apart, looking at what it does to a picture of ``side_px``. Raises NotStriped."""
    try:
        traced = _Tracer().trace(network)
    except Exception as error:  # tracing raises whatever a network's own code does with what is no tensor
        raise NotStriped(str(error)) from error
    recorder = _Recorder(fx.GraphModule(network, traced))
    with torch.inference_mode():
        recorder.run(torch.zeros(1, channels, side_px, side_px, device=device))
    return _Builder(network, recorder.shapes, side_px).build(traced)


class _Tracer(fx.Tracer):
    """Goes into everything but layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - the tracer's signature
        return isinstance(m, _LEAVES)


class _Recorder(fx.Interpreter):
    """Writes down the shapes of what a network makes on its way."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        if isinstance(made, Tensor):
            self.shapes[n] = made.shape
        return made


class _Builder:
    """Turns traced nodes into steps. A padding is one step with the layer after it, since its result is no picture."""

    def __init__(self, network: nn.Module, shapes: Mapping[fx.Node, torch.Size], side_px: int) -> None:
        self.modules, self.shapes, self.side_px = dict(network.named_modules()), shapes, side_px
        self.steps: list[Step] = []
        self.numbers: dict[fx.Node, int] = {}

    def build(self, traced: fx.Graph) -> Graph:
        for node in traced.nodes:
            if node in self.shapes and node.op != "output" and not self._is_padding(node):
                self.numbers[node] = len(self.steps)
                self.steps.append(self._step(node))
        return Graph(tuple(self.steps))

    def _step(self, node: fx.Node) -> Step:
        if node.op == "placeholder":
            return self._made(node, (), _nothing, Halo())
        if node.op == "call_module":
            return self._layer(node, self.modules[str(node.target)])
        if node.target is functional.interpolate:
            return self._interpolation(node)
        known = _POINTWISE_METHODS if node.op == "call_method" else _POINTWISE_FUNCTIONS
        if node.target not in known:
            raise NotStriped(f"{node.target}")
        inputs = tuple(dict.fromkeys(other for other in node.all_input_nodes if other in self.numbers))
        return self._made(node, inputs, _Call(node, inputs), Halo())

    def _layer(self, node: fx.Node, layer: nn.Module) -> Step:
        given = cast(fx.Node, node.args[0])
        padding = self.modules[str(given.target)] if self._is_padding(given) else None
        run: Run = layer if padding is None else nn.Sequential(padding, layer)
        first = given if padding is None else cast(fx.Node, given.args[0])
        inputs = (first, *(other for other in node.all_input_nodes if other is not given))
        norm = layer if isinstance(layer, InstanceNorm | nn.GroupNorm) else None
        reach = _layer_reach(layer, 0 if padding is None else cast("tuple[int, ...]", padding.padding)[2])
        return self._made(node, inputs, run, reach, norm, isinstance(layer, _CONVOLUTIONS))

    def _interpolation(self, node: fx.Node) -> Step:
        if node.kwargs.get("mode", "nearest") != "nearest":
            raise NotStriped("interpolation other than nearest")
        inputs = (cast(fx.Node, node.args[0]),)
        factor = int(self._factor(node, inputs))
        return self._made(node, inputs, nn.Upsample(scale_factor=factor), Halo())

    def _made(
        self,
        node: fx.Node,
        inputs: tuple[fx.Node, ...],
        run: Run,
        reach: Halo,
        norm: Norm | None = None,
        convolution: bool = False,
    ) -> Step:
        shape = self.shapes[node]
        numbers = tuple(self.numbers[other] for other in inputs)
        ratio, factor = Fraction(shape[-2], self.side_px), self._factor(node, inputs)
        return Step(numbers, run, factor, reach, ratio, shape[1], norm, int(convolution))

    def _factor(self, node: fx.Node, inputs: tuple[fx.Node, ...]) -> Fraction:
        return Fraction(self.shapes[node][-2], self.shapes[inputs[0]][-2]) if inputs else Fraction(1)

    def _is_padding(self, node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(self.modules[str(node.target)], _PADDINGS)


class _Call:
    """A function or method with its other arguments, waiting for its tensors."""

    def __init__(self, node: fx.Node, inputs: tuple[fx.Node, ...]) -> None:
        self.node, self.inputs = node, inputs

    def __call__(self, *given: Tensor) -> Tensor:
        found = dict(zip(self.inputs, given, strict=True))
        args = fx.map_arg(self.node.args, found.__getitem__)
        kwargs = fx.map_arg(self.node.kwargs, found.__getitem__)
        if self.node.op == "call_method":
            return cast(Tensor, getattr(args[0], str(self.node.target))(*args[1:], **kwargs))
        return cast(Run, self.node.target)(*args, **kwargs)


def _nothing() -> Tensor:
    raise AssertionError("the picture is given, not computed")


def _layer_reach(layer: nn.Module, padded: int) -> Halo:
    """What an aligned edge of a layer's result needs beyond it."""
    if isinstance(layer, _CONVOLUTIONS):
        own, kernel = cast("tuple[int, ...]", layer.padding)[0], layer.weight.shape[-2]
        if isinstance(layer, nn.ConvTranspose2d | PackedConvTranspose2d):
            return Halo().transposed(kernel, layer.stride[0], own)
        return Halo().convolution(kernel, layer.stride[0], own + padded)
    if padded or (isinstance(layer, nn.Upsample) and layer.mode != "nearest"):
        raise NotStriped(type(layer).__name__)
    return Halo()


Rows: TypeAlias = Callable[[int, int], Tensor]
"""Rows ``start`` to ``stop`` of something that is known. Shapes: → [1, C, stop - start, W]."""


@dataclass(frozen=True)
class Stripe:
    """New rows of a step: ``start`` to ``start`` plus their number."""

    step: int
    start: int
    made: Tensor


class Sweep:
    """One way through the picture, from what is known to one step of the network."""

    def __init__(self, graph: Graph, target: int, known: Mapping[int, Rows], runs: Mapping[int, Callable[..., Tensor]]):
        self.steps, self.target, self.known, self.runs = graph.steps, target, known, runs
        self.order = steps_between(graph, target, known)
        self.users = {
            number: [user for user in self.order if number in self.steps[user].inputs] for number in self.order
        }
        self.ends = dict.fromkeys(self.order, 0)
        self.windows: dict[int, Window] = {number: Window() for number in self.order}

    def stripes(self, height_px: int, stripe_px: int, wanted: Container[int]) -> Iterator[Stripe]:
        """All rows of the wanted steps on the way, in stripes of about ``stripe_px`` rows of the network's input."""
        ratio = self.steps[self.target].ratio
        for stop_px in range(stripe_px, height_px + stripe_px, stripe_px):
            stops = self._stops(int(min(stop_px, height_px) * ratio), height_px)
            for number in self.order:
                start = self.ends[number]
                if stops[number] > start:
                    self._make(number, stops[number], height_px)
                    if number in wanted:
                        yield Stripe(number, start, self.windows[number].rows(start, stops[number]))
                    self._forget(number, stops)

    def _stops(self, stop: int, height_px: int) -> dict[int, int]:
        """How far every step has to go for the target to get to ``stop``."""
        stops = {**self.ends, self.target: stop}
        for number in reversed(self.order):
            if stops[number] <= self.ends[number]:
                continue
            step = self.steps[number]
            for given in step.inputs:
                if given in stops:
                    wanted = min(step.needs(self.ends[number], stops[number])[1], _length(self.steps[given], height_px))
                    stops[given] = max(stops[given], wanted)
        return stops

    def _make(self, number: int, stop: int, height_px: int) -> None:
        step, start = self.steps[number], self.ends[number]
        first, last = step.needs(start, stop)
        first, last = max(0, first), min(last, _length(self.steps[step.inputs[0]], height_px))
        made = self.runs.get(number, step.run)(*(self._rows(given, first, last) for given in step.inputs))
        skipped = start - int(first * step.factor)
        self.windows[number].append(made[:, :, skipped : skipped + stop - start])
        self.ends[number] = stop

    def _rows(self, number: int, first: int, last: int) -> Tensor:
        if number in self.known:
            return self.known[number](first, last)
        return self.windows[number].rows(first, last)

    def _forget(self, made: int, stops: Mapping[int, int]) -> None:
        """Drop the rows of a step and its inputs that no later stripe needs, if all of this one have had them."""
        for number in (made, *self.steps[made].inputs):
            users = self.users.get(number, [])
            if number in self.windows and all(self.ends[user] == stops[user] for user in users):
                wanted = [self.steps[user].needs(self.ends[user], self.ends[user] + 1)[0] for user in users]
                self.windows[number].forget(min([self.ends[number], *wanted]))


class Window:
    """The rows of a step that are still needed, in the pieces that they came in."""

    def __init__(self) -> None:
        self.first, self.pieces = 0, list[Tensor]()

    def append(self, made: Tensor) -> None:
        """Take in the next rows."""
        self.pieces.append(made)

    def rows(self, first: int, last: int) -> Tensor:
        """Some of the rows; a view where they came in one piece."""
        found, start = [], self.first
        for piece in self.pieces:
            stop = start + piece.shape[2]
            if start < last and first < stop:
                found.append(piece[:, :, max(first - start, 0) : last - start])
            start = stop
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def forget(self, before: int) -> None:
        """Let go of the rows above ``before``."""
        while self.pieces and self.first < before:
            length = self.pieces[0].shape[2]
            if self.first + length > before:
                # A copy, because a view would hold the whole stripe.
                self.pieces[0] = self.pieces[0][:, :, before - self.first :].clone()
                self.first = before
            else:
                del self.pieces[0]
                self.first += length


def steps_between(graph: Graph, target: int, known: Mapping[int, Rows]) -> list[int]:
    """The steps between what is known and the target, in the order of their computation."""
    wanted, waiting = set[int](), [target]
    while waiting:
        number = waiting.pop()
        if number not in known and number not in wanted:
            wanted.add(number)
            waiting += graph.steps[number].inputs
    return sorted(wanted)


def _length(step: Step, height_px: int) -> int:
    return int(height_px * step.ratio)
