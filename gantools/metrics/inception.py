"""The Inception network that FID is defined by, from a file of its weights (Heusel et al., 2017, arXiv:1706.08500)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.errors import GantoolsError, ModelFileError
from gantools.images.image import Pixels
from gantools.images.ranges import to_tensor
from gantools.metrics.frechet import Vectors
from gantools.pretrained.feature_weights import read_state

SIDE_PX = 299
CLASSES = 1008

_AVERAGED = ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7b")
_MAXIMUM = "Mixed_7c"
_UNUSED = ("avgpool", "dropout", "fc")


class InceptionVectors:
    """Embeds images as FID does: TensorFlow's Inception of 2015, 2048 values before its classifier.

    ``weights`` is ``pt_inception-2015-12-05-6726825d.pth``, the translation that pytorch-fid and torchmetrics use.
    Images are resized to 299×299 px, bilinear without antialiasing, as pytorch-fid does.
    Raises ModelFileError for other weights.
    """

    def __init__(self, weights: Path, network: str, device: torch.device | str = "cpu") -> None:
        from torchvision.models import inception_v3

        self._device = torch.device(device)
        with torch.device("meta"):
            empty = inception_v3(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
        try:
            empty.load_state_dict(read_state(weights, "feature weights"), assign=True)
        except (RuntimeError, OSError, GantoolsError) as error:
            reason = str(error).splitlines()[0]
            what = f"not the weights of {network}, FID's Inception ({reason})"
            raise ModelFileError(f"{str(weights)!r}: {what}") from error
        self._layers = layers(empty.eval().float().requires_grad_(False)).to(self._device)

    @torch.inference_mode()
    def embed(self, image: Pixels) -> Vectors:
        """One image's vector. Shapes: uint8 [H, W, 3] → float64 [2048]."""
        size = (SIDE_PX, SIDE_PX)
        values = functional.interpolate(to_tensor(image, self._device), size, mode="bilinear", align_corners=False)
        return np.asarray(self._layers(values).mean((0, 2, 3)).double().cpu().numpy())


class Repooled(nn.Module):
    """An Inception block whose pooling branch pools as the graph of 2015 does, unlike torchvision's."""

    def __init__(self, block: nn.Module, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.block, self._pool = block, pool

    def forward(self, values: Tensor) -> Tensor:
        """The block's branches, the last one (of pooled values) computed anew. Shapes: (N, C, H, W)."""
        branches = self.block(values)
        pooled = self.block.branch_pool(self._pool(values))  # type: ignore[operator]
        return torch.cat([branches[:, : -pooled.shape[1]], pooled], 1)


def layers(inception: nn.Module) -> nn.Sequential:
    """The network up to its last block, each block pooling as it was trained."""
    found = []
    for name, child in inception.named_children():
        if name in _AVERAGED:
            child = Repooled(child, _average_of_what_is_there)
        elif name == _MAXIMUM:
            child = Repooled(child, _maximum)
        if name not in _UNUSED:
            found.append(child)
    return nn.Sequential(*found)


def _average_of_what_is_there(values: Tensor) -> Tensor:
    """Positions beyond the edge count neither as values nor in number."""
    return functional.avg_pool2d(values, 3, 1, 1, count_include_pad=False)


def _maximum(values: Tensor) -> Tensor:
    return functional.max_pool2d(values, 3, 1, 1)
