"""How a network is computed: rewritten and packed where that is exact and was measured to pay, else as it is.

What was measured is in docs/benchmarks.md; docs/decisions/0009 says why.
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
from gantools.inference.kernels.compile import compiled
from gantools.inference.kernels.fuse import rewritten, sharing_copy
from gantools.inference.kernels.onednn import packed, works
from gantools.models.blocks import GLOBAL_NORMS
from gantools.models.generators.resnet_unet import ResNetUNet
from gantools.models.generators.unet import UNet

if TYPE_CHECKING:
    from gantools.inference.model import Model

Form: TypeAlias = Callable[[Tensor], Tensor]
Layout: TypeAlias = Literal["contiguous", "channels_last", "packed"]
"""How maps and weights lie: as torch runs everything, as it runs convolutions fastest, or as oneDNN wants them."""


@dataclass(frozen=True, eq=False)
class NetworkVariants:
    """A network in the forms that it is computed in, each made when it is first asked for.

    ``forms`` are kept by the type of their arithmetic; None is float32. ``layouts`` says how maps lie in one, where
    that is not as usual. With ``compile`` pictures go through what the compiler made for their shape.
    """

    network: nn.Module
    device: torch.device
    compile: bool = False
    layouts: Mapping[torch.dtype | None, Layout] = field(default_factory=dict)
    forms: dict[torch.dtype | None, Form] = field(default_factory=dict)
    compiled_forms: dict[torch.dtype | None, Form] = field(default_factory=dict)

    def __call__(self, image: Tensor, dtype: torch.dtype | None) -> Tensor:
        """Run the network in a type of arithmetic. Shapes: those of the network; float32 in and out."""
        return (self.compiled_form(dtype) if self.compile else self.form(dtype))(image).float()

    def form(self, dtype: torch.dtype | None) -> Form:
        """How the network is computed in a type of arithmetic."""
        if dtype not in self.forms:
            self.forms[dtype] = _form(self.network, self.device, dtype, self.layouts.get(dtype))
        return self.forms[dtype]

    def compiled_form(self, dtype: torch.dtype | None) -> Form:
        """How the network is computed in a type of arithmetic, as torch's compiler has it."""
        if dtype not in self.compiled_forms:
            self.compiled_forms[dtype] = _compiled_form(self.network, self.device, dtype)
        return self.compiled_forms[dtype]


def possible_layouts(network: nn.Module, dtype: torch.dtype | None) -> tuple[Layout, ...]:
    """The layouts in which a network is exact on a processor, the plain one first.

    Norms over a picture lose a digit on channels_last maps; packed, a U-Net's are computed on contiguous ones.
    """
    if network.training:
        return ("contiguous",)
    wide = has_global_norm(network)
    packs = isinstance(network, UNet) or not wide or dtype is not None
    candidates: dict[Layout, bool] = {"contiguous": True, "channels_last": not wide, "packed": packs}
    return tuple(layout for layout, exact in candidates.items() if exact and (layout != "packed" or _works(dtype)))


def usual_layout(network: nn.Module, device: torch.device, dtype: torch.dtype | None) -> Layout:
    """The layout that was faster on most machines, where nothing was measured on this one."""
    if device.type == "cpu" and not network.training and _packing_pays(network, dtype) and _works(dtype):
        return "packed"
    return _usual_plain_layout(network, device)


def _usual_plain_layout(network: nn.Module, device: torch.device) -> Layout:
    """channels_last pays for plain convolutions."""
    contiguous = has_global_norm(network) or network.training or device.type == "mps"
    return "contiguous" if contiguous else "channels_last"


def _works(dtype: torch.dtype | None) -> bool:
    return works(dtype or torch.float32)


def _form(network: nn.Module, device: torch.device, dtype: torch.dtype | None, layout: Layout | None) -> Form:
    layout = layout or usual_layout(network, device, dtype)
    if layout == "packed":
        return packed(rewritten(network), dtype or torch.float32)
    return _plain_form(network, device, dtype, layout)


def _plain_form(
    network: nn.Module, device: torch.device, dtype: torch.dtype | None, layout: Layout | None = None
) -> Form:
    """In fewer operations, where that is known to be exact, by the layers that torch offers to everyone."""
    layout = layout or _usual_plain_layout(network, device)
    if network.training or device.type == "mps":
        return _as_torch_runs(network, device, dtype, layout)
    return _as_torch_runs(rewritten(network, enlarge_last=device.type == "cpu"), device, dtype, layout)


def _compiled_form(network: nn.Module, device: torch.device, dtype: torch.dtype | None) -> Form:
    """The compiler joins layers by itself, from what everyone has."""
    return compiled(_plain_form(network, device, dtype), dtype)


