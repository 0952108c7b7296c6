"""What a journal row says of speed."""

from __future__ import annotations

import pytest

from gantools.training import interval
from gantools.training.interval import Interval


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which passes only by hand."""
    now = [100.0]
    monkeypatch.setattr(interval.time, "monotonic", lambda: now[0])
    return now


def test_speed_is_of_the_training_alone(clock):
    measured = Interval(0)
    with measured.waiting():
        clock[0] += 1
    clock[0] += 3
    with measured.paused():  # a validation
        clock[0] += 50
    figures = measured.take(10, images_per_step=2)
    assert figures["images_per_second"] == 20 / 4
    assert figures["data_wait_share"] == 1 / 4


def test_a_pause_after_a_row_does_not_slow_the_next_one(clock):
    measured = Interval(0)
    clock[0] += 1
    measured.take(1, images_per_step=1)
    with measured.paused():
        clock[0] += 9
    clock[0] += 2
    assert measured.take(2, images_per_step=1)["images_per_second"] == 1 / 2
