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


@torch.no_grad()
def kaiming_residual_(convolution: nn.Conv2d) -> nn.Conv2d:
    """Fill a convolution with Kaiming weights times ``RESIDUAL_GAIN`` and zero its bias, as ESRGAN's code does.

    Tensors on the meta device stay untouched.
    """
    if convolution.weight.is_meta:
        return convolution
    nn.init.kaiming_normal_(convolution.weight).mul_(RESIDUAL_GAIN)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


@torch.no_grad()
def initialize(network: nn.Module, scheme: Initialization = "normal", gain: float = 0.02) -> nn.Module:
    """Draw new weights for every convolution and dense layer, zero their biases, and return the network.

    ``normal``: N(0, gain), and BatchNorm weights N(1, gain) (DCGAN, pix2pix, CycleGAN: gain 0.02); ``xavier`` and
    ``orthogonal``: times gain; ``kaiming``: for ReLU, times gain (``RESIDUAL_GAIN`` for deep networks without norm);
    ``default``: leave what each network's own constructor set. Tensors on the meta device stay untouched.
    """
    if scheme == "default":
        return network
    fills: Mapping[Initialization, Fill] = {
        "normal": partial(nn.init.normal_, mean=0.0, std=gain),
        "xavier": partial(nn.init.xavier_normal_, gain=gain),
        "kaiming": lambda weight: nn.init.kaiming_normal_(weight).mul_(gain),
        "orthogonal": partial(nn.init.orthogonal_, gain=gain),
    }
    fill = fills[scheme]
    for module in network.modules():
        if isinstance(module, Weighted) and not module.weight.is_meta:
            if is_parametrized(module, "weight"):
                fill(cast("dict[str, ParametrizationList]", module.parametrizations)["weight"].original)
                for _ in range(SPECTRAL_ITERATIONS):  # the singular vectors catch up
                    module.weight  # noqa: B018 - each read in training mode is a power iteration
            else:
                fill(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, gain if scheme == "normal" else 0.0)
            nn.init.zeros_(module.bias)
    return network
