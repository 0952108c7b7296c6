"""The processes that train a run together, as the loop sees them. Alone, every question answers itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """Which process of how many this is, in the whole run and on its computer."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        """The first rank writes and tells; the others only compute."""
        return self.rank == 0


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that ``torchrun`` or ``--nproc`` wrote into the environment; alone where nobody did."""
    if not all(environment.get(name) for name in VARIABLES):
        return Place()
    rank, count, local_rank = (int(environment[name]) for name in VARIABLES[:3])
    return Place(rank, count, local_rank, int(environment.get("LOCAL_WORLD_SIZE", count)))


def may_restart(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether ``torchrun --max-restarts`` will start these processes again when one of them fails."""
    return int(environment.get("TORCHELASTIC_MAX_RESTARTS") or 0) > 0


def attempt(environment: Mapping[str, str] = os.environ) -> int:
    """How often ``torchrun --max-restarts`` started these processes again after one of them had ended."""
    return int(environment.get("TORCHELASTIC_RESTART_COUNT") or 0)


class Ranks(Protocol):
    """What the loop asks of the other processes. Every rank makes the same calls in the same order.

    A call raises PeerError when another rank is gone.
    """

    @property
    def place(self) -> Place: ...

    def begin_alike(self, networks: Iterable[nn.Module]) -> None:
        """Give every rank the first one's parameters and buffers."""

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the ranks."""

    def average_statistics(self, networks: Iterable[nn.Module]) -> None:
        """Replace the running statistics of batch norms by their means over the ranks."""

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each figure's mean over the ranks, which all have the same names."""

    def largest(self, number: int) -> int:
        """The largest of the ranks' numbers."""

    def told_by_first(self, make: Callable[[], T]) -> T:
        """What ``make`` returns on the first rank, where alone it is called. Its failure is everybody's."""

    def gathered(self, value: T) -> list[T]:
        """Every rank's value in order, on every rank."""

    def collected(self, value: T) -> list[T]:
        """Every rank's value in order, on the first rank; nothing elsewhere."""

    def dealt(self, values: list[Any]) -> Any:
        """This rank's value of a list of one for each, which the first rank has."""

    def give_up(self, reason: str) -> None:
        """Leave word for the other ranks why this one is about to end."""


class Alone:
    """One process trains."""

    place = Place()

    def begin_alike(self, networks: Iterable[nn.Module]) -> None:
        pass

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        pass

    def average_statistics(self, networks: Iterable[nn.Module]) -> None:
        pass

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        return dict(values)

    def largest(self, number: int) -> int:
        return number

    def told_by_first(self, make: Callable[[], T]) -> T:
        return make()

    def gathered(self, value: T) -> list[T]:
        return [value]

    def collected(self, value: T) -> list[T]:
        return [value]

    def dealt(self, values: list[Any]) -> Any:
        return values[0]

    def give_up(self, reason: str) -> None:
        pass
