"""Sentences as vectors without a trained text encoder: hashed bags of words and of pairs of words.

A closed vocabulary of words comes with the vectors, so that a word that a network never saw can be refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from gantools.errors import UsageError
from gantools.registry import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VECTOR_SIZE = 1024
"""As many values as StackGAN's text vectors have."""


def words(caption: str) -> list[str]:
    """The words of a caption in lower case; digits belong to words, punctuation does not."""
    return re.findall(r"[^\W_]+", caption.casefold())


def vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """All words of the captions, sorted."""
    return tuple(sorted({word for caption in captions for word in words(caption)}))


def require_known(caption: str, known: Iterable[str]) -> None:
    """Raise UsageError for a caption without words, or with a word that is not in the vocabulary."""
    vocabulary = set(known)
    found = words(caption)
    if not found:
        raise UsageError(f"text {caption!r}: has no words")
    for word in found:
        if word not in vocabulary:
            raise UsageError(f"text {caption!r}: the model knows no word {word!r}{did_you_mean(word, vocabulary)}")


def encode(caption: str, size: int = VECTOR_SIZE) -> npt.NDArray[np.float32]:
    """A caption's words and pairs of words, each added at a place and with a sign that its hash says; of RMS 1.

    Shapes: [size]. The same caption gives the same vector everywhere. Paper: Weinberger 2009, arXiv 0902.2206.
    """
    import numpy as np

    vector = np.zeros(size, np.float32)
    found = words(caption)
    for term in (*found, *(f"{first} {second}" for first, second in pairwise(found))):
        digest = hashlib.sha256(term.encode()).digest()
        vector[int.from_bytes(digest[:4]) % size] += 1 if digest[4] & 1 else -1
    return vector / max(float(np.sqrt(np.square(vector).mean())), 1e-12)
