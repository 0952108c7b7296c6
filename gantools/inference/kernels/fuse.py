"""The same network in fewer operations: equal to the original up to the rounding of float32.

Only networks in evaluation mode are fused, whose norms use stored statistics. Layers that no rule fits stay as they
are. Weights are shared with the original and never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from typing import TypeGuard, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gantools.models.blocks import InstanceNorm
from gantools.models.encoders import BasicBlock, ResNetEncoder
from gantools.models.generators.rrdb import RRDBNet
from gantools.models.generators.spandrel import SpandrelNetwork
from gantools.models.generators.srresnet import SRResNet

Layer = TypeVar("Layer", bound=nn.Module)

_FEW_CHANNELS = 4
"""Convolutions to fewer output channels leave vector units idle; computing every sub-pixel at once fills them."""

_FRESH = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, InstanceNorm)
"""Layers whose output nothing else refers to, so that an activation may overwrite it."""


@torch.no_grad()
def fuse(network: nn.Module, *, enlarge_last: bool = True) -> nn.Module:
    """A copy with norms folded into convolutions and, with ``enlarge_last``, the last one before the enlargement.

    A network that is computed as it is comes back itself.
    """
    if is_fixed(network):
        return network
    fused = copy_sharing_weights(network)
    replace_children(fused, without_parametrization)
    _fold_named_norms(fused)
    replace_children(fused, _fuse_sequence)
    if enlarge_last:
        replace_children(fused, lambda layer: to_subpixel_convolution(layer) if _enlarges_to_few(layer) else layer)
    if enlarge_last and isinstance(fused, SRResNet) and len(fused.ups) and isinstance(fused.ups[-1], nn.PixelShuffle):
        # The last convolution before PixelShuffle: its 9×9 kernel becomes a 5×5 one on more channels.
        shuffle = fused.ups[-1]
        fused.ups = fused.ups[:-1]
        wide = before_pixel_shuffle(fused.last, shuffle.upscale_factor)
        fused.register_module("last", nn.Sequential(wide, nn.PixelShuffle(shuffle.upscale_factor)))
    if enlarge_last and isinstance(fused, RRDBNet):
        fused.ups = nn.Sequential(*_doublings(list(fused.ups)))
    return fused.requires_grad_(False).eval()


def is_fixed(network: nn.Module) -> bool:
    """Whether a network is computed as it is: in training mode its dropout and batch statistics are meant, and of the
    layers of another code's network nothing is known.
    """
    return network.training or isinstance(network, SpandrelNetwork)


def copy_sharing_weights(network: nn.Module) -> nn.Module:
    """A copy with modules of its own and the original's tensors."""
    tensors: Iterable[Tensor] = chain(network.parameters(), network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def replace_children(parent: nn.Module, change: Callable[[nn.Module], nn.Module]) -> None:
    """Replace every module below ``parent`` by ``change(module)``, the innermost first."""
    for name, child in list(parent.named_children()):
        replace_children(child, change)
        changed = change(child)
        if changed is not child:
            parent.register_module(name, changed)


def without_parametrization(layer: nn.Module) -> nn.Module:
    """A convolution whose weight norm or spectral norm is computed once."""
    if not (isinstance(layer, nn.Conv2d) and is_parametrized(layer)):
        return layer
    plain = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        cast(tuple[int, int], layer.kernel_size),
        cast(tuple[int, int], layer.stride),
        cast(tuple[int, int], layer.padding),
        bias=layer.bias is not None,
        device="meta",
    )
    plain.weight, plain.bias = nn.Parameter(layer.weight.detach()), layer.bias
    return plain


def _fold_named_norms(network: nn.Module) -> None:
    """Norms that a forward pass calls by name right after their convolution."""
    for module in network.modules():
        if isinstance(module, BasicBlock):
            module.conv1, module.bn1 = _folded(module.conv1, module.bn1), cast(nn.BatchNorm2d, nn.Identity())
            module.conv2, module.bn2 = _folded(module.conv2, module.bn2), cast(nn.BatchNorm2d, nn.Identity())
        elif isinstance(module, ResNetEncoder):
            module.early["conv1"] = _folded(module.early["conv1"], module.early["bn1"])
            module.early["bn1"] = nn.Identity()


def _folded(convolution: Layer, norm: nn.Module) -> Layer:
    """The convolution followed by ``norm`` with its stored statistics, as one convolution."""
    layer, fixed = cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)
    deviation = (cast(Tensor, fixed.running_var) + fixed.eps).sqrt()
    factor = fixed.weight / deviation
    shape = (1, -1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    bias = 0 if layer.bias is None else layer.bias
    made = copy.copy(layer)
    made._parameters = dict(layer._parameters)
    made.weight = nn.Parameter(layer.weight * factor.view(shape))
    made.bias = nn.Parameter(fixed.bias + (bias - cast(Tensor, fixed.running_mean)) * factor)
    return cast(Layer, made)


def _fuse_sequence(sequence: nn.Module) -> nn.Module:
    """Norms folded, activations in place and before PixelShuffle, without layers that do nothing."""
    if type(sequence) is not nn.Sequential:
        return sequence
    layers: list[nn.Module] = []
    for layer in sequence:
        if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d | nn.ConvTranspose2d):
            layers[-1] = _folded(layers[-1], layer)
        elif isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            layers.append(nn.LeakyReLU(layer.weight.item()))  # unlike a PReLU it may change places with PixelShuffle
        elif not isinstance(layer, nn.Dropout | nn.Identity):
            layers.append(layer)
    for position in range(len(layers) - 1):
        first, second = layers[position : position + 2]
        if isinstance(first, nn.PixelShuffle) and isinstance(second, nn.ReLU | nn.LeakyReLU):
            layers[position : position + 2] = second, first
    for before, layer in pairwise(layers):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU) and isinstance(before, _FRESH):
            layer.inplace = True
    return nn.Sequential(*layers)


