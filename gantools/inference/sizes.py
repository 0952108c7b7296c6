"""How large inputs and results may be."""

from __future__ import annotations

from gantools.errors import ImageError
from gantools.images import reader

OUTPUT_PIXELS_PER_MAX_PIXELS = 4
"""An output may have this many times ``max_pixels``, so that ×4 of an ordinary photo is within the limit."""


def require_output(width: int, height: int, scale: int, max_pixels: int | None) -> None:
    """Raise ImageError when ``scale`` times an image of this size is over the limit for results.

    ``max_pixels`` is the limit for inputs; None: the reader's.
    """
    width, height = width * scale, height * scale
    limit = OUTPUT_PIXELS_PER_MAX_PIXELS * (reader.MAX_PIXELS if max_pixels is None else max_pixels)
    if width * height > limit:
        raise ImageError(
            f"the result of {width}×{height} would be {width * height:,} pixels, over the limit of {limit:,}; "
            "raise it with --max-pixels"
        )
