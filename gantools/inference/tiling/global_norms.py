"""Exact instance and group norms for images that do not fit the memory as a whole.

A norm's input is computed a few rows at a time, its statistics are summed in float64, and from then on the norm is a
factor and an offset per channel: one pass over the image per norm. Small features are kept between the passes, so that
the next pass starts from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gantools.errors import ImageError
from gantools.inference.kernels.select import has_global_norm
from gantools.inference.memory import CpuMemory, Memory
from gantools.inference.model import Model
from gantools.inference.tiling.grid import Span, Tile
from gantools.inference.tiling.row_pass import (
    Chunk,
    Norm,
    NotByRows,
    ReadRows,
    RowPass,
    Step,
    steps_between,
    trace_steps,
)
from gantools.inference.tiling.tile_io import TileIO
from gantools.models.blocks import InstanceNorm

KEPT_BYTES_PER_PX = 64
"""Features up to this size per pixel of the image are kept: 256 channels at a quarter of the sides."""

REPEATED_CONVOLUTIONS = 2
"""Larger ones are computed again in the next pass, unless that takes more convolutions than this."""

_CHANNELS_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class RowNetwork:
    """A network as steps on rows, and the type for torch.autocast, if any."""

    steps: tuple[Step, ...]
    autocast: torch.dtype | None


_known: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, RowNetwork | None]] = WeakKeyDictionary()


def row_network(model: Model, dtype: torch.dtype | None) -> RowNetwork | None:
    """The network as steps on rows, computed in ``dtype``; None where that is not possible.

    Of the packed form where there is one and no norm over the whole image, else of the network as it was saved.
    """
    known = _known.setdefault(model.network, {})
    if dtype in known or model.network.training:
        return known.get(dtype)
    network = model.generator
    side_px = -(-2 * max(8, network.minimum_size_px) // network.size_multiple) * network.size_multiple
    packed = None if has_global_norm(model.network) else model.variants.by_layers(dtype)
    try:
        steps = trace_steps(packed or model.network, side_px, model.options.in_channels, model.device)
        known[dtype] = RowNetwork(steps, None if packed else dtype)
    except NotByRows:
        known[dtype] = None
    return known[dtype]


def compute_band(
    io: TileIO, columns: Span, network: RowNetwork, device: torch.device, memory: Memory, rows_px: int
) -> bool:
    """Compute a band of columns from top to bottom and write it; False where it is not finite.

    ``rows_px`` is in rows of the input. Raises ImageError where the features between passes do not fit the memory.
    """

    def tile(start: int, stop: int) -> Tile:
        return Tile(Span(start, stop, start, stop), columns)

    def claim(wanted_bytes: int) -> None:
        try:  # features between passes are in the computer's memory, whatever the device
            (memory if device.type == "cpu" else CpuMemory()).claim(wanted_bytes)
        except MemoryError as error:
            height, width = io.pixels.shape[:2]
            raise ImageError(
                f"not enough memory for {width}×{height} px: this network's norms use the whole image, and keeping "
                f"their inputs takes another {wanted_bytes / 2**30:.1f} GiB; make the image smaller"
            ) from error

    def read(start: int, stop: int) -> Tensor:
        return io.read(tile(start, stop), device)

    autocast: AbstractContextManager[object] = (
        torch.autocast(device.type, network.autocast) if network.autocast else nullcontext()
    )
    passes = NormPasses(list(network.steps), read, io.grid.height, rows_px, device, claim)
    with torch.inference_mode(), autocast:
        for chunk in passes.output():
            if not torch.isfinite(chunk.rows).all():
                return False
            first, last = (row // io.scale for row in (chunk.start, chunk.start + chunk.rows.shape[2]))
            if first < io.pixels.shape[0]:
                io.write(chunk.rows.float(), tile(first, last))
    return True


@dataclass
class NormPasses:
    """One pass over an image per global norm, and one for the output.

    ``image`` reads rows of the network's input. ``claim`` is called before features are kept; it may raise.
    """

    steps: list[Step]
    image: ReadRows
    height_px: int
    rows_px: int
    device: torch.device
    claim: Callable[[int], None]
    kept: dict[int, Tensor] = field(default_factory=dict)

    def output(self) -> Iterator[Chunk]:
        """Rows of the network's output, from top to bottom."""
        last = len(self.steps) - 1
        for number, step in enumerate(self.steps):
            if step.norm is not None:
                self.steps[number] = replace(step, run=self._fixed(step.norm, step.inputs[0]), norm=None)
                # Let go of features that no later pass starts from.
                later = {given for n in steps_between(self.steps, last, self.kept) for given in self.steps[n].inputs}
                self.kept = {n: features for n, features in self.kept.items() if n in later or n == last}
        yield from self._chunks(last, {last})

    def _fixed(self, norm: Norm, given: int) -> Callable[[Tensor], Tensor]:
        """A norm with the statistics of all of its input, as a factor and an offset."""
        sums, keep = ChannelSums(), self._worth_keeping(given)
        for chunk in self._chunks(given, {given, *keep}):
            if chunk.step == given:
                sums.add(chunk.rows)
            if chunk.step in keep:
                rows = chunk.rows
                if chunk.step not in self.kept:
                    shape = (1, rows.shape[1], int(self.height_px * self.steps[chunk.step].ratio), rows.shape[3])
                    self.claim(shape[1] * shape[2] * shape[3] * rows.element_size())
                    self.kept[chunk.step] = torch.empty(shape, dtype=rows.dtype)
                self.kept[chunk.step][:, :, chunk.start : chunk.start + rows.shape[2]] = rows
        if given in self.kept and not sums.count:  # an earlier pass has kept it
            sums.add(self.kept[given])
        factor, offset = (part.to(self.device) for part in sums.affine(norm))
        return lambda features: torch.addcmul(offset, features.float(), factor)

    def _chunks(self, target: int, wanted: set[int]) -> Iterator[Chunk]:
        known = self._known()
        if target in known:
            return iter(())
        return RowPass(self.steps, target, known).chunks(self.height_px, self.rows_px, wanted)

    def _known(self) -> Mapping[int, ReadRows]:
        def read(features: Tensor, start: int, stop: int) -> Tensor:
            return features[:, :, start:stop].to(self.device)

        return {0: self.image, **{number: partial(read, features) for number, features in self.kept.items()}}

    def _worth_keeping(self, target: int) -> set[int]:
        """Steps on the way to ``target`` that later passes use and that are small or take long to compute again."""
        order = steps_between(self.steps, target, self._known())
        later = {given for number, step in enumerate(self.steps) if number not in order for given in step.inputs}
        convolutions: dict[int, int] = {}
        for number in order:
            step = self.steps[number]
            convolutions[number] = step.convolutions + max((convolutions.get(n, 0) for n in step.inputs), default=0)
        return {
            number
            for number in later.intersection(order)
            if 4 * self.steps[number].channels * self.steps[number].ratio ** 2 <= KEPT_BYTES_PER_PX
            or convolutions[number] > REPEATED_CONVOLUTIONS
        }


