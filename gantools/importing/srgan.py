"""The SRResNets of SRGAN's many codes as ours.

Names and ranges: leftthomas/SRGAN, sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution (whose file the source chapter
uses), Lornatang/SRGAN-PyTorch, aladdinpersson/Machine-Learning-Collection and twtygqyy/pytorch-SRResNet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from gantools.errors import ModelFileError
from gantools.importing.found import Family, Found, Names, State
from gantools.importing.generators import (
    by_names,
    count_of,
    found_generator,
    options_of,
    require_images,
    shape_of,
    with_batch_counts,
)
from gantools.importing.records import Stored
from gantools.models.options import SRResNetOptions

_SIGNS = ("head.0.weight", "body.body.0.body.0.weight", "body.body.0.body.3.weight", "last.weight")
"""Convolutions that every SRResNet has."""

_BLOCK_LAYERS = ("conv1", "bn1", "prelu", "conv2", "bn2")


@dataclass(frozen=True)
class Fork:
    """How a code names the layers of an SRResNet.

    ``blocks`` matches the weight of each block's first convolution; ``names`` makes the patterns to our names from the
    number of blocks. ``unused`` matches tensors that its forward pass does not read. ``tanh``: it ends with one, else
    on [0, 1]. ``slope``: it has LeakyReLUs where ours has PReLUs, and no biases outside the norms.
    """

    blocks: str
    names: Callable[[int], Names]
    tanh: bool = True
    imagenet_input: bool = False
    unused: str = ""
    slope: float | None = None


def found(fork: Fork, state: State) -> Found | None:
    """The network of a fork; None unless its first, inner and last convolutions have that fork's names.

    Raises ModelFileError for other enlargements than doublings, and for other channels than those of images.
    """
    blocks = count_of(state, fork.blocks)
    names = tuple(fork.names(blocks))
    tensors = by_names(names, {key: each for key, each in state.items() if not re.fullmatch(fork.unused, key)})
    if not all(len(shape_of(tensors, key)) == 4 for key in _SIGNS):
        return None
    if "body.body.0.body.1.running_mean" not in tensors:
        raise ModelFileError(
            "looks like an SRResNet, but has no running statistics; only those with BatchNorm are known"
        )
    channels, inputs = shape_of(tensors, "head.0.weight")[:2]
    ups = [
        tensors[key].shape[0] for key in tensors if re.fullmatch(r"ups\.\d+\.weight", key) and tensors[key].shape[1:]
    ]
    if any(widened != 4 * channels for widened in ups):
        raise ModelFileError(
            f"looks like an SRResNet, but enlarges with {ups[0]} channels; for ×2 it is {4 * channels}"
        )
    outputs = shape_of(tensors, "last.weight")[0]
    require_images("an SRResNet", inputs, outputs)
    options = options_of(
        SRResNetOptions,
        "an SRResNet",
        in_channels=inputs,
        out_channels=outputs,
        scale=2 ** len(ups),
        channels=channels,
        blocks=blocks,
        tanh=fork.tanh,
        imagenet_input=fork.imagenet_input,
        body_end="norm" if f"body.body.{blocks + 1}.running_mean" in tensors else "prelu",
        bias="body.body.0.body.0.bias" in tensors,
        channel_slopes=shape_of(tensors, "head.1.weight") == (channels,) != (1,),
    )
    if fork.slope is not None:
        tensors = {**_slopes_and_biases(tensors, fork.slope, blocks), **tensors}
    return found_generator(options, with_batch_counts(tensors if fork.tanh else _signed(tensors)))


def _slopes_and_biases(tensors: State, slope: float, blocks: int) -> dict[str, Stored]:
    """What a network with LeakyReLU and without biases has in ours: equal slopes, and zeros."""
    ups = [key.removesuffix("weight") for key in tensors if re.fullmatch(r"ups\.\d+\.weight", key)]
    activations = ["head.1.", *(f"body.body.{block}.body.2." for block in range(blocks))]
    activations += [f"ups.{int(up.split('.')[1]) + 2}." for up in ups]
    biased = {key: shape_of(tensors, f"{key}weight")[:1] for key in ("head.0.", *ups, "last.")}
    return {f"{key}weight": _constant((1,), slope) for key in activations} | {
        f"{key}bias": _constant(shape, 0.0) for key, shape in biased.items()
    }


def _signed(tensors: State) -> dict[str, Stored]:
    """With a last convolution that makes [-1, 1] where theirs makes [0, 1]."""
    weight, made = tensors["last.weight"], dict(tensors)
    made["last.weight"] = weight.changed(weight.shape, lambda value: value.float() * 2)
    if (bias := tensors.get("last.bias")) is not None:
        made["last.bias"] = bias.changed(bias.shape, lambda value: value.float() * 2 - 1)
    return made


def _constant(shape: tuple[int, ...], value: float) -> Stored:
    return Stored(shape, lambda: torch.full(shape, value))


# ------------------------------------------------------------------ the names of each code


def _named(layer: str) -> str:
    """The place of a layer in a block of ours."""
    return str(_BLOCK_LAYERS.index(layer))


def _leftthomas(blocks: int) -> Names:
    """block1 is the head, then the blocks, block7 and block8 where there are five."""
    return (
        (r"block1\.(.+)", "head.{}".format),
        (rf"block{blocks + 2}\.0\.(.+)", f"body.body.{blocks}.{{}}".format),
        (rf"block{blocks + 2}\.1\.(.+)", f"body.body.{blocks + 1}.{{}}".format),
        (rf"block{blocks + 3}\.(\d+)\.conv\.(.+)", lambda up, part: f"ups.{3 * int(up)}.{part}"),
        (rf"block{blocks + 3}\.(\d+)\.prelu\.(.+)", lambda up, part: f"ups.{3 * int(up) + 2}.{part}"),
        (rf"block{blocks + 3}\.\d+\.(weight|bias)", "last.{}".format),
        (
            rf"block(\d+)\.({'|'.join(_BLOCK_LAYERS)})\.(.+)",
            lambda block, layer, part: f"body.body.{int(block) - 2}.body.{_named(layer)}.{part}",
        ),
    )


def _sgrvinod(blocks: int) -> Names:
    return (
        (r"conv_block1\.conv_block\.(.+)", "head.{}".format),
        (
            r"residual_blocks\.(\d+)\.conv_block([12])\.conv_block\.(\d)\.(.+)",
            lambda block, half, layer, part: f"body.body.{block}.body.{3 * int(half) - 3 + int(layer)}.{part}",
        ),
        (r"conv_block2\.conv_block\.([01])\.(.+)", lambda layer, part: f"body.body.{blocks + int(layer)}.{part}"),
        (r"subpixel_convolutional_blocks\.(\d+)\.conv\.(.+)", lambda up, part: f"ups.{3 * int(up)}.{part}"),
        (r"subpixel_convolutional_blocks\.(\d+)\.prelu\.(.+)", lambda up, part: f"ups.{3 * int(up) + 2}.{part}"),
        (r"conv_block3\.conv_block\.0\.(.+)", "last.{}".format),
    )


def _lornatang(blocks: int) -> Names:
    """The names of 2023 (conv1), and those of 2022 (conv_block1)."""
    return (
        (r"conv(?:_block)?1\.(.+)", "head.{}".format),
        (r"trunk\.(\d+)\.rcb\.(.+)", "body.body.{}.body.{}".format),
        (r"conv(?:_block)?2\.([01])\.(.+)", lambda layer, part: f"body.body.{blocks + int(layer)}.{part}"),
        (
            r"upsampling\.(\d+)\.upsample_block\.(\d)\.(.+)",
            lambda up, layer, part: f"ups.{3 * int(up) + int(layer)}.{part}",
        ),
        (r"conv(?:_block)?3\.(.+)", "last.{}".format),
    )


def _aladdinpersson(blocks: int) -> Names:
    layers = {"cnn": 0, "bn": 1, "act": 2}
    return (
        (r"initial\.(cnn|act)\.(.+)", lambda layer, part: f"head.{layers[layer] // 2}.{part}"),
        (
            r"residuals\.(\d+)\.block([12])\.(cnn|bn|act)\.(.+)",
            lambda block, half, layer, part: f"body.body.{block}.body.{3 * int(half) - 3 + layers[layer]}.{part}",
        ),
        (r"convblock\.(cnn|bn)\.(.+)", lambda layer, part: f"body.body.{blocks + layers[layer]}.{part}"),
        (r"upsamples\.(\d+)\.conv\.(.+)", lambda up, part: f"ups.{3 * int(up)}.{part}"),
        (r"upsamples\.(\d+)\.act\.(.+)", lambda up, part: f"ups.{3 * int(up) + 2}.{part}"),
        (r"final\.(.+)", "last.{}".format),
    )


def _twtygqyy(blocks: int) -> Names:
    return (
        (r"conv_input\.(.+)", "head.0.{}".format),
        (
            rf"residual\.(\d+)\.({'|'.join(_BLOCK_LAYERS)})\.(.+)",
            lambda block, layer, part: f"body.body.{block}.body.{_named(layer)}.{part}",
        ),
        (r"conv_mid\.(.+)", f"body.body.{blocks}.{{}}".format),
        (r"bn_mid\.(.+)", f"body.body.{blocks + 1}.{{}}".format),
        (r"upscale4x\.([03])\.(.+)", "ups.{}.{}".format),
        (r"conv_output\.(.+)", "last.{}".format),
    )


LEFTTHOMAS = Fork(r"block(\d+)\.conv1\.weight", _leftthomas)
SGRVINOD = Fork(r"residual_blocks\.(\d+)\.conv_block1\.conv_block\.0\.weight", _sgrvinod, imagenet_input=True)
LORNATANG = Fork(r"trunk\.(\d+)\.rcb\.0\.weight", _lornatang, tanh=False)
ALADDINPERSSON = Fork(
    r"residuals\.(\d+)\.block1\.cnn\.weight",
    _aladdinpersson,
    unused=r"(residuals\.\d+\.block2|convblock)\.act\.weight",
)
TWTYGQYY = Fork(r"residual\.(\d+)\.conv1\.weight", _twtygqyy, tanh=False, slope=0.2)


def sgrvinod(state: State) -> Found | None:
    """sgrvinod's SRResNet, or his SRGAN, in which it is called ``net``."""
    whole = all(key.startswith("net.") for key in state)
    return found(SGRVINOD, {key.removeprefix("net."): each for key, each in state.items()} if whole else state)


FAMILIES: tuple[Family, ...] = (
    Family("SRGAN (leftthomas)", "leftthomas/SRGAN", "MIT", "srgan", partial(found, LEFTTHOMAS)),
    Family("SRGAN (sgrvinod)", "sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution", "MIT", "srgan", sgrvinod),
    Family("SRGAN (Lornatang)", "Lornatang/SRGAN-PyTorch", "Apache-2.0", "srgan", partial(found, LORNATANG)),
    Family(
        "SRGAN (aladdinpersson)",
        "aladdinpersson/Machine-Learning-Collection",
        "MIT",
        "srgan",
        partial(found, ALADDINPERSSON),
    ),
    Family("SRResNet (twtygqyy)", "twtygqyy/pytorch-SRResNet", "MIT", "srgan", partial(found, TWTYGQYY)),
)
