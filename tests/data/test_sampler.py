"""The order of samples is a function of seed and position, so that resuming is starting there."""

from __future__ import annotations

from itertools import islice

import pytest

from gantools.data.loading import sampler
from gantools.data.loading.sampler import BatchSampler, EndlessSampler, SampleKey


def first(length: int, count: int, **changes: int) -> list[list[SampleKey]]:
    arguments = {"batch_images": 4, "start_batch": 0, "seed": 1} | changes
    return list(islice(BatchSampler(length, **arguments), count))


def test_streams_of_different_samples_differ_and_repeat() -> None:
    drawn = {key: float(sampler.sample_rng(*key).random()) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]}
    assert len(set(drawn.values())) == 4
    assert float(sampler.sample_rng(0, 1, 0).random()) == drawn[(0, 1, 0)]


def test_every_epoch_visits_each_image_once_in_its_own_order() -> None:
    sampler = EndlessSampler(7, seed=5)
    epochs = [[sampler.key(7 * epoch + position) for position in range(7)] for epoch in range(3)]
    for number, keys in enumerate(epochs):
        assert {key.epoch for key in keys} == {number}
        assert sorted(key.index for key in keys) == list(range(7))
    assert len({tuple(key.index for key in keys) for keys in epochs}) == 3


def test_batches_cross_epochs_and_are_all_full() -> None:
    keys = [key for batch in first(3, 6) for key in batch]
    assert all(len(batch) == 4 for batch in first(3, 6))
    assert [key.epoch for key in keys] == [number // 3 for number in range(24)]


@pytest.mark.parametrize("start", [1, 2, 5, 9])
def test_starting_later_gives_the_same_batches(start: int) -> None:
    assert first(7, 4, start_batch=start) == first(7, 4 + start)[start:]


def test_two_ranks_together_are_one_with_the_double_batch() -> None:
    both = [first(9, 5, batch_images=2, rank=rank, ranks=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*both, strict=True)] == first(9, 5)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        EndlessSampler(0, seed=1)
