"""What happens between two journal rows, measured without making the device wait."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor


class RunningMeans:
    """Means of scalars over a log interval, summed on their device: reading them is the only synchronisation."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, values: Mapping[str, Tensor]) -> None:
        for key, value in values.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value
            self._counts[key] += 1

    def take(self) -> dict[str, float]:
        """The means since the last call, which start again."""
        means = {key: float(total) / self._counts[key] for key, total in self._sums.items()}
        self.__init__()  # type: ignore[misc]
        return means


class Interval:
    """What happened since the last journal row: means of the losses, time, time spent waiting for data."""

    def __init__(self, step: int) -> None:
        self.means = RunningMeans()
        self._step, self._start, self._waited = step, time.monotonic(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent within counts as waiting for data."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent within is not the training's: validation, sample sheets and saves say nothing of its speed."""
        start = time.monotonic()
        yield
        self._start += time.monotonic() - start

    def has_steps(self, step: int) -> bool:
        """Whether steps before ``step`` are in no row yet."""
        return step > self._step

    def take(self, step: int, images_per_step: int) -> dict[str, float]:
        """The interval's figures; a new interval begins."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        figures = {
            **self.means.take(),
            "images_per_second": (step - self._step) * images_per_step / seconds,
            "data_wait_share": self._waited / seconds,
        }
        self._step, self._start, self._waited = step, time.monotonic(), 0.0
        return figures