def _packing_pays(network: nn.Module, dtype: torch.dtype | None) -> bool:
    """Whether packing is as exact and was measured to be faster.

    Norms over a picture are exact on contiguous maps only. To bring maps there and back takes what packing gains in
    float32, except in a U-Net, whose wide layers on small maps gain most. A ResNet U-Net's odd widths gain nothing.
    """
    if isinstance(network, UNet):
        return True
    return not isinstance(network, ResNetUNet) and (dtype is not None or not has_global_norm(network))


def obstacle(network: nn.Module, device: torch.device) -> str | None:
    """Why a network is not compiled; None where it is."""
    if network.training:
        return "it keeps dropout or batch statistics"
    if device.type == "mps":
        return "torch compiles for processors and CUDA"
    if device.type == "cpu" and isinstance(network, UNet):
        return "on a processor a U-Net with its weights laid out is more than twice as fast as compiled"
    return None


def has_global_norm(network: nn.Module) -> bool:
    """Whether a norm looks at all of a picture."""
    return any(isinstance(module, GLOBAL_NORMS) for module in network.modules())


def _as_torch_runs(network: nn.Module, device: torch.device, dtype: torch.dtype | None, layout: Layout) -> Form:
    """The modules as they are."""
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    laid_out = _channels_last(network) if layout == "channels_last" else network

    def run(image: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype) if dtype else nullcontext():
            made: Tensor = laid_out(image.contiguous(memory_format=memory_format))
            return made

    return run


def _channels_last(network: nn.Module) -> nn.Module:
    """A copy with the weights of convolutions laid out for channels_last maps."""
    copy = sharing_copy(network)
    for layer in copy.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not is_parametrized(layer):
            weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
            layer.weight = nn.Parameter(weight, requires_grad=False)
    return copy


Choice: TypeAlias = tuple[torch.dtype | None, Layout]

SIDE_PX = 64
"""Pictures are timed at this size, brought to one that the network takes."""


def fastest(model: Model, *, fast: bool) -> tuple[Model, str | None]:
    """The model as it is fastest, and one line on its arithmetic where ``fast`` leaves that open.

    A model that is not on a processor, is compiled, or was opened in 16 bits comes back as it is.
    """
    if model.device.type != "cpu" or model.compile or model.autocast is not None:
        return model, None
    usual = usual_layout(model.network, model.device, None)  # gives way only to what is clearly faster
    layouts = sorted(possible_layouts(model.network, None), key=lambda layout: layout != usual)
    if len(layouts) > 1:
        found, kept = _measured(model, "fp32", {layout: (None, layout) for layout in layouts})
        if kept:
            model = replace(model, layouts={None: cast(Layout, found.fastest)})
    return _fast(model) if fast else (model, None)


def _fast(model: Model) -> tuple[Model, str]:
    """In bf16 where that is clearly faster than fp32 as it is computed anyway; it is not where no convolution gains."""
    general = speed.convolution().ratios
    gains = max(general.get("bf16", 0), general.get("bf16 channels_last", 0))
    if gains < speed.MARGIN:
        return model, f"precision: {speed.Measured('', {'fp32': 1, 'bf16': gains})}"
    layout = model.layouts.get(None) or usual_layout(model.network, model.device, None)
    choices: dict[str, Choice] = {"fp32": (None, layout)}
    for each in possible_layouts(model.network, torch.bfloat16):
        choices[f"bf16 {each}"] = (torch.bfloat16, each)
    found, _ = _measured(model, f"fp32 {layout} and bf16", choices)
    dtype, layout = choices[found.fastest]
    return replace(model, autocast=dtype, layouts={**model.layouts, dtype: layout}), f"precision: {found}"


def _measured(model: Model, what: str, choices: Mapping[str, Choice]) -> tuple[speed.Measured, bool]:
    """How fast the network is in each of ``choices``, on noise of one size; and whether that is kept."""

    def measure() -> Mapping[str, float]:
        multiple = model.generator.size_multiple
        side_px = max(-(-SIDE_PX // multiple) * multiple, model.generator.minimum_size_px)
        noise = (
            torch.rand(1, model.options.in_channels, side_px, side_px, generator=torch.Generator().manual_seed(0)) * 2
            - 1
        )
        return speed.ratios({name: _contender(model, choice, noise) for name, choice in choices.items()})

    options = {"network": model.export.options, "mode": model.export.mode, "side_px": SIDE_PX, "choices": [*choices]}
    return speed.measured(f"inference {model.options.name}, {what}", options, measure)


def _contender(model: Model, choice: Choice, noise: Tensor) -> speed.Contender:
    dtype, layout = choice
    variants = NetworkVariants(model.network, model.device, layouts={dtype: layout})

    def run() -> None:
        with torch.inference_mode():
            variants(noise, dtype)

    return lambda: run
