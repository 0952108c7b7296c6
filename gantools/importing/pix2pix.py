"""The generators of pytorch-CycleGAN-and-pix2pix, CUT, DeblurGAN and pix2pixHD as our U-Net and ResNet.

Names tell the layers, their norm and, in a ResNet, whether it has dropout. What they do not tell is as these codes'
defaults: a U-Net with InstanceNorm is CycleGAN's and has no dropout, any other is pix2pix's and has it. Blocks pad by
reflection. Their test scripts leave networks in training mode, so BatchNorm takes the statistics of the image, dropout
is active, and InstanceNorm never uses its running statistics, which are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, State
from gantools.importing.generators import (
    Shape,
    found_generator,
    kernel,
    options_of,
    renamed_layers,
    shapes_of,
    with_batch_counts,
)
from gantools.importing.records import Stored
from gantools.models.blocks import NormName, convolution_bias
from gantools.models.options import ResNetOptions, UNetOptions

DROPOUT = 0.5
"""Of both networks, where they have it."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
MOST_LEVELS = 16
"""Of a U-Net, above the most that ours has, which its options refuse."""
MOST_BLOCKS = 200
"""Of a ResNet; more are of no network."""
_STEM = 4
"""Layers of a ResNet before its first down."""


class Norm(NamedTuple):
    """The norm of a network; ``has_statistics`` of InstanceNorm, which old files have."""

    name: NormName
    has_statistics: bool


def _norm(shapes: Mapping[str, Shape], layer: str, looks_like: str) -> Norm:
    """The norm that the tensors of its first layer tell. Raises ModelFileError for one that ours does not have."""
    learnt, tracked = f"{layer}.weight" in shapes, f"{layer}.running_mean" in shapes
    if learnt and not tracked:
        raise ModelFileError(
            f"looks like {looks_like}, but its norm has weights and no statistics; ours is another one"
        )
    return Norm("batch", False) if learnt else Norm("instance", True) if tracked else Norm("none", False)


def _bias(norm: NormName, has_bias: bool) -> bool | None:
    return None if has_bias == convolution_bias(norm, None) else has_bias


# ---- U-Net


def _unet(state: State) -> Found | None:
    """A UnetGenerator: each level is a module within the one around it."""
    shapes = shapes_of(state)
    if kernel(shapes, "model.model.0.weight")[2:] != (4, 4):
        return None
    levels = _levels(shapes)
    if len(levels) < 5:
        return None
    looks_like = f"a U-Net of pytorch-CycleGAN-and-pix2pix with {len(levels)} downs"
    has_bias = f"{levels[1]}1.bias" in shapes
    norm = _norm(shapes, f"{levels[1]}2", looks_like).name
    if norm == "none" and has_bias:
        norm = "instance"  # without running statistics; the code without norm has no biases
    base, inputs = kernel(shapes, "model.model.0.weight")[:2]
    dropout = 0.0 if norm == "instance" else DROPOUT
    options = options_of(
        UNetOptions,
        looks_like,
        in_channels=inputs,
        out_channels=kernel(shapes, "model.model.3.weight")[1],
        downs=len(levels),
        base_channels=base,
        max_channels=8 * base,
        norm=norm,
        dropout=dropout,
        dropout_ups=len(levels) - 5,
        dropout_ups_from=2,
        bias=_bias(norm, has_bias),
    )
    mode = "train" if norm == "batch" or dropout else "eval"
    return found_generator(options, _unet_tensors(state, levels, norm), mode=mode, gray="color")


def _levels(shapes: Mapping[str, Shape]) -> list[str]:
    """The prefix of each level's layers, the outermost first."""
    levels = ["model.model."]
    for _ in range(MOST_LEVELS):
        inner = f"{levels[-1]}{3 if levels[1:] else 1}.model."
        if not any(key.startswith(inner) for key in shapes):
            break
        levels.append(inner)
    return levels


def _unet_tensors(state: State, levels: list[str], norm: NormName) -> dict[str, Stored]:
    """The tensors by our names. Ours puts what comes from below before what comes across, theirs after it."""
    last = len(levels) - 1
    names: dict[str, str] = {f"{levels[0]}0": "downs.0.0", f"{levels[0]}3": "last.0"}
    for level, prefix in enumerate(levels[1:], 1):
        up, up_norm = (3, 4) if level == last else (5, 6)
        names |= {f"{prefix}1": f"downs.{level}.0", f"{prefix}{up}": f"ups.{last - level}.0"}
        names |= {f"{prefix}{up_norm}": f"ups.{last - level}.1"}
        if level < last:
            names |= {f"{prefix}2": f"downs.{level}.1"}
    tensors = _renamed(state, names, norm)
    for name in ("last.0", *(f"ups.{number}.0" for number in range(1, last))):
        weight = tensors.get(f"{name}.weight")
        if weight is not None and len(weight.shape) == 4:
            tensors[f"{name}.weight"] = weight.changed(weight.shape, _halves_swapped)
    return tensors


