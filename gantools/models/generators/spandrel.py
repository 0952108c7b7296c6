"""Networks of other codes that the library spandrel has: super-resolution, denoising, faces, inpainting."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError, UsageError

NUMBERS_PER_TENSOR = 4
"""How far the numbers of layers in names go, by the number of tensors; spandrel makes a layer for each number."""
TILE_HALO_PX = 32
"""What tiles are given beyond their edges where a network's authors run it on tiles; nothing says what it needs."""


class SpandrelNetwork(nn.Module):
    """A network of another code, of the architecture and size that its tensors show.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W). A network that ``fills`` takes the mask as one
    channel more, 1 where pixels are missing and -1 elsewhere.
    Range: [-1, 1] → [-1, 1]; the network itself sees [0, 1].
    Source: https://github.com/chaiNNer-org/spandrel (MIT).
    Raises UsageError without spandrel, ModelFileError for tensors that it does not know.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        described = _described(tensors)
        self.model: nn.Module = described.model
        self._described = described
        self.architecture = str(described.architecture.id)
        self.purpose = str(described.purpose)
        self.fills = self.purpose == "Inpainting"
        self.scale = int(described.scale)
        self.in_channels, self.out_channels = int(described.input_channels), int(described.output_channels)
        self.size_multiple = int(described.size_requirements.multiple_of)
        self.minimum_size_px = max(1, int(described.size_requirements.minimum))
        self.halo_px = TILE_HALO_PX if described.tiling.name == "SUPPORTED" and self.purpose == "SR" else None
        self.supports_bf16, self.supports_fp16 = bool(described.supports_bfloat16), bool(described.supports_half)

    @staticmethod
    def of_stored(stored: Mapping[str, Tensor]) -> SpandrelNetwork:
        """The network of a state dict of this class, with its tensors."""
        return SpandrelNetwork({key.removeprefix("model."): value for key, value in stored.items()})

    def forward(self, image: Tensor) -> Tensor:
        unit = (image + 1) / 2
        made = self._described(unit[:, :-1], unit[:, -1:]) if self.fills else self._described(unit)
        return cast(Tensor, made * 2 - 1)


def knows(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The name of the architecture that has tensors of these names and shapes; None for none, or without spandrel."""
    if find_spec("spandrel") is None or not _has_numbers_of_layers(shapes):
        return None
    from spandrel import MAIN_REGISTRY

    empty = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    for each in MAIN_REGISTRY.architectures("detection"):
        if each.detect(empty):
            return str(each.architecture.name)
    return None


def _has_numbers_of_layers(names: Collection[str]) -> bool:
    """Whether no name has a number that would make a network far larger than its tensors."""
    numbers = (int(part[:9]) for name in names for part in name.split(".") if part.isdecimal())
    return max(numbers, default=0) <= NUMBERS_PER_TENSOR * len(names)


def _described(tensors: Mapping[str, Tensor]) -> Any:
    """spandrel's description of a network, which holds it. Warnings of its code are of no use to our users."""
    if find_spec("spandrel") is None:
        raise UsageError("this network needs spandrel: pip install 'gantools[import]'")
    if not _has_numbers_of_layers(tensors):
        raise ModelFileError("has numbers of layers beyond those that it holds")
    from spandrel import ModelLoader, UnsupportedModelError

    try:
        described = ModelLoader().load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        raise ModelFileError("holds a network that spandrel does not know") from error
    described.model.eval().requires_grad_(False)
    return described
