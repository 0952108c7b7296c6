"""Training and validation shares of one folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from gantools.errors import DataError

Split = Literal["training", "validation"]


class Named(Protocol):
    """Anything with a name that is unique within its data set."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def share(items: Sequence[N], split: Split, *, validation_share: float, seed: int) -> tuple[N, ...]:
    """The items of one split, in their given order.

    Which side an item falls on depends on the names and the seed, not on the order: items are ranked by a seeded hash.
    Raises DataError when both sides cannot get an item.
    """
    count = round(len(items) * validation_share)
    if validation_share > 0:
        if len(items) < 2:
            raise DataError(
                "data.validation_share: one image cannot be split; "
                "give data.validation_dir, or set data.validation_share=0"
            )
        count = min(max(count, 1), len(items) - 1)
    chosen = {item.name for item in ranked(items, seed)[:count]}
    return tuple(item for item in items if (item.name in chosen) == (split == "validation"))


def ranked(items: Sequence[N], seed: int) -> list[N]:
    """The items in an order that their names and the seed decide: the first are the ones kept aside."""
    return sorted(items, key=lambda item: _rank(item.name, seed))


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:".encode() + name.encode(errors="surrogateescape")).digest()
