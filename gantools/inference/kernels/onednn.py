"""Convolutions that keep their weights in oneDNN's layout, fused with the activation or sum that follows.

torch reorders the weights of a convolution into oneDNN's layout at every call, which takes longer than the convolution
itself where maps are small. These layers reorder them once. They call the operations that torch.compile emits for CPUs;
:func:`is_supported` compares them with the plain layers before any is used.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from gantools.inference.kernels.fuse import copy_sharing_weights, replace_children
from gantools.models.blocks import InstanceNorm, Residual
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Strided: TypeAlias = StridedConv2d | StridedConvTranspose2d
Size: TypeAlias = tuple[int, int]

_SMALL_SIDE_PX = 16
"""Maps up to this side want the weights in a layout for their own size."""
_LARGE_PX = (32, 32)
_MOST_LAYOUTS = 4


class PackedLayer(nn.Module):
    """A convolution with its activation, computed in ``dtype``; weights are packed when they are first needed.

    The layout depends on the size of the map alone, not on earlier maps; it changes the time, never a bit.
    """

    memory_format = torch.channels_last

    def __init__(self, source: nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.padding, self.stride = list(cast("tuple[int, ...]", source.padding)), list(source.stride)
        self.dilation, self.groups = list(source.dilation), source.groups
        self.weight, self.bias = source.weight.detach(), None if source.bias is None else source.bias.detach()
        self.dtype = dtype
        # 16-bit convolutions with a stride are wrong on narrow maps on some CPUs (models.strided).
        strided = dtype != torch.float32 and isinstance(source, StridedConv2d | StridedConvTranspose2d)
        self.strided: Strided | None = cast(Strided, source) if strided else None
        self.layouts: dict[tuple[torch.dtype, Size], tuple[Tensor, Tensor | None]] = {}
        self.activation, self.parameters_of_activation = "none", list[float]()

    def fuse_activation(self, module: nn.Module) -> bool:
        """Compute an activation along with the convolution; False where that cannot be."""
        if self.activation != "none" or not isinstance(module, nn.ReLU | nn.LeakyReLU | nn.Tanh):
            return False
        if isinstance(module, nn.LeakyReLU):
            self.activation, self.parameters_of_activation = "leaky_relu", [module.negative_slope]
        else:
            self.activation = "relu" if isinstance(module, nn.ReLU) else "tanh"
        return True

    def prepared(self, features: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
        """The map, and weight and bias, in the type and layout to compute with."""
        narrow = self.strided is not None and self.strided.is_narrow(features)
        dtype = torch.float32 if narrow else self.dtype
        key = dtype, self.layout_size(features)
        if key not in self.layouts:
            if len(self.layouts) == _MOST_LAYOUTS:
                self.layouts.pop(next(iter(self.layouts)))
            weight = self.weight.to(dtype, memory_format=self.memory_format)
            self.layouts[key] = self.reordered(weight, key[1]), None if self.bias is None else self.bias.to(dtype)
        return self.as_input(features, dtype), self.layouts[key]

    def as_input(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        """The map in the type and layout to compute with."""
        return features.to(dtype).contiguous(memory_format=self.memory_format)

    def layout_size(self, features: Tensor) -> Size:
        """The size of map that the weights are laid out for."""
        height, width = features.shape[-2:]
        return (height, width) if max(height, width) <= _SMALL_SIDE_PX else _LARGE_PX

    def reordered(self, weight: Tensor, size: Size) -> Tensor:
        """The weight in oneDNN's layout for maps of this size."""
        raise NotImplementedError


class PackedConv2d(PackedLayer):
    """A convolution with its activation, or with ``added`` added to its output.

    Shapes: those of the convolution; channels_last out.
    """

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        given, weights = self.prepared(features)
        how = (*weights, self.padding, self.stride, self.dilation, self.groups)
        compute = torch.ops.mkldnn._convolution_pointwise
        if added is None:
            made = compute(given, *how, self.activation, self.parameters_of_activation, "")
        else:
            made = compute(given, self.as_input(added, self.dtype), *how, "add", 1.0, None, [], None)
        return cast(Tensor, made).to(self.dtype)

    def reordered(self, weight: Tensor, size: Size) -> Tensor:
        how = (self.padding, self.stride, self.dilation, self.groups)
        shape = [1, weight.shape[1] * self.groups, *size]
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_weight(weight, *how, shape))


class PackedConv3d(PackedConv2d):
    """The same in three dimensions, with a kernel as deep as the map. Shapes: (N, C, D, H, W) → (N, C', 1, H, W)."""

    memory_format = torch.channels_last_3d

    def reordered(self, weight: Tensor, size: Size) -> Tensor:
        how = (self.padding, self.stride, self.dilation, self.groups)
        shape = [1, weight.shape[1], weight.shape[2], *size]
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_weight(weight, *how, shape))


class PackedConvTranspose2d(PackedLayer):
    """A transposed convolution with its activation. Shapes: those of the convolution; channels_last out."""

    def __init__(self, source: nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__(source, dtype)
        self.output_padding = list(source.output_padding)

    def forward(self, features: Tensor) -> Tensor:
        given, weights = self.prepared(features)
        how = (*weights, self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        compute = torch.ops.mkldnn._convolution_transpose_pointwise
        made = compute(given, *how, self.activation, self.parameters_of_activation, "")
        return cast(Tensor, made).to(self.dtype)

    def layout_size(self, features: Tensor) -> Size:  # noqa: ARG002 - the same for maps of every size
        return _LARGE_PX

    def reordered(self, weight: Tensor, size: Size) -> Tensor:
        how = (self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        shape = [1, weight.shape[0], *size]
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *how, shape))


class ContiguousInstanceNorm(nn.Module):
    """Instance norm of a contiguous map: on channels_last maps torch loses a digit more (E[x²] - E[x]²)."""

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
def pack(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with every convolution packed for ``dtype``. What is not packed shares the original's weights."""
    made = copy_sharing_weights(network)
    replace_children(made, lambda layer: _replacement(layer, dtype))
    return made


def _replacement(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if type(layer) is nn.Sequential:
        kept: list[nn.Module] = []
        for each in layer:
            if not (kept and isinstance(kept[-1], PackedLayer) and kept[-1].fuse_activation(each)):
                kept.append(each)
        return nn.Sequential(*kept)
    if isinstance(layer, Residual):
        *before, last = layer.body
        sums = isinstance(last, PackedConv2d) and last.activation == "none" and last.strided is None
        return PackedResidual(nn.Sequential(*before), cast(PackedConv2d, last)) if sums else layer
    if isinstance(layer, InstanceNorm) and dtype == torch.float32:
        return ContiguousInstanceNorm(layer)
    if isinstance(layer, nn.PReLU):  # with a slope per channel; torch wants slopes of the features' type
        slopes = nn.PReLU(layer.num_parameters, device="meta")
        slopes.weight = nn.Parameter(layer.weight.to(dtype))
        return slopes
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
        return PackedConv2d(layer, dtype)
    if isinstance(layer, nn.ConvTranspose2d) and layer.padding_mode == "zeros":
        return PackedConvTranspose2d(layer, dtype)
    return layer


@cache
def is_supported(dtype: torch.dtype) -> bool:
    """Whether torch has these operations for ``dtype`` on this CPU and they compute what the plain layers do."""
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
            made = pack(nn.Sequential(plain), dtype)
            return all(torch.allclose(made(each).float(), plain(each), atol=tolerance, rtol=0) for each in maps)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):
        return False  # another torch or CPU: the network then runs by torch's plain layers