def _enlarges_to_few(layer: nn.Module) -> TypeGuard[nn.ConvTranspose2d]:
    """Whether a layer enlarges by its stride, alike in both directions, to few channels."""
    if not isinstance(layer, nn.ConvTranspose2d) or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    padding = cast(tuple[int, int], layer.padding)
    square = all(len({*pair}) == 1 for pair in (layer.kernel_size, layer.stride, padding, layer.output_padding))
    grows = layer.kernel_size[0] + layer.output_padding[0] - 2 * padding[0]
    return square and grows == layer.stride[0] and layer.out_channels < _FEW_CHANNELS


def before_pixel_shuffle(convolution: nn.Conv2d, factor: int) -> nn.Conv2d:
    """The convolution that does before PixelShuffle(factor) what ``convolution`` does after it, borders included.

    Sub-pixel a of position i, at factor·i + a, sees through tap k the sub-pixel b of position i + j where
    factor·j + b = a + k - padding. ``convolution`` has a square, odd kernel and keeps the size.
    """
    padding = convolution.kernel_size[0] // 2
    radius = -(-padding // factor)
    taps = torch.zeros(factor, factor, 2 * radius + 1, convolution.kernel_size[0])
    for a in range(factor):
        for tap in range(convolution.kernel_size[0]):
            position, b = divmod(a + tap - padding, factor)
            taps[a, b, position + radius, tap] = 1
    kernel = torch.einsum("ocyx,abjy,ABJx->oaAcbBjJ", convolution.weight, taps, taps)
    return _convolution(kernel.flatten(3, 5).flatten(0, 2), convolution.bias, factor)


class Doubling(nn.Module):
    """Repeated pixels and a 3×3 convolution after them, as a 2×2 convolution before: four ninths of the work.

    Of the three rows that a sample sees two are the same: the upper half of a pixel sees it and the one above it, the
    lower half it and the one below. ``layers`` makes the four samples of each corner of pixels, (4·C, H + 1, W + 1).

    Shapes: (N, K, H, W) → (N, C, 2·H, 2·W).
    """

    def __init__(self, convolution: nn.Conv2d, *after: nn.Module) -> None:
        super().__init__()
        taps = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
        kernel = torch.einsum("ocyx,ajy,bJx->abocjJ", convolution.weight, taps, taps).flatten(0, 2)
        bias = None if convolution.bias is None else convolution.bias.repeat(4)
        made = nn.Conv2d(kernel.shape[1], kernel.shape[0], 2, padding=1, bias=bias is not None, device="meta")
        made.weight, made.bias = nn.Parameter(kernel), None if bias is None else nn.Parameter(bias)
        self.layers = nn.Sequential(made, *after)

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        corners = cast(Tensor, self.layers(features))
        channels = corners.shape[1] // 4
        shape = (corners.shape[0], channels, 2 * height, 2 * width)
        large = torch.empty(shape, dtype=corners.dtype, device=corners.device, memory_format=torch.channels_last)
        for part, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            samples = corners[:, part * channels : (part + 1) * channels]
            large[:, :, row::2, column::2] = samples[:, :, row : row + height, column : column + width]
        return large


def _doublings(layers: list[nn.Module]) -> Iterator[nn.Module]:
    """RRDBNet's enlargement, each of its steps as one."""
    for upsample, convolution, activation in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        assert isinstance(upsample, nn.Upsample)
        yield Doubling(cast(nn.Conv2d, convolution), activation)


def to_subpixel_convolution(convolution: nn.ConvTranspose2d) -> nn.Sequential:
    """A transposed convolution as a convolution to all sub-pixels and PixelShuffle.

    Tap k brings the input at i + j to sub-pixel a of i where factor·j = a + padding - k.
    """
    factor, size = convolution.stride[0], convolution.kernel_size[0]
    padding = cast(tuple[int, int], convolution.padding)[0]
    radius = max((factor - 1 + padding) // factor, (size - 1 - padding) // factor)
    taps = torch.zeros(factor, 2 * radius + 1, size)
    for a in range(factor):
        for tap in range((a + padding) % factor, size, factor):
            taps[a, (a + padding - tap) // factor + radius, tap] = 1
    kernel = torch.einsum("coyx,ajy,AJx->oaAcjJ", convolution.weight, taps, taps)
    return nn.Sequential(_convolution(kernel.flatten(0, 2), convolution.bias, factor), nn.PixelShuffle(factor))


def _convolution(kernel: Tensor, bias: Tensor | None, factor: int) -> nn.Conv2d:
    """A convolution that keeps the size. ``bias`` is one per channel after PixelShuffle."""
    outputs, inputs, size, _ = kernel.shape
    made = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias is not None, device="meta")
    made.weight = nn.Parameter(kernel)
    made.bias = None if bias is None else nn.Parameter(bias.repeat_interleave(factor**2))
    return made
