"""Convolutions whose weights lie as this processor wants them, with the activation or sum that follows computed along.

torch brings the weights of a convolution into oneDNN's layout again at every call, which takes longer than the
convolution itself where maps are small. These layers keep them so. They call the operations that ``torch.compile``
emits for processors; :func:`works` compares them with their definition before any is used.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.inference.kernels.fuse import replace_children, sharing_copy
from gantools.models.blocks import InstanceNorm, Residual
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Strided: TypeAlias = StridedConv2d | StridedConvTranspose2d
Laid: TypeAlias = tuple[Tensor, Tensor | None]
"""Weight and bias as the operations want them."""
Size: TypeAlias = tuple[int, int]

_SMALL_SIDE_PX = 16
"""Convolutions of maps up to this side want the weights in a layout of that size's own."""
_LARGE_PX = (32, 32)
_MOST_LAYOUTS = 4


class Activation:
    """A non-linearity as oneDNN names it; ``after`` computes the same on its own."""

    def __init__(self, module: nn.Module | None) -> None:
        self.after = module or nn.Identity()
        self.name, self.numbers = "none", list[float]()
        if isinstance(module, nn.LeakyReLU):
            self.name, self.numbers = "leaky_relu", [module.negative_slope]
        elif module is not None:
            self.name = "relu" if isinstance(module, nn.ReLU) else "tanh"

    @staticmethod
    def fits(module: nn.Module) -> bool:
        return isinstance(module, nn.ReLU | nn.LeakyReLU | nn.Tanh)


class Packed(nn.Module):
    """What both kinds share: the type of their arithmetic, and weights that are laid out when they are first needed.

    Which layout a map takes depends on its size alone, not on the past; it changes the time, never a bit.
    """

    def __init__(self, source: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype, activation: Activation) -> None:
        super().__init__()
        self.padding, self.stride = list(cast(tuple[int, int], source.padding)), list(source.stride)
        self.dilation, self.groups = list(source.dilation), source.groups
        self.weight, self.bias = source.weight.detach(), None if source.bias is None else source.bias.detach()
        self.dtype, self.activation = dtype, activation
        careful = dtype != torch.float32 and isinstance(source, StridedConv2d | StridedConvTranspose2d)
        self.careful: Strided | None = cast(Strided, source) if careful else None
        self.layouts: dict[tuple[torch.dtype, Size], Laid] = {}

    def prepared(self, features: Tensor) -> tuple[Tensor, Laid]:
        """The map and the weights as they are computed with: float32 where 16 bits are wrong (``models.strided``)."""
        narrow = self.careful is not None and self.careful.is_narrow(features)
        dtype = torch.float32 if narrow else self.dtype
        key = dtype, self.size(features)
        if key not in self.layouts:
            if len(self.layouts) == _MOST_LAYOUTS:
                self.layouts.pop(next(iter(self.layouts)))
            weight = self.weight.to(dtype, memory_format=torch.channels_last)
            self.layouts[key] = self.laid_out(weight, key[1]), None if self.bias is None else self.bias.to(dtype)
        return _given(features, dtype), self.layouts[key]

    def size(self, features: Tensor) -> Size:
        """The size of map whose layout this one takes."""
        height, width = features.shape[-2:]
        return (height, width) if max(height, width) <= _SMALL_SIDE_PX else _LARGE_PX

    def laid_out(self, weight: Tensor, size: Size) -> Tensor:
        """The weight as maps of this size want it."""
        raise NotImplementedError


class PackedConv2d(Packed):
    """A convolution with what follows it: its activation, or a sum with ``added`` instead.

    Shapes: those of the convolution; channels_last out. Computed in the type it was packed for.
    """

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        given, laid = self.prepared(features)
        where = (*laid, self.padding, self.stride, self.dilation, self.groups)
        kind, compute = self.activation, torch.ops.mkldnn._convolution_pointwise
        if added is None:
            made = compute(given, *where, kind.name, kind.numbers, "")
        else:
            made = compute(given, _given(added, self.dtype), *where, "add", 1.0, None, [], None)
        return cast(Tensor, made).to(self.dtype)

    def laid_out(self, weight: Tensor, size: Size) -> Tensor:
        where = (self.padding, self.stride, self.dilation, self.groups)
        shape = [1, weight.shape[1] * self.groups, *size]
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_weight(weight, *where, shape))


