"""One image to be measured: what a model made, what needs no model, and the truth. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gantools.images.image import Pixels
    from gantools.images.ops.masks import Mask

MODEL = "model"
"""The candidate that limits (``--fail-under``) are for, as is ``model, …`` of several inputs; others are baselines."""

RESULT = "result"
"""The candidate where two folders are compared and no model is known."""

TRUTH = "truth"


@dataclass(frozen=True)
class Example:
    """Candidates by name, and the truth they are compared with.

    ``mask`` is True where pixels were missing. ``reference`` is another image of the wanted kind, for distances of
    whole sets where there is no truth (unpaired data). Shapes: uint8 [H, W, 3], bool [H, W].
    """

    name: str
    candidates: Mapping[str, Pixels]
    truth: Pixels
    mask: Mask | None = None
    reference: Pixels | None = None
