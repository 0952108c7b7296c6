"""Whether networks fit the images of a run: checked on the meta device, before anything is written.

Without it a stage of a hundred thousand steps could end in a discriminator that cannot take the run's crops.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.func import functional_call

from gantools.errors import ConfigError, UsageError

Shape = tuple[int, int, int, int]


def check_shapes(key: str, network: nn.Module, given: Shape, wanted: Shape | None = None) -> None:
    """Put a batch of shape ``given`` through ``network`` without computing anything.

    Shapes: (N, C, H, W). Raises ConfigError, with the option's ``key``, when the network cannot take it or makes
    something of another shape than ``wanted``.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    weightless = {name: tensor.to("meta") for name, tensor in tensors}
    try:
        with torch.no_grad():
            made = functional_call(network, weightless, (torch.empty(given, device="meta"),))
    except (RuntimeError, ValueError, UsageError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError([f"{key}: cannot take {_text(given)} (data.crop_px): {reason}"]) from error
    if wanted is not None and made.shape != wanted:
        raise ConfigError([f"{key}: makes {_text(tuple(made.shape))} of {_text(given)}, not {_text(wanted)}"])


def _text(shape: tuple[int, ...]) -> str:
    return f"{shape[3]}×{shape[2]} px with {shape[1]} channels"
