"""Settings of what can be done to a photo to make it a bad one. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from gantools.config.options import Options, setting
from gantools.data.options.blur import BlurOptions

Number = Annotated[int, Field(ge=0, le=999)]
Quality = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(ge=0, le=100)]
Byte = Annotated[int, Field(ge=0, le=255)]
Sigma = Annotated[float, Field(ge=0, le=255)]
Part = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=4)]
Weight = Annotated[float, Field(ge=0)]
Strength = Annotated[float, Field(ge=0, le=10)]
KernelSide = Annotated[int, Field(ge=3, le=99)]
BlurSigma = Annotated[float, Field(gt=0, le=20)]


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
    count: tuple[Count, Count] = setting(
        (1, 1), "how often it is written, each time somewhere else, from - to", source=(1, 1)
    )
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
    gray_share: float = setting(0.0, "share of images whose channels get the same noise", ge=0, le=1)


class PoissonOptions(DegradationOptions):
    """Add the noise of counted light: bright areas get more of it."""

    name: Literal["poisson"] = "poisson"
    strength: tuple[Strength, Strength] = setting(
        (0.05, 3.0), "factor on the noise of 256 photons per pixel of full brightness, from - to"
    )
    gray_share: float = setting(0.0, "share of images whose channels get the same noise", ge=0, le=1)


class GaussianBlurOptions(DegradationOptions):
    """Blur by a gaussian of any shape: round or stretched, pointed or flat-topped (Real-ESRGAN)."""

    name: Literal["gaussian_blur"] = "gaussian_blur"
    sigma_px: tuple[BlurSigma, BlurSigma] = setting((0.2, 3.0), "standard deviation, from - to; one for each axis")
    side_px: tuple[KernelSide, KernelSide] = setting((7, 21), "side of the kernel, which cuts it off; from - to")
    stretched_share: float = setting(0.31, "share of kernels with two sigmas at a random angle", ge=0, le=1)
    generalized_share: float = setting(0.15, "share of kernels with another exponent than a gaussian's", ge=0, le=1)
    generalized_beta: tuple[BlurSigma, BlurSigma] = setting((0.5, 4.0), "their exponent, from - to; 1: a gaussian")
    plateau_share: float = setting(0.15, "share of kernels with a flat top", ge=0, le=1)
    plateau_beta: tuple[BlurSigma, BlurSigma] = setting((1.0, 2.0), "their steepness, from - to")


class SincOptions(DegradationOptions):
    """Cut off high frequencies sharply, which leaves ringing at edges, as sharpening and resizing do."""

    name: Literal["sinc"] = "sinc"
    cutoff: tuple[Part, Part] = setting((1 / 3, 1.0), "highest frequency left, 1: all of them; from - to")
    side_px: tuple[KernelSide, KernelSide] = setting((7, 21), "side of the kernel, from - to")


class CameraBlurOptions(DegradationOptions):
    """Blur by camera shake, defocus or measured kernels, as `deblur` learns to undo it."""

    name: Literal["camera_blur"] = "camera_blur"
    blur: BlurOptions = setting(BlurOptions(), "kinds and sizes of the kernels")


class ResizeOptions(DegradationOptions):
    """Resize by a random factor with a random method: areas, bilinear or bicubic. What follows works on that size."""

    name: Literal["resize"] = "resize"
    factor: tuple[Factor, Factor] = setting((0.15, 1.5), "smallest and largest factor")
    weights: tuple[Weight, Weight, Weight] = setting((0.2, 0.7, 0.1), "how often it enlarges, shrinks, does nothing")
    of: Literal["image", "input"] = setting("image", "what the factor is of: the image as it is then, or its last size")


class InputSizeOptions(DegradationOptions):
    """Resize to the size of the degraded image, with a random method. Without it this is done first (srgan) or last."""

    name: Literal["input_size"] = "input_size"


class WebpOptions(DegradationOptions):
    """Compress as WebP."""

    name: Literal["webp"] = "webp"
    quality: tuple[Quality, Quality] = setting((30, 95), "quality, from - to")


class MissingOptions(DegradationOptions):
    """Paint rectangles over."""

    name: Literal["missing"] = "missing"
    rectangles: tuple[Count, Count] = setting((1, 4), "how many, from - to")
    side_share: tuple[Part, Part] = setting((0.1, 0.3), "sides as a share of the image's shorter one, from - to")
    color: tuple[Byte, Byte, Byte] = setting((124, 116, 104), "their red, green and blue; ImageNet's mean")


SingleDegradation: TypeAlias = (
    LowResolutionOptions
    | TextOptions
    | JpegOptions
    | WebpOptions
    | GrayOptions
    | NoiseOptions
    | PoissonOptions
    | GaussianBlurOptions
    | SincOptions
    | CameraBlurOptions
    | ResizeOptions
    | InputSizeOptions
    | MissingOptions
)


class OneOfOptions(DegradationOptions):
    """Do one of several lists of degradations, drawn for each image."""

    name: Literal["one_of"] = "one_of"
    of: tuple[tuple[Annotated[SingleDegradation, Field(discriminator="name")], ...], ...] = setting(
        ..., "the lists; an empty one does nothing", min_length=2
    )
    weights: tuple[Weight, ...] | None = setting(None, "how often each is drawn; null: equally often")

    @model_validator(mode="after")
    def _weighted(self) -> Self:
        if self.weights is not None and (len(self.weights) != len(self.of) or not sum(self.weights)):
            raise ValueError(f"weights: one for each of the {len(self.of)} lists, not all 0")
        return self


Degradation: TypeAlias = Annotated[SingleDegradation | OneOfOptions, Field(discriminator="name")]

CRAPPIFY: tuple[Degradation, ...] = (LowResolutionOptions(), TextOptions(), JpegOptions())
"""The source's crappifier."""


def single(degradations: Sequence[Degradation]) -> Iterator[SingleDegradation]:
    """Every degradation of a list, and of the lists that are drawn from."""
    for degradation in degradations:
        if isinstance(degradation, OneOfOptions):
            yield from (each for choice in degradation.of for each in choice)
        else:
            yield degradation


def includes(degradations: Sequence[Degradation], name: str) -> bool:
    """Whether a degradation of this name is in a list, or in one that is drawn from."""
    return any(one.name == name for one in single(degradations))


def depends_on_whole(degradations: Sequence[Degradation]) -> bool:
    """Whether what is done to a part of a photo depends on the photo's size."""
    return includes(degradations, "low_resolution")


def require_ordered(degradations: Sequence[Degradation]) -> None:
    """Raise ValueError for a range whose end lies before its start."""
    for degradation in single(degradations):
        for key, value in degradation:
            if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1]:
                raise ValueError(f"degradations: {degradation.name}: {key}: {value[0]} must not exceed {value[1]}")
