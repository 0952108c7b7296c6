"""The order of samples is a function of seed and position, so that resuming is starting there."""

from __future__ import annotations

from itertools import islice

import pytest

from gantools.data.loading.sampler import BatchSampler, EndlessSampler, SampleKey, sample_rng


def first(length: int, count: int, **changes: int) -> list[list[SampleKey]]:
    arguments = {"batch_images": 4, "start_batch": 0, "seed": 1} | changes
    return list(islice(BatchSampler(length, **arguments), count))


def test_streams_of_different_samples_differ_and_repeat() -> None:
    drawn = {key: float(sample_rng(*key).random()) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]}
    assert len(set(drawn.values())) == 4
    assert float(sample_rng(0, 1, 0).random()) == drawn[(0, 1, 0)]


def test_every_epoch_visits_each_image_once_in_its_own_order_in_full_batches() -> None:
    batches = first(7, 21, seed=5)
    assert {len(batch) for batch in batches} == {4}
    keys = [key for batch in batches for key in batch]
    assert [key.epoch for key in keys] == [number // 7 for number in range(84)]
    orders = [tuple(key.index for key in keys[start : start + 7]) for start in range(0, 84, 7)]
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(7))}
    assert len(set(orders)) == 12


@pytest.mark.parametrize("start", [1, 2, 5, 9])
def test_starting_later_gives_the_same_batches(start: int) -> None:
    assert first(7, 4, start_batch=start) == first(7, 4 + start)[start:]


def test_two_ranks_together_are_one_with_the_double_batch() -> None:
    both = [first(9, 5, batch_images=2, rank=rank, ranks=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*both, strict=True)] == first(9, 5)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        EndlessSampler(0, seed=1)
