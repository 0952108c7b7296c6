"""Settings of what can be done to a photo to make it a bad one. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gantools.config.options import Options, setting

Number = Annotated[int, Field(ge=0, le=999)]
Quality = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(ge=0, le=100)]
Byte = Annotated[int, Field(ge=0, le=255)]
Sigma = Annotated[float, Field(ge=0, le=255)]
Part = Annotated[float, Field(gt=0, le=1)]


class DegradationOptions(Options):
    """What every degradation has. Those of a list are done one after the other, each to what the last one left."""

    name: str
    share: float = setting(1.0, "share of the images that it is done to", gt=0, le=1)


class LowResolutionOptions(DegradationOptions):
    """Shrink; those that follow work on the small image, which is enlarged again at the end of the list."""

    name: Literal["low_resolution"] = "low_resolution"
    short_side_px: int = setting(96, "shorter side of the small image (bilinear, antialiased)", source=96, ge=1)
    enlarge: Literal["bilinear", "bicubic"] = setting("bilinear", "how it is enlarged again", source="bilinear")


class TextOptions(DegradationOptions):
    """Write a number in white, somewhere in the upper left quadrant."""

    name: Literal["text"] = "text"
    numbers: tuple[Number, Number] = setting((10, 70), "the number, from - to", source=(10, 70))
    height_px: int = setting(8, "height of the digits in the image as it is at that point", source=8, ge=4, le=500)


class JpegOptions(DegradationOptions):
    """Compress as JPEG."""

    name: Literal["jpeg"] = "jpeg"
    quality: tuple[Quality, Quality] = setting(
        (10, 70), "quality, from - to; the number that `text` writes where both go from - to the same", source=(10, 70)
    )


class GrayOptions(DegradationOptions):
    """Take the colours away."""

    name: Literal["gray"] = "gray"


class NoiseOptions(DegradationOptions):
    """Add gaussian noise."""

    name: Literal["noise"] = "noise"
    sigma: tuple[Sigma, Sigma] = setting((5.0, 25.0), "standard deviation in steps of 8 bits, from - to")


class MissingOptions(DegradationOptions):
    """Paint rectangles over."""

    name: Literal["missing"] = "missing"
    rectangles: tuple[Count, Count] = setting((1, 4), "how many, from - to")
    side_share: tuple[Part, Part] = setting((0.1, 0.3), "sides as a share of the image's shorter one, from - to")
    color: tuple[Byte, Byte, Byte] = setting((124, 116, 104), "their red, green and blue; ImageNet's mean")


Degradation: TypeAlias = Annotated[
    LowResolutionOptions | TextOptions | JpegOptions | GrayOptions | NoiseOptions | MissingOptions,
    Field(discriminator="name"),
]

SizePreservingDegradation: TypeAlias = Annotated[JpegOptions | NoiseOptions, Field(discriminator="name")]
"""Degradations that leave an image its size and its contents."""

CRAPPIFY: tuple[Degradation, ...] = (LowResolutionOptions(), TextOptions(), JpegOptions())
"""The source's crappifier."""


def require_ordered(degradations: Sequence[Degradation]) -> None:
    """Raise ValueError for a range whose end lies before its start."""
    for degradation in degradations:
        for key, value in degradation:
            if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1]:
                raise ValueError(f"degradations: {degradation.name}: {key}: {value[0]} must not exceed {value[1]}")
