"""The endless order of samples. Its whole state is one number, so resuming is starting at that number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gantools.data import seeds


@dataclass(frozen=True)
class SampleKey:
    """Which image, seen for which time: all that a sample depends on besides the run's seed."""

    epoch: int
    index: int


class EndlessSampler:
    """Sample number n is the image at position ``n % length`` of epoch ``n // length``; each epoch is reshuffled."""

    def __init__(self, length: int, seed: int) -> None:
        if length < 1:
            raise ValueError("an empty data set has no samples")
        self.length = length
        self.seed = seed
        self._epoch = -1
        self._order = seeds.permutation(seed, 0, 0)

    def key(self, sample: int) -> SampleKey:
        """The key of sample number ``sample``, counted from the start of the run."""
        epoch, position = divmod(sample, self.length)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, seeds.permutation(self.seed, epoch, self.length)
        return SampleKey(epoch, int(self._order[position]))


class BatchSampler:
    """Endless lists of sample keys from batch number ``start_batch`` on.

    Batches run across the edges of epochs: all have the same size, and a set smaller than a batch works.
    Of ``ranks`` processes each takes its own ``batch_images`` consecutive samples of every step.
    """

    def __init__(
        self, length: int, *, batch_images: int, start_batch: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.sampler = EndlessSampler(length, seed)
        self.batch_images = batch_images
        self.start_batch = start_batch
        self.rank = rank
        self.ranks = ranks

    def __iter__(self) -> Iterator[list[SampleKey]]:
        batch = self.start_batch
        while True:
            first = (batch * self.ranks + self.rank) * self.batch_images
            yield [self.sampler.key(sample) for sample in range(first, first + self.batch_images)]
            batch += 1
