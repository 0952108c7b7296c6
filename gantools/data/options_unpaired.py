"""Settings of the unpaired data set. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from gantools.config.options import setting
from gantools.data.options import DataOptions


class UnpairedData(DataOptions):
    """Pictures of two domains that do not correspond (Zhu 2017)."""

    name: Literal["unpaired"] = "unpaired"
    a: str | None = setting(None, "folder of domain A, instead of data.dir; needs b", local=True)
    b: str | None = setting(None, "folder of domain B, instead of data.dir; needs a", local=True)
    load_px: int = setting(286, "training pictures are resized to this side", paper=286, source=340, ge=1)
    crop_px: int = setting(
        256, "random square of it that is trained on; validation is resized to it", paper=256, source=256, ge=1
    )
    fit: Literal["stretch", "cover", "crop", "pad"] = setting(
        "stretch",
        "stretch: square of load_px | cover: the short side is load_px | crop: its middle square | pad: a white border",
        paper="stretch",
        source="cover",
    )
    flip: bool = setting(True, "mirror half of the pictures", paper=True, source=True)
    batch_images: int = setting(1, "pictures of each domain in a batch", paper=1, source=1, ge=1, plausible=(1, 1024))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_px > self.load_px:
            raise ValueError("crop_px: must not exceed load_px")
        if (self.a is None) != (self.b is None):
            raise ValueError("a: a and b are given together or not at all")
        if self.a is not None and self.a == self.b:
            raise ValueError("a: a and b are the same folder; there is nothing to learn")
        return self
