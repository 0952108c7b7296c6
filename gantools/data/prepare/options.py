"""Settings of the data commands. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.data.options.degradations import (
    CameraBlurOptions,
    GaussianBlurOptions,
    GrayOptions,
    JpegOptions,
    LowResolutionOptions,
    MissingOptions,
    NoiseOptions,
    PoissonOptions,
    ResizeOptions,
    SincOptions,
    SingleDegradation,
    TextOptions,
    WebpOptions,
    require_ordered,
)
from gantools.data.options.masks import (
    BorderMask,
    CenterMask,
    DrawnMask,
    MixedMask,
    RandomBlockMask,
    RandomRegionMask,
    RectanglesMask,
    ScratchesMask,
    TextMask,
)
from gantools.data.prepare.commands import DegradationName, MaskName


class CrappifyOptions(Options):
    """Which degradations are done, in which order, and how each is done."""

    do: tuple[DegradationName, ...] = setting(
        ("low_resolution", "text", "jpeg"), "what is done, in this order", source=("low_resolution", "text", "jpeg")
    )
    low_resolution: LowResolutionOptions = setting(LowResolutionOptions(), "shrinking")
    text: TextOptions = setting(TextOptions(), "a number in white")
    jpeg: JpegOptions = setting(JpegOptions(), "compression")
    webp: WebpOptions = setting(WebpOptions(), "another compression")
    gray: GrayOptions = setting(GrayOptions(), "no colours")
    noise: NoiseOptions = setting(NoiseOptions(), "gaussian noise")
    poisson: PoissonOptions = setting(PoissonOptions(), "noise of light")
    gaussian_blur: GaussianBlurOptions = setting(GaussianBlurOptions(), "blur of any gaussian shape")
    sinc: SincOptions = setting(SincOptions(), "ringing")
    camera_blur: CameraBlurOptions = setting(CameraBlurOptions(), "camera shake and defocus")
    resize: ResizeOptions = setting(ResizeOptions(), "another size in between")
    missing: MissingOptions = setting(MissingOptions(), "painted over")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_ordered(self.degradations())
        if not self.do:
            raise ValueError("do: at least one degradation")
        return self

    def degradations(self) -> tuple[SingleDegradation, ...]:
        """The chosen ones in their order."""
        return tuple(getattr(self, name) for name in self.do)


class MasksOptions(Options):
    """What is missing, and how each kind of it is drawn."""

    kind: MaskName = setting("random_region", "which of the following")
    center: CenterMask = setting(CenterMask(), "one square in the middle")
    random_block: RandomBlockMask = setting(RandomBlockMask(), "several squares")
    random_region: RandomRegionMask = setting(RandomRegionMask(), "strokes or silhouettes")
    scratches: ScratchesMask = setting(ScratchesMask(), "thin scratches")
    rectangles: RectanglesMask = setting(RectanglesMask(), "several rectangles")
    border: BorderMask = setting(BorderMask(), "strips along the borders")
    text: TextMask = setting(TextMask(), "lines of letters")
    mixed: MixedMask = setting(MixedMask(), "a kind drawn for each image")

    def chosen(self) -> DrawnMask | MixedMask:
        """The settings of the chosen kind."""
        chosen: DrawnMask | MixedMask = getattr(self, self.kind)
        return chosen
