"""Samples through a network: from uint8 or uint16 colours to what the network makes of them."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import cv2
import numpy as np
import torch
from torch import Tensor

from gantools.errors import ImageError, UsageError
from gantools.images import ranges
from gantools.images.padding import Crop, pad_to_multiple
from gantools.images.picture import Pixels
from gantools.inference.bundle import Model

_SEED = 0


def translate(pixels: Pixels, model: Model) -> Pixels:
    """What the network makes of colours. Shapes: [H, W, 3] → [scale·H, scale·W, 3] of the same dtype.

    Pictures of 16 bits are computed in float32, whatever the model's precision: smaller types hold too few digits.
    """
    dtype = model.autocast if pixels.dtype == np.uint8 else None
    try:
        made = network_output(preprocess(pixels, model), model, dtype)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _no_memory(pixels) from error
    except RuntimeError as error:
        raise (_no_memory(pixels) if "allocate memory" in str(error) else error) from error
    return postprocess(made, pixels)


def preprocess(pixels: Pixels, model: Model) -> Tensor:
    """Samples → the network's input. Shapes: [H, W, 3] → [1, in_channels, H, W]. Range: [-1, 1]."""
    channels = model.options.in_channels
    if channels not in (1, 3):
        raise UsageError(f"this network reads {channels} channels; pictures are fed to it as gray (1) or RGB (3)")
    device = next(model.network.parameters()).device
    return ranges.to_tensor(luma(pixels)[..., None] if channels == 1 else pixels, device)


def postprocess(made: Tensor, like: Pixels) -> Pixels:
    """The network's output → samples. Shapes: [1, 1 or 3, H, W] → [H, W, 3] of the depth of ``like``."""
    pixels = ranges.from_tensor(made, like.dtype)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def network_output(image: Tensor, model: Model, dtype: torch.dtype | None) -> Tensor:
    """Run the network on a picture of any size; what is not finite in a small type is computed again in float32.

    Shapes: [1, C, H, W] → [1, C', scale·H, scale·W]. Raises ImageError for an output with NaN or infinities.
    """
    with torch.inference_mode():
        padded, crop = _padded(image, model)
        for precision in dict.fromkeys((dtype, None)):
            made = crop(_forward(padded, model, precision), model.generator.scale)
            if torch.isfinite(made).all():
                return made
    raise ImageError("the network's result has NaN or infinite values")


def _padded(image: Tensor, model: Model) -> tuple[Tensor, Crop]:
    says = model.generator
    short = min(image.shape[-2:]) < says.minimum_size_px
    multiple = math.lcm(says.size_multiple, says.minimum_size_px) if short else says.size_multiple
    return pad_to_multiple(image, multiple)


def _forward(image: Tensor, model: Model, dtype: torch.dtype | None) -> Tensor:
    """Dropout, where a network keeps it, draws the same numbers for every picture, whatever came before."""
    kind = image.device.type
    arithmetic: AbstractContextManager[object] = torch.autocast(kind, dtype) if dtype else nullcontext()
    with torch.random.fork_rng([image.device] if kind == "cuda" else [], enabled=model.network.training), arithmetic:
        if model.network.training:
            torch.manual_seed(_SEED)
        return model.generator(image.contiguous(memory_format=model.memory_format)).float()


def _no_memory(pixels: Pixels) -> ImageError:
    height, width = pixels.shape[:2]
    return ImageError(f"not enough memory for {width}×{height} px; make the picture smaller or try --device cpu")


def luma(pixels: Pixels) -> Pixels:
    """One channel as the eye weights three (Rec. 601), exact for equal ones. Shapes: [H, W, 3] → [H, W]."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def from_gray(gray: Pixels) -> Pixels:
    """One channel three times. Shapes: [H, W] → [H, W, 3]."""
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))
