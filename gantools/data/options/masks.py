"""Which pixels are missing. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from gantools.config.options import Options, setting

_MAX_SHARE = "largest share of the image that may be missing"


class CenterMask(Options):
    """One square in the middle."""

    name: Literal["center"] = "center"
    region_share: float = setting(
        0.5, "side of the predicted square, as a share of the image's", paper=0.5, source=0.5, gt=0, lt=1
    )
    overlap_px: int = setting(
        4, "known border inside the predicted square: what is missing is that much smaller", paper=4, source=4, ge=0
    )


class RandomBlockMask(Options):
    """Several squares anywhere, which may overlap."""

    name: Literal["random_block"] = "random_block"
    max_share: float = setting(0.25, _MAX_SHARE, paper=0.25, source=0.25, gt=0, lt=1)
    most_squares: int = setting(8, "most squares in an image", ge=1)
    min_side_share: float = setting(0.1, "side of the smallest square, as a share of the image's short side", gt=0)
    max_side_share: float = setting(0.4, "side of the largest square, as a share of the image's short side", gt=0)

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        if self.min_side_share > self.max_side_share:
            raise ValueError("min_side_share: must not exceed max_side_share")
        if self.max_side_share**2 > self.max_share:
            raise ValueError("max_side_share: one such square is more than max_share allows")
        return self


class RandomRegionMask(Options):
    """Irregular strokes as of a brush, or silhouettes: smooth blobs and polygons."""

    name: Literal["random_region"] = "random_region"
    max_share: float = setting(0.25, _MAX_SHARE, paper=0.25, source=0.25, gt=0, lt=1)
    silhouette_share: float = setting(
        0.5,
        "share of the images that lose silhouettes; the others lose strokes",
        paper=1.0,
        why="people erase with a brush as often as by outline",
        ge=0,
        le=1,
    )
    most_silhouettes: int = setting(2, "most silhouettes in an image", ge=1)
    most_strokes: int = setting(5, "most strokes in an image (LaMa, arXiv 2109.07161)", ge=1)
    most_turns: int = setting(5, "most straight parts of a stroke (LaMa)", ge=1)
    max_angle: float = setting(4.0, "largest turn between two parts, in radians (LaMa)", gt=0)
    max_length_px: int = setting(200, "longest part of a stroke, for images of 256 px (LaMa)", ge=1)
    max_width_px: int = setting(100, "widest stroke, for images of 256 px (LaMa)", ge=1)


class ScratchesMask(Options):
    """Thin cracks and scratches of an old print."""

    name: Literal["scratches"] = "scratches"
    max_share: float = setting(0.25, _MAX_SHARE, gt=0, lt=1)
    most_scratches: int = setting(8, "most scratches in an image", ge=1)
    most_turns: int = setting(12, "most straight parts of a scratch", ge=1)
    max_turn: float = setting(0.6, "largest turn between two parts, in radians", ge=0)
    max_length_share: float = setting(1.0, "longest scratch, as a share of the image's long side", gt=0)
    max_width_px: int = setting(6, "widest scratch; the thinnest is 1 px", ge=1)


class RectanglesMask(Options):
    """Several rectangles anywhere, of any proportions, which may overlap."""

    name: Literal["rectangles"] = "rectangles"
    max_share: float = setting(0.25, _MAX_SHARE, gt=0, lt=1)
    most_rectangles: int = setting(4, "most rectangles in an image", ge=1)
    min_side_share: float = setting(0.04, "shortest side, as a share of the image's side in that direction", gt=0, le=1)
    max_side_share: float = setting(0.5, "longest side, as a share of the image's side in that direction", gt=0, le=1)

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        if self.min_side_share > self.max_side_share or self.min_side_share**2 > self.max_share:
            raise ValueError("min_side_share: must not exceed max_side_share, nor its square max_share")
        return self


class BorderMask(Options):
    """Strips along the image's borders: what an image is continued by."""

    name: Literal["border"] = "border"
    max_share: float = setting(0.25, _MAX_SHARE, gt=0, lt=1)
    most_sides: int = setting(2, "most sides that lose a strip", ge=1, le=4)


class TextMask(Options):
    """Lines of letters and digits, as of a date or a watermark."""

    name: Literal["text"] = "text"
    max_share: float = setting(0.25, _MAX_SHARE, gt=0, lt=1)
    most_lines: int = setting(5, "most lines in an image", ge=1)
    max_height_share: float = setting(0.25, "highest letters, as a share of the image's height", gt=0, le=1)
    max_stroke_px: int = setting(5, "thickest strokes of letters, for letters of 32 px or more", ge=1)


class FileMask(Options):
    """Masks that somebody drew: white is missing."""

    name: Literal["file"] = "file"
    path: str = setting(
        "", "a mask image of crop_px a side, or a folder of them; one is drawn for each sample", local=True
    )


_Drawn: TypeAlias = (
    CenterMask | RandomBlockMask | RandomRegionMask | ScratchesMask | RectanglesMask | BorderMask | TextMask
)
DrawnMask: TypeAlias = Annotated[_Drawn, Field(discriminator="name")]
"""One kind of mask that is drawn."""


class MixedMask(Options):
    """A mask of one of several kinds, drawn for each image."""

    name: Literal["mixed"] = "mixed"
    masks: tuple[DrawnMask, ...] = setting(
        (RandomRegionMask(), ScratchesMask(), RectanglesMask(), BorderMask(), TextMask()),
        "the kinds, equally likely: one that is given twice is twice as likely",
        min_length=1,
    )


MaskOptions: TypeAlias = Annotated[_Drawn | MixedMask | FileMask, Field(discriminator="name")]
