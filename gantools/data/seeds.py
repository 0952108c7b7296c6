"""Where randomness in data comes from: never a global state, always f(seed, epoch, index)."""

from __future__ import annotations

import hashlib

import numpy as np

_SAMPLE, _ORDER, _SIDE, _NAME = 0, 1, 2, 3


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one sample in one epoch: the same for any number of workers and ranks."""
    return _stream(seed, _SAMPLE, epoch, index)


def named(seed: int, name: str) -> np.random.Generator:
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
