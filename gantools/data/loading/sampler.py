"""The endless order of samples. Its whole state is one number, so resuming is starting at that number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SampleKey:
    """Which image, seen for which time: all that a sample depends on besides the run's seed."""

    epoch: int
    index: int


@dataclass(frozen=True, eq=False)
class Parts:
    """The shards of a set that is read shard by shard: how many images each has, and how many are read at a time."""

    images: npt.NDArray[np.int64]
    at_once: int

    @cached_property
    def firsts(self) -> npt.NDArray[np.int64]:
        """The index of each shard's first image, and of one behind the last."""
        return np.concatenate([[0], np.cumsum(self.images)])

    def shard_of(self, index: int) -> int:
        """The shard that an image lies in."""
        return int(np.searchsorted(self.firsts, index, side="right")) - 1


class ShardOrder:
    """An epoch's order of a set in shards, in memory for the shards alone: every image once.

    The shards are shuffled, laid end to end, and cut into ``at_once`` lanes of equal length. Position p of the epoch is
    the next image of lane p modulo ``at_once``, so images of as many shards follow each other, and a lane goes through
    one shard after the other. Within a shard images are shuffled.
    """

    def __init__(self, parts: Parts, seed: int, epoch: int) -> None:
        self._parts, self._seed, self.epoch = parts, seed, epoch
        self._shards = permutation(seed, epoch, len(parts.images))
        self._ends = np.cumsum(parts.images[self._shards])
        self._shuffled: dict[int, tuple[int, np.ndarray]] = {}  # lane → its shard, and the order within

    def __getitem__(self, position: int) -> int:
        """The index of the image at a position."""
        place, lane = divmod(position, self._parts.at_once)
        length, longer = divmod(int(self._ends[-1]), self._parts.at_once)
        place += lane * length + min(lane, longer)
        rank = int(np.searchsorted(self._ends, place, side="right"))
        shard = int(self._shards[rank])
        images = int(self._parts.images[shard])
        if self._shuffled.get(lane, (-1,))[0] != shard:
            self._shuffled[lane] = shard, _stream(self._seed, _ORDER, self.epoch, 1 + shard).permutation(images)
        within = self._shuffled[lane][1][place - int(self._ends[rank]) + images]
        return int(self._parts.firsts[shard] + within)

    def after(self, shard: int) -> int:
        """The shard that follows in the lane."""
        rank = int(np.flatnonzero(self._shards == shard)[0])
        return int(self._shards[(rank + 1) % len(self._shards)])


class EndlessSampler:
    """Sample number n is the image at position ``n % length`` of epoch ``n // length``; each epoch is reshuffled.

    Of a set in ``parts`` the order is that of ``ShardOrder``.
    """

    def __init__(self, length: int, seed: int, parts: Parts | None = None) -> None:
        if length < 1:
            raise ValueError("an empty data set has no samples")
        self.length = length
        self.seed = seed
        self._parts = parts
        self._epoch = -1
        self._order: np.ndarray | ShardOrder = permutation(seed, 0, 0)

    def key(self, sample: int) -> SampleKey:
        """The key of sample number ``sample``, counted from the start of the run."""
        epoch, position = divmod(sample, self.length)
        if epoch != self._epoch:
            parts, self._epoch = self._parts, epoch
            self._order = ShardOrder(parts, self.seed, epoch) if parts else permutation(self.seed, epoch, self.length)
        return SampleKey(epoch, int(self._order[position]))


class BatchSampler:
    """Endless lists of sample keys from batch number ``start_batch`` on.

    Batches run across the edges of epochs: all have the same size, and a set smaller than a batch works.
    Of ``ranks`` processes each takes its own ``batch_images`` consecutive samples of every step; of a set in ``parts``
    every ``ranks``-th one, so that it meets only its share of the lanes where their number is a multiple of ``ranks``.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_images: int,
        start_batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        parts: Parts | None = None,
    ) -> None:
        self.sampler = EndlessSampler(length, seed, parts)
        self.batch_images = batch_images
        self.start_batch = start_batch
        self.rank = rank
        self.ranks = ranks
        self._strided = parts is not None

    def __iter__(self) -> Iterator[list[SampleKey]]:
        batch = self.start_batch
        while True:
            step = batch * self.ranks * self.batch_images
            own = slice(self.rank, None, self.ranks) if self._strided else self._consecutive()
            yield [self.sampler.key(sample) for sample in range(step, step + self.ranks * self.batch_images)[own]]
            batch += 1

    def _consecutive(self) -> slice:
        return slice(self.rank * self.batch_images, (self.rank + 1) * self.batch_images)


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
