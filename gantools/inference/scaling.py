"""At what size a network sees an image, and how its result comes back to the image's own size. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gantools.errors import UsageError
from gantools.images.image import Image, Pixels, to_depth_of
from gantools.images.ops.color import gray, gray_to_rgb, with_luminance
from gantools.images.ops.masks import Mask, mean_filled
from gantools.images.ops.resize import resized, size_at
from gantools.inference.options import ScaleTo

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Export


@dataclass(frozen=True)
class Preparation:
    """What turns an image into one of the kind that a network was trained on, such as a photo into an outline drawing.

    ``at`` says at which size: the image's ``original`` one, or when it is ``resized`` to the network's.
    """

    apply: Callable[[Image], Image]
    at: Literal["original", "resized"] = "original"


def short_side_px(export: Export, scale_to: ScaleTo) -> int | None:
    """The short side that images are brought to before the network sees them; None: they keep their size.

    Raises UsageError for ``trained`` where a network was trained on images at their own size.
    """
    if isinstance(scale_to, int):
        return scale_to
    if scale_to == "trained" and export.resized_px is None:
        raise UsageError("--scale-to trained: this network was trained on images at their own size; leave it out")
    if scale_to == "trained" or (scale_to == "auto" and export.applied_at == "trained"):
        return export.resized_px
    return None


def described(export: Export, scale_to: ScaleTo) -> str | None:
    """One line about the size at which a network sees images, and how to change it; None where there is no choice."""
    side_px = short_side_px(export, scale_to)
    if side_px is not None:
        own = " as in training," if side_px == export.resized_px else ""
        colours = "its colours are put" if export.luminance == "kept" else "the result is brought"
        where = "onto the image at its own size" if export.luminance == "kept" else "back to the image's size"
        return (
            f"scale: the network sees images with a short side of {side_px} px,{own} and {colours} {where}; "
            "--scale-to native|N changes that"
        )
    if export.resized_px is None:
        return None
    masked = export.takes == "masked"
    own = "thick masks are filled at a smaller size" if masked else "the network sees images at their own size"
    return f"scale: {own}; --scale-to trained brings the short side of images to {export.resized_px} px, as in training"


def size_of(export: Export, scale_to: ScaleTo) -> str:
    """At what size the network sees images, in a few words. Raises UsageError as ``short_side_px``."""
    side_px = short_side_px(export, scale_to)
    return "images at their own size" if side_px is None else f"images with a short side of {side_px} px"


@dataclass(frozen=True)
class Scaling:
    """The way of images to a network's size and back. ``side_px`` None: they keep their own.

    ``scale`` is how many times as large as its input the network's output is.
    """

    side_px: int | None
    scale: int
    keeps_luminance: bool
    darkest: bool = False
    prepare: Callable[[Image], Image] | None = None
    """Applied at the network's size."""

    @staticmethod
    def of(export: Export, scale_to: ScaleTo, preparation: Preparation | None = None) -> Scaling:
        """What the weights and the options say. Raises UsageError as ``short_side_px``."""
        prepare = preparation.apply if preparation is not None and preparation.at == "resized" else None
        return Scaling(
            short_side_px(export, scale_to),
            export.scale,
            export.luminance == "kept" and export.scale == 1,
            export.shrunk_by == "darkest" and prepare is None,
            prepare,
        )

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that the network sees."""
        return (height, width) if self.side_px is None else size_at(height, width, self.side_px)

    def seen(self, pixels: Pixels) -> Pixels:
        """What the network sees of an image: without its colours, where it was trained to colour gray ones.

        Shapes: [H, W, 3] → [h, w, 3].
        """
        small = resized(pixels, self.size(*pixels.shape[:2]), darkest=self.darkest)
        small = gray_to_rgb(gray(small)) if self.keeps_luminance else small
        return small if self.prepare is None else to_depth_of(small, self.prepare(Image(small)).pixels)

    def result(self, made: Pixels, given: Pixels) -> Pixels:
        """What the network made, at ``scale`` times the size of what was given. Shapes: [h', w', 3] → [H', W', 3]."""
        height, width = given.shape[:2]
        back = made if self.side_px is None else resized(made, (height * self.scale, width * self.scale))
        return with_luminance(back, given) if self.keeps_luminance else back

    def filled(self, pixels: Pixels, mask: Mask, fill: Callable[[Pixels, Mask], Pixels]) -> Pixels:
        """An image whose missing part ``fill`` has filled in at the network's size; known pixels are as they were.

        Raises UsageError when nothing known is left at that size.
        """
        size = self.size(*pixels.shape[:2])
        if size == pixels.shape[:2]:
            return fill(pixels, mask)
        missing = resized(np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * np.uint8(255), size)[..., 0] > 0
        if missing.all():
            raise UsageError(f"--scale-to {self.side_px}: at this size the mask leaves nothing of the image")
        made = resized(fill(resized(mean_filled(pixels, mask), size), missing), pixels.shape[:2])
        made[~mask] = pixels[~mask]
        return made
