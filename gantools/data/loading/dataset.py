"""What a data set is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gantools.data.folders.layout import Item
from gantools.data.folders.split import Split
from gantools.data.loading.sampler import SampleKey
from gantools.images.io import shards

if TYPE_CHECKING:
    from gantools.data.loading.batches import Batch


class Dataset(Protocol):
    """Samples on request: ``dataset[SampleKey(epoch, index)]`` is the same in every process, at every time.

    Validation samples do not depend on the epoch. Reading one raises ImageError when its file cannot be used.
    """

    max_unreadable_share: float
    items: tuple[Item, ...]

    def __init__(self, options: Any, split: Split, seed: int) -> None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: SampleKey) -> Any: ...

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Stack samples of one size into a batch."""
        ...

    def divide_cache(self, processes: int) -> None:
        """Use only this process's part of the memory for decoded images."""
        ...

    def describe(self) -> str:
        """One phrase for messages: ``240 A|B images``."""
        ...


def fingerprint(dataset: Dataset) -> str:
    """A digest of the names and file sizes of a data set: enough to notice that a resumed run has other data."""
    digest = hashlib.sha256()
    for item in dataset.items:
        sizes = " ".join(str(shards.size_bytes(path)) for path in item.files)
        digest.update(f"{item.name!r} {sizes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
