"""One picture to be judged: what a model made, what was made without one, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gantools.images.image import Pixels
    from gantools.images.ops.masks import Mask

MODEL = "model"
"""The candidate that limits are for; the others are what it is to be compared with."""

RESULT = "result"
"""The candidate where two folders are compared and no model is known."""


@dataclass(frozen=True)
class Example:
    """Candidates by name and what they are compared with.

    ``kin`` is another picture of the kind that was wanted, for distances of whole sets where there is no truth.
    """

    name: str
    candidates: Mapping[str, Pixels]
    truth: Pixels
    hole: Mask | None = None
    kin: Pixels | None = None


class Examples(Protocol):
    """Examples on request. Reading one raises ImageError when its picture cannot be used."""

    @property
    def describe(self) -> str:
        """What pictures these are."""
        ...

    @property
    def inputs(self) -> str:
        """How the inputs came about."""
        ...

    @property
    def reference(self) -> str:
        """What the candidates are compared with."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What an example goes by, also when it cannot be read."""
        ...

    def __getitem__(self, index: int) -> Example: ...
