"""Precision of the loss terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Widen half-precision network outputs before they are summed; float32 and float64 pass unchanged."""
    return values.float() if values.element_size() < 4 else values
