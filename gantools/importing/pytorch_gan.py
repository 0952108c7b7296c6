"""The generators of PyTorch-GAN's pix2pix and CycleGAN as our U-Net and ResNet.

Its U-Net is one of fixed depth, with dropout at fixed places, which its script never turns off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gantools.errors import ModelFileError
from gantools.importing import pix2pix
from gantools.importing.found import Family, Found, Names, State
from gantools.importing.generators import Shape, by_names, found_generator, kernel, options_of, renamed_by, shapes_of
from gantools.models.options import UNetOptions

DOWNS = 8


def unet(state: State) -> Found | None:
    """A GeneratorUNet. Raises ModelFileError for those of its DiscoGAN and DualGAN, which have other layers."""
    shapes = shapes_of(state)
    base, inputs, *side = kernel(shapes, "down1.model.0.weight")
    if side != [4, 4] or not kernel(shapes, "up1.model.0.weight")[0]:
        return None
    if why := _why_not(shapes):
        raise ModelFileError(f"looks like a U-Net of PyTorch-GAN, but {why}; gantools imports that of its pix2pix")
    options = options_of(
        UNetOptions,
        "a U-Net of PyTorch-GAN",
        in_channels=inputs,
        out_channels=kernel(shapes, "final.2.weight")[0],
        downs=DOWNS,
        base_channels=base,
        max_channels=8 * base,
        norm="instance",
        upsampling="source",
        skip_activation="leaky_relu",
        dropout_downs_from=4,
        dropout_ups=4,
        bias=False,
    )
    tensors = by_names(_UNET, state)
    return found_generator(options, tensors, mode="train", gray="color")


def _why_not(shapes: Mapping[str, Shape]) -> str | None:
    downs = sum(bool(re.fullmatch(r"down\d+\.model\.0\.weight", key)) for key in shapes)
    if downs != DOWNS:
        return f"halves {downs} times"
    if any(re.fullmatch(r"(down|up)\d\.model\.[01]\.bias", key) for key in shapes):
        return "has biases or weights of norms"
    return None


_UNET: Names = (
    (r"down([1-8])\.model\.0\.(.+)", lambda number, part: f"downs.{int(number) - 1}.0.{part}"),
    (r"up([1-7])\.model\.0\.(.+)", lambda number, part: f"ups.{int(number) - 1}.0.{part}"),
    (r"final\.2\.(.+)", "last.2.{}".format),
)


def resnet(state: State) -> Found | None:
    """A GeneratorResNet: that of CycleGAN's authors under other names, which enlarges by nearest and convolution."""
    shapes = shapes_of(state)
    if not any(re.fullmatch(_BLOCK, key) for key in shapes):
        return None
    channels = kernel(shapes, "model.1.weight")[1]
    if channels not in (0, 3):
        raise ModelFileError(
            f"looks like a ResNet of PyTorch-GAN with {channels} channels, which pads by {channels} px before its 7×7"
            " convolution; gantools pads by 3"
        )
    return pix2pix.cyclegan(renamed_by(lambda key: re.sub(_BLOCK, r"\1conv_block\2", key), state))


_BLOCK = r"(model\.\d+\.)block(\.\d\.\w+)"

FAMILIES: tuple[Family, ...] = (
    Family("pix2pix (PyTorch-GAN)", "eriklindernoren/PyTorch-GAN", "MIT", "pix2pix", unet),
    Family("CycleGAN (PyTorch-GAN)", "eriklindernoren/PyTorch-GAN", "MIT", "cyclegan", resnet),
)