class PackedConvTranspose2d(Packed):
    """A transposed convolution with its activation.

    Shapes: those of the transposed convolution; channels_last out. Computed in the type it was packed for.
    """

    def __init__(self, source: nn.ConvTranspose2d, dtype: torch.dtype, activation: Activation) -> None:
        super().__init__(source, dtype, activation)
        self.output_padding = list(source.output_padding)

    def forward(self, features: Tensor) -> Tensor:
        given, laid = self.prepared(features)
        where = (*laid, self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        kind = self.activation
        made = torch.ops.mkldnn._convolution_transpose_pointwise(given, *where, kind.name, kind.numbers, "")
        return cast(Tensor, made).to(self.dtype)

    def size(self, features: Tensor) -> Size:  # noqa: ARG002 - these want the same for maps of every size
        return _LARGE_PX

    def laid_out(self, weight: Tensor, size: Size) -> Tensor:
        where = (self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        shape = [1, weight.shape[0], *size]
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *where, shape))


class SteadyInstanceNorm(nn.Module):
    """Instance norm of a contiguous map: on channels_last ones torch loses a digit more (E[x²] - E[x]²)."""

    def __init__(self, source: InstanceNorm) -> None:
        super().__init__()
        self.source = source

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.source(features.contiguous())
        return made


class PackedResidual(nn.Module):
    """``x + body(x)``, the sum computed along with the body's last convolution."""

    def __init__(self, before: nn.Module, last: PackedConv2d) -> None:
        super().__init__()
        self.before, self.last = before, last

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.last(self.before(features), features))


@torch.no_grad()
def packed(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network with every convolution packed for ``dtype``. What is not packed shares the original's weights."""
    made = sharing_copy(network)
    replace_children(made, lambda layer: _replacement(layer, dtype))
    return made


def _replacement(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if type(layer) is nn.Sequential:
        return nn.Sequential(*_with_activations(list(layer)))
    if isinstance(layer, Residual):
        return _with_sum(layer)
    if isinstance(layer, InstanceNorm) and dtype == torch.float32:
        return SteadyInstanceNorm(layer)
    return _packed_layer(layer, dtype)


def _with_activations(layers: list[nn.Module]) -> list[nn.Module]:
    kept: list[nn.Module] = []
    for layer in layers:
        before = kept[-1] if kept else None
        if isinstance(before, Packed) and before.activation.name == "none" and Activation.fits(layer):
            before.activation = Activation(layer)
        else:
            kept.append(layer)
    return kept


def _with_sum(residual: Residual) -> nn.Module:
    *before, last = residual.body
    if isinstance(last, PackedConv2d) and last.activation.name == "none" and last.careful is None:
        return PackedResidual(nn.Sequential(*before), last)
    return residual


def _packed_layer(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or layer.padding_mode != "zeros":
        return layer
    if isinstance(layer, nn.Conv2d):
        return PackedConv2d(layer, dtype, Activation(None))
    return PackedConvTranspose2d(layer, dtype, Activation(None))


def _given(features: Tensor, dtype: torch.dtype) -> Tensor:
    return features.to(dtype).contiguous(memory_format=torch.channels_last)


@cache
def works(dtype: torch.dtype) -> bool:
    """Whether this torch on this processor has these operations for ``dtype`` and they compute what they should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        ends = nn.Conv2d(3, 8, 3, padding=1), StridedConvTranspose2d(8, 3, 4, 2, 1)
        inner = StridedConv2d(8, 8, 4, 2, 1), nn.ReLU(), Residual(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1))
        plain = nn.Sequential(ends[0], nn.LeakyReLU(0.2), *inner, ends[1], nn.Tanh())
        maps = torch.rand(1, 3, 12, 10), torch.rand(1, 3, 2, 2)  # torch 2.11 fails at maps of one sample
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    try:
        with torch.no_grad():
            made = packed(nn.Sequential(plain), dtype)
            return all(torch.allclose(made(each).float(), plain(each), atol=tolerance, rtol=0) for each in maps)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):
        return False  # another torch or another processor; the network then runs as torch offers it to everyone
