"""Which form of a network is computed: fused, in oneDNN's layout, compiled; in which layout, by measurement.

The measurements are in docs/benchmarks.md; docs/decisions/0009 and 0020 give the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gantools import speed
from gantools.inference.kernels.compile import CompiledNetwork
from gantools.inference.kernels.dense import for_whole_images
from gantools.inference.kernels.fuse import copy_sharing_weights, fuse, is_fixed
from gantools.inference.kernels.onednn import is_supported, pack
from gantools.models.blocks import GLOBAL_NORMS
from gantools.models.generators.resnet_unet import ResNetUNet
from gantools.models.generators.spandrel import SpandrelNetwork
from gantools.models.generators.unet import UNet
from gantools.models.options import SpandrelOptions

if TYPE_CHECKING:
    from gantools.inference.model import Model

Network: TypeAlias = Callable[[Tensor], Tensor]
Layout: TypeAlias = Literal["contiguous", "channels_last", "packed"]
"""Memory layout of feature maps and weights; ``packed`` is oneDNN's own (``kernels.onednn``)."""

SIDE_PX = 64
"""Images are timed at this size, rounded up to one that the network takes."""


@dataclass(frozen=True, eq=False)
class NetworkVariants:
    """A network in the forms that it is computed in, one per arithmetic, each made at its first use.

    ``layouts`` overrides the usual layout by arithmetic; None is float32. With ``compile`` images go through
    torch.compile.
    """

    network: nn.Module
    device: torch.device
    compile: bool = False
    layouts: Mapping[torch.dtype | None, Layout] = field(default_factory=dict)
    _made: dict[tuple[torch.dtype | None, bool], Network] = field(default_factory=dict)

    def __call__(self, image: Tensor, dtype: torch.dtype | None) -> Tensor:
        """Run the network in ``dtype`` (None: float32). Shapes: those of the network; float32 in and out."""
        return self.variant(dtype, compiled=self.compile)(image).float()

    def variant(self, dtype: torch.dtype | None, *, compiled: bool = False) -> Network:
        """What is run in ``dtype``; a module where it is packed."""
        if (dtype, compiled) in self._made:
            return self._made[dtype, compiled]
        made: Network
        if compiled:
            made = CompiledNetwork(plain_variant(self.network, self.device, dtype), dtype)
        elif self._layout(dtype) == "packed":
            made = for_whole_images(pack(fuse(self.network), dtype or torch.float32))
        else:
            made = plain_variant(self.network, self.device, dtype, self._layout(dtype))
        self._made[dtype, compiled] = made
        return made

    def by_layers(self, dtype: torch.dtype | None) -> nn.Module | None:
        """The packed form layer by layer, of which rows can be computed one after the other; None without one."""
        return pack(fuse(self.network), dtype or torch.float32) if self._layout(dtype) == "packed" else None

    def _layout(self, dtype: torch.dtype | None) -> Layout:
        return self.layouts.get(dtype) or usual_layout(self.network, self.device, dtype)


def plain_variant(
    network: nn.Module, device: torch.device, dtype: torch.dtype | None, layout: Layout | None = None
) -> Network:
    """The network with fused layers where that is exact, computed by torch's own modules."""
    channels_last = (layout or _usual_plain_layout(network, device)) == "channels_last"
    if device.type != "mps":
        network = fuse(network, enlarge_last=device.type == "cpu")
    if channels_last:
        network = copy_sharing_weights(network)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not is_parametrized(layer):
                weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
                layer.weight = nn.Parameter(weight, requires_grad=False)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def run(image: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype) if dtype else nullcontext():
            return cast(Tensor, network(image.contiguous(memory_format=memory_format)))

    return run


def possible_layouts(network: nn.Module, dtype: torch.dtype | None) -> tuple[Layout, ...]:
    """The layouts in which a network is exact on a CPU, ``contiguous`` first.

    Instance and group norms lose a digit on channels_last maps. A packed U-Net computes them on contiguous ones.
    """
    if is_fixed(network):
        return ("contiguous",)
    global_norm = has_global_norm(network)
    packs = isinstance(network, UNet) or not global_norm or dtype is not None
    candidates: dict[Layout, bool] = {
        "contiguous": True,
        "channels_last": not global_norm,
        "packed": packs and is_supported(dtype or torch.float32),
    }
    return tuple(layout for layout, exact in candidates.items() if exact)


