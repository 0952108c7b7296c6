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

from gantools.inference.rewriting import replace_children, sharing_copy
from gantools.models.blocks import InstanceNorm, Residual
from gantools.models.strided import StridedConv2d, StridedConvTranspose2d

Strided: TypeAlias = StridedConv2d | StridedConvTranspose2d

_SMALL_SIDE_PX = 8
"""Transposed convolutions of maps up to this side want the weights in a layout of that size's own."""
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
    """What both kinds share: the type of their arithmetic, and which maps are left to ``source`` in float32."""

    def __init__(self, source: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype, activation: Activation) -> None:
        super().__init__()
        self.padding, self.stride = list(cast(tuple[int, int], source.padding)), list(source.stride)
        self.dilation, self.groups = list(source.dilation), source.groups
        self.bias = _in_type(source.bias, dtype)
        self.dtype, self.activation = dtype, activation
        careful = dtype != torch.float32 and isinstance(source, StridedConv2d | StridedConvTranspose2d)
        self.exact: Strided | None = cast(Strided, source) if careful else None

    def narrow(self, features: Tensor) -> Tensor | None:
        """The result for maps one sample wide, which 16 bits compute wrongly (:mod:`gantools.models.strided`)."""
        if self.exact is None or not self.exact.is_narrow(features):
            return None
        made: Tensor = self.activation.after(self.exact(features.float()))
        return made.to(self.dtype)

    def given(self, features: Tensor) -> Tensor:
        return features.to(self.dtype).contiguous(memory_format=torch.channels_last)


class PackedConv2d(Packed):
    """A convolution with what follows it: its activation, or a sum with ``added`` instead.

    Shapes: those of the convolution; channels_last out. Computed in the type it was packed for.
    """

    def __init__(self, source: nn.Conv2d, dtype: torch.dtype, activation: Activation) -> None:
        super().__init__(source, dtype, activation)
        weight = source.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight, self.padding, self.stride, self.dilation, self.groups
        )

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        where = (self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups)
        given, kind = self.given(features), self.activation
        if added is not None:
            whole = torch.ops.mkldnn._convolution_pointwise(
                given, self.given(added), *where, "add", 1.0, None, [], None
            )
            return cast(Tensor, whole)
        narrow = self.narrow(features)
        return (
            cast(Tensor, torch.ops.mkldnn._convolution_pointwise(given, *where, kind.name, kind.numbers, ""))
            if narrow is None
            else narrow
        )


class PackedConvTranspose2d(Packed):
    """A transposed convolution with its activation.

    Shapes: those of the transposed convolution; channels_last out. Computed in the type it was packed for.
    """

    def __init__(self, source: nn.ConvTranspose2d, dtype: torch.dtype, activation: Activation) -> None:
        super().__init__(source, dtype, activation)
        self.weight = source.weight.detach()
        self.output_padding = list(source.output_padding)
        self.layouts: dict[tuple[int, int], Tensor] = {}

    def forward(self, features: Tensor) -> Tensor:
        narrow = self.narrow(features)
        if narrow is not None:
            return narrow
        where = (self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        made = torch.ops.mkldnn._convolution_transpose_pointwise(
            self.given(features),
            self._layout(features),
            self.bias,
            *where,
            self.activation.name,
            self.activation.numbers,
            "",
        )
        return cast(Tensor, made)

    def _layout(self, features: Tensor) -> Tensor:
        """The weights as a map of this size wants them. What is chosen depends on the size alone, not on the past."""
        height, width = features.shape[-2:]
        size = (height, width) if max(height, width) <= _SMALL_SIDE_PX else _LARGE_PX
        if size not in self.layouts:
            if len(self.layouts) == _MOST_LAYOUTS:
                self.layouts.pop(next(iter(self.layouts)))
            self.layouts[size] = self._packed(size)
        return self.layouts[size]

    def _packed(self, size: tuple[int, int]) -> Tensor:
        weight = self.weight.to(self.dtype).contiguous(memory_format=torch.channels_last)
        shape = [1, weight.shape[0], *size]
        where = (self.padding, self.output_padding, self.stride, self.dilation, self.groups, shape)
        return cast(Tensor, torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *where))


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
    if isinstance(last, PackedConv2d) and last.activation.name == "none" and last.exact is None:
        return PackedResidual(nn.Sequential(*before), last)
    return residual


def _packed_layer(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or layer.padding_mode != "zeros":
        return layer
    if isinstance(layer, nn.Conv2d):
        return PackedConv2d(layer, dtype, Activation(None))
    return PackedConvTranspose2d(layer, dtype, Activation(None))


def _in_type(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.detach().to(dtype)


@cache
def works(dtype: torch.dtype) -> bool:
    """Whether this torch on this processor has these operations for ``dtype`` and they compute what they should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        ends = nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 3, 4, 2, 1)
        plain = nn.Sequential(ends[0], nn.LeakyReLU(0.2), Residual(nn.Conv2d(8, 8, 1)), ends[1], nn.Tanh())
        features = torch.rand(1, 3, 12, 10)
    try:
        with torch.no_grad():
            made = packed(nn.Sequential(plain), dtype)(features).float()
            return torch.allclose(made, plain(features), atol=1e-5 if dtype == torch.float32 else 0.02, rtol=0)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):
        return False  # another torch or another processor; the network then runs as torch offers it to everyone