@dataclass
class ChannelSums:
    """Sums of the channels of a map in float64. Shapes: [C]."""

    count: int = 0
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Add new rows. Shapes: [1, C, h, W]."""
        values = rows[0].flatten(1)
        parts = [_sums(values[start : start + _CHANNELS_AT_ONCE]) for start in range(0, len(values), _CHANNELS_AT_ONCE)]
        total, squares = (torch.cat(sums) for sums in zip(*parts, strict=True))
        self.count += values.shape[1]
        self.total = total if self.total is None else self.total + total
        self.squares = squares if self.squares is None else self.squares + squares

    def affine(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """The norm as a factor and an offset per channel. Shapes: [C, 1, 1] in float32."""
        assert self.total is not None
        assert self.squares is not None
        groups, epsilon = (
            (norm.channels, norm.epsilon) if isinstance(norm, InstanceNorm) else (norm.num_groups, norm.eps)
        )
        mean, square = (part.view(groups, -1).mean(1) / self.count for part in (self.total, self.squares))
        deviation = (square - mean.square()).clamp(min=0).add(epsilon).sqrt()
        repeated = len(self.total) // groups
        factor = (1 / deviation).repeat_interleave(repeated)
        offset = -mean.repeat_interleave(repeated) * factor
        if isinstance(norm, nn.GroupNorm) and norm.affine:
            weight, bias = (part.to(factor) for part in (norm.weight, norm.bias))
            factor, offset = factor * weight, offset * weight + bias
        return factor.float()[:, None, None], offset.float()[:, None, None]


def _sums(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums and sums of squares. Metal has no float64."""
    exact = (values.cpu() if values.device.type == "mps" else values).double()
    return exact.sum(1), exact.square().sum(1)
