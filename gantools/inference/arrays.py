"""A model called from Python with arrays or Pillow images: no file is read or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt
import PIL.Image

from gantools.errors import UsageError
from gantools.images.image import Image, Pixels
from gantools.inference.image import ImageTranslator

Array = npt.NDArray[Any]
I = TypeVar("I", Array, PIL.Image.Image)  # noqa: E741


class LoadedModel:
    """A model to be called with an image, or with a list of them, which come back as what they were.

    Arrays are [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGB, alpha last), of uint8, uint16, or floats in [0, 1], which
    are computed from 16 bits. Results are ``scale`` times as large. A gray image that gets colours has three channels.

    >>> import numpy as np
    >>> from gantools import load_model
    >>> enlarge = load_model("srgan", device="cpu")
    >>> photo = np.full((12, 16, 3), 128, np.uint8)
    >>> enlarge(photo).shape
    (48, 64, 3)
    >>> [each.dtype for each in enlarge([photo, photo[..., 0] / np.float32(255)])]
    [dtype('uint8'), dtype('float32')]
    """

    def __init__(self, translator: ImageTranslator) -> None:
        self.translator = translator

    @property
    def scale(self) -> float:
        """How many times as large as its input a result is."""
        return self.translator.options.scale or self.translator.model.generator.scale

    @property
    def network(self) -> Any:
        """The ``torch.nn.Module``, on [N, C, H, W] in [-1, 1], with sides that are multiples of ``size_multiple``."""
        return self.translator.model.network

    @overload
    def __call__(self, image: I, mask: Array | None = None) -> I: ...
    @overload
    def __call__(self, image: Sequence[I], mask: Sequence[Array] | None = None) -> list[I]: ...
    def __call__(self, image: Any, mask: Any = None) -> Any:
        """Translate one image or each of a list; ``mask`` is True (or above half) where a model shall fill in pixels.

        Without one such a model fills in what is transparent. Raises UsageError for what is no image, and ImageError.
        """
        if isinstance(image, list | tuple):
            return [self(each, of) for each, of in zip(image, mask or [None] * len(image), strict=True)]
        if isinstance(image, PIL.Image.Image):
            return _to_pillow(self._translated(_of_pillow(image), mask))
        return _to_array(self._translated(_of_array(image), mask), like=image)

    def _translated(self, image: Image, mask: Array | None) -> Image:
        if mask is None:
            return self.translator(image)
        if self.translator.model.export.takes != "masked":
            raise UsageError("mask: this model takes whole images; it fills in no missing parts")
        found = np.asarray(mask)
        missing = found if found.dtype == np.bool_ else found > _largest(found.dtype) / 2
        if missing.shape != image.pixels.shape[:2]:
            raise UsageError(f"mask of shape {found.shape}: give {image.pixels.shape[:2]}, as the image")
        return self.translator.inpaint(image, missing)


def _of_array(array: Array) -> Image:
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        what = getattr(array, "shape", type(array).__name__)
        raise UsageError(f"{what} is no image: give [H, W], [H, W, 1], [H, W, 3], [H, W, 4] or a Pillow image")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"an image of {array.dtype}: give uint8, uint16, or floats in [0, 1]")
    samples = array.reshape(*array.shape[:2], -1)
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(samples).all() and samples.min(initial=0) >= 0 and samples.max(initial=1) <= 1):
            raise UsageError("an image of floats that are not all in [0, 1]")
        samples = np.rint(samples.astype(np.float64) * 65535).astype(np.uint16)
    gray = samples.shape[2] == 1
    pixels = np.repeat(samples, 3, axis=2) if gray else np.ascontiguousarray(samples[..., :3])
    return Image(pixels, np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None, gray)


def _to_array(image: Image, like: Array) -> Array:
    """An image as an array of the dtype and channels of the one that it was made of."""
    pixels = image.pixels
    if image.gray:
        pixels = pixels[..., 0] if like.ndim == 2 else pixels[..., :1]
    if image.alpha is not None:
        pixels = np.dstack([pixels, image.alpha])
    if np.issubdtype(like.dtype, np.floating):
        return (pixels / _largest(pixels.dtype)).astype(like.dtype)
    return np.ascontiguousarray(pixels)


def _of_pillow(image: PIL.Image.Image) -> Image:
    if image.mode.startswith("I;16"):
        return _of_array(np.asarray(image).astype(np.uint16))
    gray = image.mode in ("1", "L", "LA")
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    samples = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    alpha = np.ascontiguousarray(samples[..., 3]) if transparent else None
    return Image(np.ascontiguousarray(samples[..., :3]), alpha, gray)


def _to_pillow(image: Image) -> PIL.Image.Image:
    pixels: Pixels = image.pixels[..., 0] if image.gray else image.pixels
    if image.alpha is not None:
        pixels = np.dstack([pixels, image.alpha])
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        pixels = np.rint(pixels / 257).astype(np.uint8)  # Pillow has 16 bits for gray images only
    return PIL.Image.fromarray(np.ascontiguousarray(pixels))


def _largest(dtype: npt.DTypeLike) -> float:
    kind = np.dtype(dtype)
    return 1.0 if np.issubdtype(kind, np.floating) else float(np.iinfo(cast(Any, kind)).max)