def _halves_swapped(weight: Tensor) -> Tensor:
    return torch.cat(weight.tensor_split(2)[::-1])


def _renamed(state: State, layers: Mapping[str, str], norm: NormName) -> dict[str, Stored]:
    """The tensors of ``layers`` by our names, others by their own; without statistics that InstanceNorm never uses."""
    kept = {key: each for key, each in state.items() if norm == "batch" or key.rpartition(".")[2] not in STATISTICS}
    tensors = renamed_layers(layers, kept)
    return with_batch_counts(tensors) if norm == "batch" else tensors


# ---- ResNet


class ResNetLayout(NamedTuple):
    """Where a ResNet's parts lie in its sequence of layers, and what they are."""

    first_block: int
    first_up: int
    last: int
    channels: tuple[int, int, int]
    """Of the input, the stem and the output."""
    downs: int
    down: Literal["strided", "blurred"]
    up: Literal["transposed", "resize", "bilinear"]
    dropout: float
    norm: Norm

    @property
    def blurs(self) -> bool:
        """Whether it is CUT's: blurs where it halves or enlarges."""
        return self.down == "blurred" or self.up == "bilinear"

    @property
    def restores(self) -> bool:
        """Whether it is DeblurGAN's, which adds its output to the image: with old files' statistics, and dropout."""
        return self.norm.has_statistics and self.dropout > 0 and self.channels[0] == self.channels[2] and not self.blurs


def _resnet(state: State, layout: ResNetLayout) -> Found:
    """A ResnetGenerator of any number of downs and blocks."""
    blocks, norm = layout.first_up - layout.first_block, layout.norm.name
    inputs, base, outputs = layout.channels
    options = options_of(
        ResNetOptions,
        _resnet_name(blocks),
        in_channels=inputs,
        out_channels=outputs,
        base_channels=base,
        downs=layout.downs,
        blocks=blocks,
        norm=norm,
        downsampling=layout.down,
        upsampling=layout.up,
        dropout=layout.dropout,
        global_residual=layout.restores,
        bias=_bias(norm, "model.1.bias" in state),
    )
    filters = _filters(state, layout, base)
    others = {key: stored for key, stored in state.items() if key not in filters}
    return found_generator(
        options,
        _renamed(others, _resnet_names(layout), norm),
        partial(_require_binomial, filters) if filters else None,
        mode="train" if norm == "batch" or layout.dropout else "eval",
        gray="keep" if layout.restores else "color",
    )


def _resnet_name(blocks: int) -> str:
    return f"a ResNet of pytorch-CycleGAN-and-pix2pix with {blocks} blocks"


def _layout(shapes: Mapping[str, Shape]) -> ResNetLayout | None:
    """How a ResNet is built, from the numbers of its layers; None for another network."""
    matches = (re.fullmatch(r"model\.(\d{1,4})\.(conv_block\.\d\.)?\w+", key) for key in shapes)
    numbers = [(int(match[1]), match[2] is not None) for match in matches if match]
    blocks = sorted({number for number, in_block in numbers if in_block})
    last = max((number for number, _ in numbers), default=0)
    base, inputs, *side = kernel(shapes, "model.1.weight")
    if not blocks or side != [7, 7]:
        return None
    if kernel(shapes, f"model.{last}.weight")[2:] != (7, 7) or blocks != [*range(blocks[0], blocks[-1] + 1)]:
        return None
    looks_like = _resnet_name(len(blocks))
    blurs = f"model.{_STEM + 3}.filt" in shapes
    downs, rest = divmod(blocks[0] - _STEM, 4 if blurs else 3)
    up_layers, up_rest = divmod(last - 2 - blocks[-1], max(1, downs))
    if rest or up_rest or not downs or len(blocks) > MOST_BLOCKS:
        raise ModelFileError(f"looks like {looks_like}, but not all of its layers are that code's")
    return ResNetLayout(
        blocks[0],
        blocks[-1] + 1,
        last,
        (inputs, base, kernel(shapes, f"model.{last}.weight")[0]),
        downs,
        "blurred" if blurs else "strided",
        _up(up_layers, f"model.{blocks[-1] + 1}.filt" in shapes, looks_like),
        _block_dropout(shapes, blocks[0], looks_like),
        _resnet_norm(shapes, looks_like),
    )


def _resnet_norm(shapes: Mapping[str, Shape], looks_like: str) -> Norm:
    norm = _norm(shapes, "model.2", looks_like)
    return Norm("instance", False) if norm.name == "none" and "model.1.bias" in shapes else norm


def _up(layers: int, blurs: bool, looks_like: str) -> Literal["transposed", "resize", "bilinear"]:
    """How a ResNet enlarges: a transposed convolution, norm and ReLU, or one layer more."""
    if (layers, blurs) == (3, False):
        return "transposed"
    if layers == 4:
        return "bilinear" if blurs else "resize"
    why = "its file does not tell how it enlarges" if layers == 5 else f"its ups have {layers} layers"
    raise ModelFileError(f"looks like {looks_like}, but {why}; gantools imports ups of 3 or 4 layers")


