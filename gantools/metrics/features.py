"""ImageNet networks that metrics look at images with, from files of torchvision's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from gantools.errors import GantoolsError, ModelFileError
from gantools.pretrained.feature_weights import read_state

if TYPE_CHECKING:
    from collections.abc import Callable

_TINY = 1e-10

_KNOWN_BY: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "squeezenet1_0": ("features.0.weight", (96, 3, 7, 7)),
    "alexnet": ("features.0.weight", (64, 3, 11, 11)),
    "vgg19": ("features.34.weight", (512, 512, 3, 3)),
    "vgg16": ("features.28.weight", (512, 512, 3, 3)),
    "inception_fid": ("fc.weight", (1008, 2048)),
    "squeezenet1_1": ("features.3.squeeze.weight", (16, 64, 1, 1)),
    "lpips_alex": ("lin1.model.1.weight", (1, 192, 1, 1)),
    "lpips_vgg": ("lin4.model.1.weight", (1, 512, 1, 1)),
    "lpips_squeeze": ("lin6.model.1.weight", (1, 512, 1, 1)),
}
"""A tensor by which each network, and each set of LPIPS' learnt weights, is recognised; the first that fits counts."""


def recognise(path: Path) -> str:
    """Which network a file holds the weights of. Raises UsageError for none, ModelFileError for an unknown one."""
    state = read_state(path, "feature weights")
    for network, (key, shape) in _KNOWN_BY.items():
        if key in state and tuple(state[key].shape) == shape:
            return network
    raise ModelFileError(f"{str(path)!r}: none of the networks that metrics use: {', '.join(_KNOWN_BY)}")


def load(path: Path, network: str) -> nn.Module:
    """torchvision's ``network`` with its classifier, frozen. Raises ModelFileError for other weights."""
    from torchvision import models

    built: Callable[..., nn.Module] = {
        "squeezenet1_0": models.squeezenet1_0,
        "squeezenet1_1": models.squeezenet1_1,
        "alexnet": models.alexnet,
        "vgg16": models.vgg16,
    }[network]
    with torch.device("meta"):
        empty = built(weights=None)
    try:
        empty.load_state_dict(read_state(path, "feature weights"), assign=True)
    except (RuntimeError, OSError, GantoolsError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{str(path)!r}: not the weights of torchvision's {network} ({reason})") from error
    return empty.eval().float().requires_grad_(False)


def stages(network: nn.Module, ends: Sequence[int], device: torch.device) -> list[nn.Module]:
    """A network's ``features``, cut after each of the layers ``ends``."""
    features = cast("nn.Sequential", network.features)
    return [features[start:end].to(device) for start, end in pairwise((0, *(end + 1 for end in ends)))]


def unit_length(values: Tensor) -> Tensor:
    """Each position's activations divided by their norm. Shapes: (N, C, H, W)."""
    return values / (values.square().sum(1, keepdim=True).sqrt() + _TINY)
