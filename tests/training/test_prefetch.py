"""One batch ahead, in the order of streams that a GPU needs; a stand-in notes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from gantools.data.loading.batches import Batch
from gantools.errors import DataError
from gantools.training.device.loader import Prefetcher


@dataclass(frozen=True)
class Numbered(Batch):
    number: int


class NotedSide:
    """Notes what is queued where."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        self.events.append("side")
        yield
        self.events.append("back")

    def hand_over(self, batch: Batch) -> None:
        assert isinstance(batch, Numbered)
        self.events.append(f"hand over {batch.number}")


def ahead(numbers: Iterator[int]) -> tuple[Prefetcher[Numbered], NotedSide]:
    side = NotedSide()

    def move(batch: Numbered) -> Numbered:
        side.events.append(f"move {batch.number}")
        return batch

    return Prefetcher(map(Numbered, numbers), move, side), side


def test_the_next_batch_moves_once_the_present_one_is_handed_over() -> None:
    batches, side = ahead(iter(range(9)))
    assert next(batches).number == 0
    assert side.events == ["side", "move 0", "back", "hand over 0", "side", "move 1", "back"]
    assert [batch.number for batch in batches] == list(range(1, 9))


def test_a_failure_comes_when_its_batch_is_due() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        yield 1
        raise DataError("no more images")

    batches, _ = ahead(numbers())
    assert [next(batches).number, next(batches).number] == [0, 1]
    for _ in range(2):
        with pytest.raises(DataError, match="no more images"):
            next(batches)
