"""The only place where integer samples become network values and come back.

Files, samples of data sets and metrics speak uint8 or uint16 HWC; networks and losses speak float NCHW in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.images.image import Pixels


def to_tensor(pixels: Pixels, device: torch.device | str = "cpu") -> Tensor:
    """Turn one image into a network's input.

    Shapes: uint8 or uint16 [H, W, C] → float32 [1, C, H, W]. Range: [-1, 1].
    """
    half = np.iinfo(pixels.dtype).max / 2
    samples = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    values = torch.from_numpy(np.require(samples, requirements=("C", "W"))).to(device)
    return _centred(values.unsqueeze(0), half, torch.contiguous_format)


def batch_to_float(batch: Tensor, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
    """Turn a batch of samples into network values on the device it lies on.

    Shapes: uint8 [N, H, W, C] → float32 [N, C, H, W]. Range: exactly ``x / 127.5 - 1``.
    """
    return _centred(batch, 127.5, memory_format)


def from_tensor(tensor: Tensor, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """Turn one network output into samples: clamped, rounded half up.

    Shapes: [C, H, W] or [1, C, H, W] → [H, W, C] of ``dtype`` (uint8 or uint16).
    """
    if tensor.ndim == 4:
        if tensor.shape[0] != 1:
            raise ValueError(f"one image expected, got a batch of {tensor.shape[0]}")
        tensor = tensor[0]
    steps = _steps(tensor.detach(), np.iinfo(dtype).max / 2)
    kind = torch.uint8 if np.dtype(dtype) == np.uint8 else torch.int32  # on the device: fewer bytes are copied
    return np.ascontiguousarray(steps.permute(1, 2, 0).to(kind).cpu().numpy().astype(dtype, copy=False))


def batch_from_float(tensor: Tensor) -> Tensor:
    """Turn network values into samples on the device they lie on. Shapes: [N, C, H, W] → uint8 [N, H, W, C]."""
    return _steps(tensor.detach(), 127.5).permute(0, 2, 3, 1).to(torch.uint8).contiguous()


def _centred(batch: Tensor, half: float, memory_format: torch.memory_format) -> Tensor:
    values = batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=memory_format, copy=True)
    return values.div_(half).sub_(1)


def _steps(tensor: Tensor, half: float) -> Tensor:
    return (tensor.to(torch.float32).clamp(-1, 1) + 1).mul_(half).add_(0.5).floor_()
