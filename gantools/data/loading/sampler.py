"""The endless order of samples. Its whole state is one number, so resuming is starting at that number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


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
        self._order = permutation(seed, 0, 0)

    def key(self, sample: int) -> SampleKey:
        """The key of sample number ``sample``, counted from the start of the run."""
        epoch, position = divmod(sample, self.length)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(self.seed, epoch, self.length)
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


_SAMPLE, _ORDER, _SIDE, _NAME = 0, 1, 2, 3


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one sample in one epoch: the same for any number of workers and ranks."""
    return _stream(seed, _SAMPLE, epoch, index)


def file_rng(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one file, whatever lies beside it."""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return _stream(seed, _NAME, int.from_bytes(digest[:4]), int.from_bytes(digest[4:8]))


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order in which an epoch visits ``length`` images."""
    return _stream(seed, _ORDER, epoch, 0).permutation(length)


def side_stream(seed: int, number: int) -> int:
    """The seed of another random stream of the run, which neither samples nor first weights draw from."""
    return int(_stream(seed, _SIDE, number, 0).integers(2**63))


def _stream(seed: int, purpose: int, epoch: int, index: int) -> np.random.Generator:
    # A spawn key, unlike entropy, tells (1,) from (1, 0); its fixed length keeps all streams apart.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(purpose, epoch, index))))
