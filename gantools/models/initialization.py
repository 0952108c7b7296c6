"""Starting weights of a network, drawn from torch's global random stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from gantools.models.options import Initialization

Fill: TypeAlias = Callable[[Tensor], Tensor]
Weighted: TypeAlias = nn.Conv2d | nn.ConvTranspose2d | nn.Linear

RESIDUAL_GAIN = 0.1
"""Factor on Kaiming weights that keeps deep networks without norm near the identity (ESRGAN, arXiv 1809.00219)."""

SPECTRAL_ITERATIONS = 15
"""Power iterations after new weights, as many as torch runs when it wraps a layer."""


def initialize(network: nn.Module, scheme: Initialization = "normal", gain: float = 0.02) -> nn.Module:
    """Draw new weights for every convolution and dense layer, zero their biases, and return the network.

    ``normal``: N(0, gain), and BatchNorm weights N(1, gain) (DCGAN, pix2pix, CycleGAN: gain 0.02); ``xavier`` and
    ``orthogonal``: times gain; ``kaiming``: for ReLU, times gain (``RESIDUAL_GAIN`` for deep networks without norm);
    ``default``: leave what each network's own constructor set. Tensors on the meta device stay untouched.
    """
    if scheme == "default":
        return network
    fill = _fills(gain)[scheme]
    for module in network.modules():
        if isinstance(module, Weighted):
            _initialize_weighted(module, fill)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, gain if scheme == "normal" else 0.0)
            nn.init.zeros_(module.bias)
    return network


def _fills(gain: float) -> Mapping[Initialization, Fill]:
    return {
        "normal": partial(nn.init.normal_, mean=0.0, std=gain),
        "xavier": partial(nn.init.xavier_normal_, gain=gain),
        "kaiming": partial(_kaiming, gain=gain),
        "orthogonal": partial(nn.init.orthogonal_, gain=gain),
    }


def _kaiming(weight: Tensor, gain: float) -> Tensor:
    with torch.no_grad():
        return nn.init.kaiming_normal_(weight).mul_(gain)


def _initialize_weighted(module: Weighted, fill: Fill) -> None:
    if module.weight.is_meta:
        return
    if is_parametrized(module, "weight"):
        _initialize_spectral(module, fill)
    else:
        fill(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _initialize_spectral(module: Weighted, fill: Fill) -> None:
    """Fill the raw weight, then let the singular vectors catch up: each read in training mode is a power iteration."""
    parametrized = cast("dict[str, ParametrizationList]", module.parametrizations)
    fill(parametrized["weight"].original)
    with torch.no_grad():
        for _ in range(SPECTRAL_ITERATIONS):
            module.weight  # noqa: B018 (the read is the iteration)