def usual_layout(network: nn.Module, device: torch.device, dtype: torch.dtype | None) -> Layout:
    """The layout that is faster on most machines, for want of a measurement on this one.

    Instance norms in float32 want contiguous maps, and converting them costs what packing gains; except in a U-Net,
    whose wide layers on small maps gain most. The odd channel counts of a ResNet U-Net gain nothing.
    """
    gains = isinstance(network, UNet) or (
        not isinstance(network, ResNetUNet) and (dtype is not None or not has_global_norm(network))
    )
    if device.type == "cpu" and not is_fixed(network) and gains and is_supported(dtype or torch.float32):
        return "packed"
    return _usual_plain_layout(network, device)


def _usual_plain_layout(network: nn.Module, device: torch.device) -> Layout:
    contiguous = has_global_norm(network) or is_fixed(network) or device.type == "mps"
    return "contiguous" if contiguous else "channels_last"


def has_global_norm(network: nn.Module) -> bool:
    """Whether a norm takes its statistics from the whole image."""
    return any(isinstance(module, GLOBAL_NORMS) for module in network.modules())


def why_not_compiled(network: nn.Module, device: torch.device) -> str | None:
    """Why compiling a network would not help; None where it may."""
    if network.training:
        return "it keeps dropout or batch statistics"
    if isinstance(network, SpandrelNetwork):
        return "it is a network of another code"
    if device.type == "mps":
        return "torch compiles for CPUs and CUDA"
    if device.type == "cpu" and isinstance(network, UNet):
        return "on a CPU a U-Net with packed weights is more than twice as fast as compiled"
    return None


def fastest(model: Model, *, fast: bool) -> tuple[Model, str | None]:
    """The model in the layout that is fastest on this CPU, and with ``fast`` in the faster of fp32 and bf16.

    The second value is one line on the precision, with ``fast``. In fp32 a layout changes last bits, so only a
    measurement that is kept for all later runs is followed: an image comes out the same today and tomorrow.
    A model that is not on a CPU, is compiled, or was loaded in 16 bits comes back as it is.
    """
    of_other_code = isinstance(model.options, SpandrelOptions) and model.sees_masks
    if model.device.type != "cpu" or model.compile or model.autocast is not None or of_other_code:
        return model, None
    usual = usual_layout(model.network, model.device, None)  # first: it gives way only to what is clearly faster
    layouts = sorted(possible_layouts(model.network, None), key=lambda layout: layout != usual)
    if len(layouts) > 1:
        found, kept = _measured(model, "fp32", {layout: (None, layout) for layout in layouts})
        if kept:
            model = replace(model, layouts={None: cast(Layout, found.fastest)})
    return _fastest_precision(model) if fast else (model, None)


def _fastest_precision(model: Model) -> tuple[Model, str]:
    """In bf16 where that is clearly faster than fp32. It is not tried where a plain convolution gains nothing."""
    general = speed.convolution().ratios
    gain = max(general.get("bf16", 0), general.get("bf16 channels_last", 0))
    if isinstance(model.options, SpandrelOptions) and not model.options.supports_bf16:
        return model, f"precision: fp32 ({model.options.architecture} cannot be computed in bf16)"
    if gain < speed.MARGIN:
        return model, f"precision: {speed.Measured('', {'fp32': 1, 'bf16': gain})}"
    layout = model.layouts.get(None) or usual_layout(model.network, model.device, None)
    choices: dict[str, tuple[torch.dtype | None, Layout]] = {"fp32": (None, layout)}
    for each in possible_layouts(model.network, torch.bfloat16):
        choices[f"bf16 {each}"] = (torch.bfloat16, each)
    found, _ = _measured(model, f"fp32 {layout} and bf16", choices)
    dtype, layout = choices[found.fastest]
    return replace(model, autocast=dtype, layouts={**model.layouts, dtype: layout}), f"precision: {found}"


def _measured(
    model: Model, what: str, choices: Mapping[str, tuple[torch.dtype | None, Layout]]
) -> tuple[speed.Measured, bool]:
    """How fast the network is in each of ``choices``, on noise; and whether the measurement is kept."""

    def measure() -> Mapping[str, float]:
        multiple = model.generator.size_multiple
        side_px = max(-(-SIDE_PX // multiple) * multiple, model.generator.minimum_size_px)
        shape = (1, model.options.in_channels, side_px, side_px)
        noise = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1

        def contender(dtype: torch.dtype | None, layout: Layout) -> speed.Contender:
            variants = NetworkVariants(model.network, model.device, layouts={dtype: layout})
            return lambda: torch.inference_mode()(lambda: variants(noise, dtype))

        return speed.ratios({name: contender(*choice) for name, choice in choices.items()})

    options = {"network": model.export.options, "mode": model.export.mode, "side_px": SIDE_PX, "choices": [*choices]}
    return speed.measured(f"inference {model.options.name}, {what}", options, measure)
