"""What a network makes of one image, beside its files: colours, depth, transparency, gray, missing parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import cv2
import numpy as np

from gantools.images.image import Image, Pixels
from gantools.images.ops import color
from gantools.images.ops.masks import Mask, started
from gantools.images.ops.resize import resize_bicubic, resized
from gantools.images.ops.transparency import restore, spread
from gantools.inference import inpainting
from gantools.inference.model import Model
from gantools.inference.options import DEFAULTS, WITHOUT_NETWORK, InferOptions
from gantools.inference.scaling import Preparation, Scaling
from gantools.inference.tiling.forward import translate, translate_masked
from gantools.models.options import CompactRestorationOptions, ContextEncoderOptions, SpandrelOptions

_VEIL = 2 / 255
"""So little opacity above clear pixels is a network's noise."""


@dataclass(frozen=True)
class ImageTranslator:
    """A model applied to whole images: ``scale`` times the size exactly; depth, alpha, gray and metadata kept.

    ``prepared``, ``inputs`` and ``result`` are its steps around the network, for those who run several images at once.
    """

    model: Model
    options: InferOptions = DEFAULTS
    preparation: Preparation | None = None

    def __call__(self, image: Image, name: str = "image") -> Image:
        """Translate an image, or fill in what is missing from it; ``name`` is for its mask and for messages.

        Raises ImageError when the result would be too large, does not fit the memory, or is not finite, and UsageError.
        """
        if self.model.export.takes == "masked":
            mask = inpainting.find_mask(image, name, self.options.mask, self._center_px)
            return self.inpaint(image if self.options.mask is not None else replace(image, alpha=None), mask)
        image = self.prepared(image)
        return self.result(image, self._translate(self.inputs(image)))

    @cached_property
    def scaling(self) -> Scaling:
        """At what size the network sees images."""
        return Scaling.of(self.model.export, self.options.scale_to, self.preparation)

    def prepared(self, image: Image) -> Image:
        """The image, prepared at its own size where that is wanted. Raises ImageError for what would grow too large."""
        if self.preparation is not None and self.preparation.at == "original":
            image = self.preparation.apply(image)
        for height, width in ((image.height, image.width), self.scaling.size(image.height, image.width)):
            self.options.check_output_size(width, height, self.model.generator.scale)
        return image

    def inputs(self, image: Image) -> Pixels:
        """What the network sees of a prepared image. Shapes: [h, w, 3] of the image's dtype."""
        return self.scaling.seen(self._colours(image))

    def result(self, image: Image, made: Pixels) -> Image:
        """An image from what the network made of ``inputs(image)``, with its transparency beside the colours."""
        pixels = self.scaling.result(made, image.pixels)
        gray = image.gray and self._stays_gray
        if self.model.generator.scale == 1 and self.options.alpha != "drop":
            restore(pixels, image)
        whole = replace(
            image,
            pixels=inpainting.without_colours(pixels) if gray else pixels,
            alpha=self._alpha(image),
            gray=gray or self.model.options.out_channels == 1,
        )
        if self.options.scale is None:
            return whole
        height, width = (max(1, round(side * self.options.scale)) for side in (image.height, image.width))
        alpha = None if whole.alpha is None else resized(whole.alpha, (height, width))
        return replace(whole, pixels=resized(whole.pixels, (height, width)), alpha=alpha)

    def inpaint(self, image: Image, mask: Mask) -> Image:
        """Fill in what is missing from an image; every other sample stays as it is, and so do alpha and metadata.

        Shapes: ``mask`` bool [H, W]. Raises UsageError for a part that is larger than the network can fill.
        """
        fill: inpainting.Fill = partial(self.scaling.filled, fill=self._fill)
        if self.options.method in WITHOUT_NETWORK:
            fill = inpainting.opencv_fill(self.options.method)
        elif self.options.method == "auto":
            fill = partial(inpainting.fill_by_thickness, fill=fill)
        return inpainting.filled_image(image, mask, fill, self.options, stays_gray=self._stays_gray)

    def _fill(self, pixels: Pixels, mask: Mask) -> Pixels:
        if isinstance(self.model.options, SpandrelOptions):
            return inpainting.fill_by_mask(pixels, mask, self._predict)
        if self._fills_the_middle:
            return inpainting.fill_by_center(pixels, mask, self._predict, self._trained_px, self._center_px)
        return inpainting.fill_by_image(pixels, mask, self._predict, self._trained_px)

    def _predict(self, pixels: Pixels, mask: Mask) -> Pixels:
        shown = started(pixels, mask, self.model.export.fill)
        if isinstance(self.model.options, SpandrelOptions):
            return translate_masked(shown, mask, self.model, tta=self.options.tta)
        seen = mask if self.model.sees_masks else None
        return translate(shown, self.model, mask=seen, tile=self.options.tile, tta=self.options.tta)

    def _translate(self, pixels: Pixels) -> Pixels:
        return translate(pixels, self.model, tile=self.options.tile, tta=self.options.tta)

    def _colours(self, image: Image) -> Pixels:
        """The colours, without hidden ones, unless dropping alpha shows them."""
        return image.pixels if self.options.alpha == "drop" else spread(image)

    def _alpha(self, image: Image) -> Pixels | None:
        """The result's transparency: resized, or made by the network where that is not fully clear."""
        scale = self.model.generator.scale
        if image.alpha is None or self.options.alpha == "drop":
            return None
        enlarged = image.alpha if scale == 1 else resize_bicubic(image.alpha[..., None], scale=scale)[..., 0]
        if self.options.alpha == "keep":
            return enlarged
        given, scaling = color.gray_to_rgb(image.alpha), Scaling.of(self.model.export, self.options.scale_to)
        made = color.gray(scaling.result(self._translate(scaling.seen(given)), given))
        clear = cv2.resize((image.alpha == 0).astype(np.uint8), made.shape[::-1], interpolation=cv2.INTER_NEAREST)
        made[(clear == 1) & ((enlarged == 0) | (made <= _VEIL * np.iinfo(made.dtype).max))] = 0
        return made

    @property
    def _stays_gray(self) -> bool:
        wanted = self.options.gray
        return (self.model.export.gray if wanted == "auto" else wanted) == "keep"

    @property
    def _trained_px(self) -> int:
        return self.model.export.trained_px or self.model.generator.minimum_size_px

    @property
    def _fills_the_middle(self) -> bool:
        return isinstance(self.model.options, ContextEncoderOptions) and self.model.options.region == "center"

    @property
    def _center_px(self) -> int:
        """Side of the square that a network was trained to fill in the middle."""
        if isinstance(self.model.options, SpandrelOptions | CompactRestorationOptions):
            return 1 << 30  # any
        overlap_px = self.model.options.overlap_px if isinstance(self.model.options, ContextEncoderOptions) else 0
        return self._trained_px // 2 - (2 * overlap_px if self._fills_the_middle else 0)
