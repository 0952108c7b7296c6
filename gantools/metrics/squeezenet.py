"""The ImageNet SqueezeNet that measures look at pictures with, from a file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gantools.errors import ModelFileError


def load(weights: Path) -> nn.Module:
    """SqueezeNet 1.0 with its classifier, frozen. Raises ModelFileError for other than torchvision's weights of it."""
    from torchvision.models import squeezenet1_0

    network: nn.Module = squeezenet1_0(weights=None)
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{str(weights)!r}: not the weights of torchvision's squeezenet1_0 ({reason})") from error
    return network.eval().requires_grad_(False)
