"""Settings of the data set of degraded photos. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from gantools.config.options import setting
from gantools.data.options import DataOptions
from gantools.data.options_degradations import CRAPPIFY, Degradation, require_ordered


class RestorationData(DataOptions):
    """Photos, degraded by the loader."""

    name: Literal["restoration"] = "restoration"
    degradations: tuple[Degradation, ...] = setting(
        CRAPPIFY, "what is done to a photo, in this order", source=["low_resolution", "text", "jpeg"], min_length=1
    )
    load_px: int = setting(256, "photos are resized to this shorter side, then degraded", ge=1)
    crop_px: int = setting(
        128, "side of the squares trained on; validation takes middles of multiples of it", source=128
    )
    largest_region_px: int | None = setting(
        None, "training squares are cut from crop_px up to this side and shrunk (zoom); null: crop_px, as they are"
    )
    flip: bool = setting(True, "mirror half of the samples", source=True)
    validation_share: float = setting(
        0.1, "share of the images kept aside for validation when there is no validation folder", source=0.1, ge=0, lt=1
    )
    split_seed: int = setting(42, "seed of the split into training and validation", source=42, ge=0)
    batch_images: int = setting(32, "images in a batch", source=32, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 1 <= self.crop_px <= (self.largest_region_px or self.load_px) <= self.load_px:
            raise ValueError("largest_region_px: must lie between crop_px and load_px, and crop_px not exceed load_px")
        require_ordered(self.degradations)
        return self
