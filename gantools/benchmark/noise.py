"""Batches of noise in the shape of each recipe's: no step's time depends on what the pictures show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from gantools import api
from gantools.data.loading import batches
from gantools.data.loading.batches import Batch, to_network

_KINDS: Mapping[str, type[Batch]] = {
    "pix2pix": batches.Paired,
    "cyclegan": batches.Unpaired,
    "srgan": batches.LowHigh,
    "context_encoder": batches.Masked,
    "deblur": batches.Restoration,
    "restore": batches.Restoration,
}


def batch(settings: api.Settings, device: torch.device, *, channels_last: bool) -> Batch:
    """The same noise every time, as the loop gives it to networks; what is missing is the middle."""
    data: Any = settings.config.data
    kind, stream = _KINDS[settings.config.recipe], torch.Generator().manual_seed(0)
    pictures = {}
    for name in (field.name for field in fields(kind) if field.name != "names"):
        side_px = data.crop_px // data.scale if name == "low" else data.crop_px
        shape = (data.batch_images, side_px, side_px, 3)
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=stream)
        pictures[name] = _middle(noise) if name == "mask" else noise
    made: Batch = kind(**pictures, names=("noise",) * data.batch_images)  # type: ignore[call-arg]
    return to_network(made, device, channels_last=channels_last)


def _middle(pictures: Tensor) -> Tensor:
    """The mask of the middle. Shapes: (N, H, H, 3) → (N, H, H, 1) uint8."""
    side_px = pictures.shape[1]
    mask = torch.zeros_like(pictures[..., :1])
    mask[:, side_px // 4 : -side_px // 4, side_px // 4 : -side_px // 4] = 255
    return mask
