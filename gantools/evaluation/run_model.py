"""Images through a model, computed as ``gantools infer`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gantools.images.image import Image, Pixels, to_8_bit
from gantools.images.io import reader
from gantools.images.ops.masks import Mask
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import InferOptions, ScaleTo


@dataclass(frozen=True)
class RunModel:
    """Applies a model to pixels (:class:`gantools.training.recipe.RunModel`).

    ``scale_to`` is the size at which the network sees an image, as for ``gantools infer``, or chooses it. ``back`` is
    the model in the opposite direction, where the weights have one.
    """

    model: Model
    scale_to: ScaleTo | Callable[[Pixels], ScaleTo] = "auto"
    back: Model | None = None

    @property
    def network(self) -> str:
        """The network's name in its recipe."""
        return self.model.export.network

    @property
    def scale(self) -> int:
        """How many times larger results are."""
        return self.model.generator.scale

    def __call__(self, image: Pixels, mask: Mask | None = None) -> Pixels:
        """Shapes: uint8 [H, W, 3] → ``scale`` times as large; ``mask``: bool [H, W], True where pixels are missing."""
        if mask is not None:
            return self._translator(self.model, image).inpaint(Image(image), mask).pixels
        return self._translator(self.model, image)(Image(image)).pixels

    def reverse(self, image: Pixels) -> Pixels | None:
        """The image translated in the opposite direction, None where the weights cannot."""
        if self.back is None:
            return None
        return self._translator(self.back, image)(Image(image)).pixels

    def _translator(self, model: Model, image: Pixels) -> ImageTranslator:
        scale_to = self.scale_to(image) if callable(self.scale_to) else self.scale_to
        return ImageTranslator(model, InferOptions(scale_to=scale_to))


def run_on_file(path: Path, model: Model, mask: str | None, scale_to: ScaleTo = "auto") -> Pixels:
    """The result for an image file, as ``gantools infer`` makes it; ``mask`` and ``scale_to`` as its options.

    Raises ImageError for an image that cannot be used, UsageError for a mask that does not fit.
    """
    translator = ImageTranslator(model, InferOptions(mask=mask, scale_to=scale_to))
    return to_8_bit(translator(reader.read(path, name=str(path)), path.name).pixels)
