"""The context encoder of context_encoder_pytorch as ours: predicts the middle of an image.

How far it predicts beyond the missing middle is not in its files; it is 4 px, as its scripts' default. They fill what
is missing with the same colour as ours, and test in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

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
from gantools.models.options import ContextEncoderOptions

_LOOKS_LIKE = "a context encoder"


def found(state: State) -> Found | None:
    """A ``_netG``: downs, a bottleneck of one pixel, and one up less than downs after it."""
    shapes = shapes_of(state)
    _refuse_wide_bottleneck(shapes)
    downs = _downs(shapes)
    if not downs:
        return None
    base, channels = kernel(shapes, "main.0.weight")[:2]
    bottleneck, inner = kernel(shapes, f"main.{3 * downs - 1}.weight")[:2]
    widened = kernel(shapes, f"main.{3 * downs + 2}.weight")[1]
    if widened != inner:
        raise ModelFileError(
            f"looks like {_LOOKS_LIKE}, but its decoder begins with {widened} channels and its encoder ends with"
            f" {inner}; gantools has the same in both"
        )
    options = options_of(
        ContextEncoderOptions,
        _LOOKS_LIKE,
        in_channels=channels,
        out_channels=kernel(shapes, f"main.{6 * downs - 1}.weight")[1],
        downs=downs,
        base_channels=base,
        max_channels=max(base, inner),
        bottleneck_channels=bottleneck,
    )
    tensors = _tensors(state, downs, base, channels)
    return found_generator(options, tensors, takes="masked", trained_px=4 << downs)


def _downs(shapes: Mapping[str, Shape]) -> int:
    """How often it halves, from the number of its last layer; 0 for another network."""
    numbers = [key.split(".")[1] for key in shapes if key.startswith("main.")]
    last = max((int(number) for number in numbers if number.isdecimal() and len(number) < 4), default=0)
    downs, rest = divmod(last + 1, 6)
    bottleneck = kernel(shapes, f"main.{3 * downs - 1}.weight")
    is_narrow = bottleneck[2:] == (4, 4) and kernel(shapes, f"main.{3 * downs + 2}.weight")[0] == bottleneck[0]
    return downs if not rest and downs >= 2 and is_narrow else 0


def _tensors(state: State, downs: int, base: int, channels: int) -> dict[str, Stored]:
    """The tensors by our names. Theirs has no biases; ours has two where no norm follows, which are zero."""
    layers = {"main.0": "encoder.0.0", f"main.{3 * downs - 1}": "bottleneck.0", f"main.{3 * downs}": "bottleneck.1"}
    layers |= {
        f"main.{3 * level - 1 + part}": f"encoder.{level}.{part}" for level in range(1, downs) for part in (0, 1)
    }
    layers |= {f"main.{3 * downs + 2}": "widen"}
    for level in range(downs - 1):
        norm = 3 * downs + 3 + 3 * level
        layers |= {f"main.{norm}": f"decoder.{level}.0", f"main.{norm + 2}": f"decoder.{level}.2"}
    zeros = {"encoder.0.0.bias": _zeros(base), f"decoder.{downs - 2}.2.bias": _zeros(channels)}
    return with_batch_counts({**zeros, **renamed_layers(layers, state)})


def _zeros(count: int) -> Stored:
    return Stored((count,), lambda: torch.zeros(count))


def _refuse_wide_bottleneck(shapes: Mapping[str, Shape]) -> None:
    """Raise ModelFileError for the context encoder of PyTorch-GAN, which is another network."""
    if kernel(shapes, "model.14.weight")[2:] == (1, 1) and kernel(shapes, "model.15.weight")[2:] == (4, 4):
        raise ModelFileError(
            f"looks like {_LOOKS_LIKE} of PyTorch-GAN, but its bottleneck is a 1×1 convolution without norm;"
            " gantools has one of a single pixel (context_encoder_pytorch)"
        )


FAMILIES: tuple[Family, ...] = (
    Family("context encoder", "BoyuanJiang/context_encoder_pytorch", "MIT", "context_encoder", found),
)