def _block_dropout(shapes: Mapping[str, Shape], block: int, looks_like: str) -> float:
    """The dropout of a block, which moves its second convolution up by one."""
    layers = {number: f"model.{block}.conv_block.{number}.weight" for number in range(10)}
    at = tuple(number for number, name in layers.items() if kernel(shapes, name)[2:] == (3, 3))
    if at not in ((1, 5), (1, 6)):
        zeros = "pad with zeros"
        what = {(1,): "have one convolution (DeblurGAN's later code)", (0, 3): zeros, (0, 4): zeros}
        raise ModelFileError(f"looks like {looks_like}, but its blocks {what.get(at, 'are others')}")
    return DROPOUT if at == (1, 6) else 0.0


def _resnet_names(layout: ResNetLayout) -> dict[str, str]:
    """Our names of the layers: the same numbers, counted from the start of each part."""

    def part(name: str, start: int, stop: int) -> dict[str, str]:
        return {f"model.{number}": f"{name}.{number - start}" for number in range(start, stop)}

    blocks = {
        f"{theirs}.conv_block.{number}": f"{ours}.body.{number}"
        for theirs, ours in part("blocks", layout.first_block, layout.first_up).items()
        for number in range(8)
    }
    ends = {**part("stem", 0, _STEM), f"model.{layout.last}": "last.1"}
    return {**ends, **blocks, **part("downs", _STEM, layout.first_block), **part("ups", layout.first_up, layout.last)}


def _filters(state: State, layout: ResNetLayout, base: int) -> dict[str, Stored]:
    """The blurs, which CUT stores and ours has no tensors for. Raises ModelFileError where one is of another shape."""
    wide = [base << level for level in range(1, layout.downs + 1)]
    shapes: dict[str, Shape] = {}
    if layout.down == "blurred":
        shapes |= {f"model.{_STEM + 3 + 4 * at}.filt": (count, 1, 3, 3) for at, count in enumerate(wide)}
    if layout.up == "bilinear":
        shapes |= {f"model.{layout.first_up + 4 * at}.filt": (count, 1, 4, 4) for at, count in enumerate(wide[::-1])}
    for key, shape in shapes.items():
        if key not in state or state[key].shape != shape:
            raise ModelFileError(f"lacks the blur {key} of the shape {shape}, which the network that it holds has")
    return {key: state[key] for key in shapes}


def _require_binomial(filters: State, network: nn.Module) -> None:
    """Raise ModelFileError where a blur is not ours."""
    del network  # is complete without them
    for key, stored in filters.items():
        taps = torch.tensor([1.0, 2.0, 1.0] if stored.shape[2] == 3 else [1.0, 3.0, 3.0, 1.0]) / 4
        if not torch.allclose(stored.read().float(), torch.outer(taps, taps), atol=1e-3):
            raise ModelFileError(f"has a blur {key} that is not binomial, which gantools does not have")


# ---- families


def pix2pix(state: State) -> Found | None:
    """A U-Net or ResNet with BatchNorm or without norm."""
    return _with_norm(state, instance=False)


def cyclegan(state: State) -> Found | None:
    """A U-Net or ResNet with InstanceNorm; not one that looks like DeblurGAN's."""
    return _with_norm(state, instance=True)


def _with_norm(state: State, *, instance: bool) -> Found | None:
    found = _unet(state)
    if found is None:
        layout = _layout(shapes_of(state))
        if layout is None or layout.blurs or layout.restores:
            return None
        found = _resnet(state, layout)
    return found if (found.export.options["norm"] == "instance") == instance else None


def cut(state: State) -> Found | None:
    """A ResNet that blurs where it halves or enlarges."""
    layout = _layout(shapes_of(state))
    return _resnet(state, layout) if layout and layout.blurs else None


def deblurgan(state: State) -> Found | None:
    """A ResNet with dropout whose InstanceNorm has running statistics; CycleGAN's old files have those, and no dropout.

    That its output is added to the image is not in its files; its test command says so.
    """
    layout = _layout(shapes_of(state))
    return _resnet(state, layout) if layout and layout.restores else None


def _family(name: str, origin: str, recipe: str, found: Callable[[State], Found | None]) -> Family:
    return Family(name, origin, "BSD-2-Clause", recipe, found)


FAMILIES: tuple[Family, ...] = (
    _family("pix2pix", "junyanz/pytorch-CycleGAN-and-pix2pix", "pix2pix", pix2pix),
    _family("CycleGAN", "junyanz/pytorch-CycleGAN-and-pix2pix", "cyclegan", cyclegan),
    _family("CUT", "taesungp/contrastive-unpaired-translation", "cyclegan", cut),
    _family("DeblurGAN", "KupynOrest/DeblurGAN", "deblur", deblurgan),
)
"""In the order in which they are tried."""
