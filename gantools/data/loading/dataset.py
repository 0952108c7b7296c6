"""What a data set is: files found once, images decoded on request, samples that depend on their key alone."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from gantools.data.folders.layout import Item, Layout
from gantools.data.folders.search import Split
from gantools.data.folders.streamed import StreamedItems
from gantools.data.loading import sampler
from gantools.data.loading.sampler import Parts, SampleKey
from gantools.images.image import Pixels
from gantools.images.io import shards

if TYPE_CHECKING:
    from gantools.data.loading.batches import Batch

Images: TypeAlias = tuple[Pixels, ...]


class Dataset(ABC):
    """Samples on request: ``dataset[SampleKey(epoch, index)]`` is the same in every process, at every time.

    A subclass finds files (``find``), decodes those of one item (``load``), and makes a sample of what was decoded
    (``sample``): a named tuple of uint8 HWC images with the fields of ``batch``, and ``name``. Validation samples do
    not depend on the epoch. Reading one raises ImageError when its file cannot be used.
    """

    batch: ClassVar[type[Batch]]
    options: Any
    teachers: Sequence[Mapping[str, Any]] = ()
    """Whose results are targets: file, sha256, and where known format, origin and licence."""

    def __init__(self, options: Any, split: Split, seed: int) -> None:
        """Find the files. Raises DataError when there are none, or not what is needed."""
        self.options, self.seed, self.training = options, seed, split == "training"
        self.layout = self.find(split)
        self.items: Sequence[Item] = self.layout.items
        self.max_unreadable_share = options.max_unreadable_share
        self._cache = BoundedCache(options.cache_megabytes)

    @abstractmethod
    def find(self, split: Split) -> Layout:
        """The files of a split."""

    @abstractmethod
    def load(self, index: int) -> Images:
        """The decoded images of an item, kept between epochs: before everything that is random."""

    @abstractmethod
    def sample(self, images: Images, name: str, rng: np.random.Generator) -> Any:
        """A sample of the images of an item. They are read-only."""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> Any:
        return self.sample(self._cache.recall(key.index, self.load), self.items[key.index].name, self.rng(key))

    def rng(self, key: SampleKey) -> np.random.Generator:
        """The random numbers of a sample."""
        return sampler.sample_rng(self.seed, key.epoch if self.training else 0, key.index)

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Stack samples of one size. Shapes: (N, H, W, C) uint8."""
        return self.batch.stacked(samples)

    def divide_cache(self, processes: int) -> None:
        """Use only this process's part of the memory for decoded images."""
        self._cache.free_bytes //= processes

    @property
    def parts(self) -> Parts | None:
        """The shards of a set that is read shard by shard."""
        return self.items.parts if isinstance(self.items, StreamedItems) else None

    def describe(self) -> str:
        """One phrase for messages: ``240 A|B images``."""
        return self.layout.describe()


class BoundedCache:
    """Keeps the images that were decoded first until the memory is used up.

    Nothing is evicted: epochs visit every image once, so throwing out the oldest would throw out what is needed next.
    """

    def __init__(self, megabytes: float) -> None:
        self.free_bytes = int(megabytes * 2**20)
        self._kept: dict[int, Images] = {}

    def recall(self, index: int, decode: Callable[[int], Images]) -> Images:
        """The images of ``index``: as kept, or decoded now. They are read-only."""
        if index in self._kept:
            return self._kept[index]
        images = decode(index)
        for image in images:
            image.flags.writeable = False
        size_bytes = sum(image.nbytes for image in images)
        if size_bytes <= self.free_bytes:
            self._kept[index] = images
            self.free_bytes -= size_bytes
        return images


def fingerprint(dataset: Dataset) -> str:
    """A digest of the names and file sizes of a data set: enough to notice that a resumed run has other data."""
    if isinstance(dataset.items, StreamedItems):
        return dataset.items.fingerprint()
    digest = hashlib.sha256()
    for item in dataset.items:
        sizes = " ".join(str(shards.size_bytes(path)) for path in item.files)
        digest.update(f"{item.name!r} {sizes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
