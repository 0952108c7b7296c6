"""Resolution as files state it."""

from __future__ import annotations

_METRES_PER_INCH = 0.0254


def per_metre(dpi: tuple[float, float]) -> tuple[int, int]:
    """Dots per metre of dots per inch, across and down."""
    return round(dpi[0] / _METRES_PER_INCH), round(dpi[1] / _METRES_PER_INCH)
