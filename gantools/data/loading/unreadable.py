"""Images that cannot be read: replaced by others, named once, and too many of them stop the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from gantools.data.folders.search import sampled
from gantools.data.folders.streamed import StreamedItems
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import SampleKey
from gantools.errors import DataError, ImageError
from gantools.images.io import reader

MOST_IN_A_ROW = 64


class Unreadable(NamedTuple):
    """An image that was left out; ``reason`` names its file."""

    name: str
    reason: str


class UnreadableFile(ImageError):
    """One file of several that make up a sample cannot be read; ``name`` is the item it is reported as."""

    def __init__(self, name: str, error: ImageError) -> None:
        super().__init__(str(error))
        self.name = name


def read_or_replace(dataset: Dataset, key: SampleKey) -> tuple[Any, tuple[Unreadable, ...]]:
    """The sample of ``key``, or of the next image that can be read, and the images that could not.

    The replacement depends on the key alone, so that it is the same in every process and after a resume.
    Raises DataError when none of the next images can be read.
    """
    failed: list[Unreadable] = []
    for step in range(min(len(dataset), MOST_IN_A_ROW)):
        index = (key.index + step) % len(dataset)
        try:
            return dataset[SampleKey(key.epoch, index)], tuple(failed)
        except ImageError as error:
            failed.append(described(dataset, index, error))
    raise DataError(f"data: {len(failed)} images in a row cannot be read; the first is {failed[0].reason}")


def described(dataset: Dataset, index: int, error: ImageError) -> Unreadable:
    """Which file it was that kept the sample ``index`` from being read."""
    name = error.name if isinstance(error, UnreadableFile) else dataset.items[index].name
    return Unreadable(name, str(error))


def require_readable(dataset: Dataset) -> None:
    """Look at the headers of some files before a run. Raises DataError when too many are no images."""
    failed: list[Unreadable] = []
    items = dataset.items
    for item in items.sampled() if isinstance(items, StreamedItems) else sampled(items):
        try:
            for file in item.files if item.number is None else ():
                reader.probe(file)
        except ImageError as error:
            failed.append(Unreadable(item.name, str(error)))
    UnreadableLog(dataset, warn=lambda _line: None).note(failed)


class UnreadableLog:
    """Counts the files a run could not read, over all workers."""

    def __init__(self, dataset: Dataset, warn: Callable[[str], None]) -> None:
        self._images = len(dataset)
        self._max_share = dataset.max_unreadable_share
        self._warn = warn
        self._seen: dict[str, Unreadable] = {}

    def note(self, failed: Iterable[Unreadable]) -> None:
        """Name new files once. Raises DataError when there are more than data.max_unreadable_share allows."""
        for file in failed:
            if file.name not in self._seen:
                self._seen[file.name] = file
                self._warn(f"left out: {file.reason}")
        count = len(self._seen)
        if count > self._max_share * self._images:
            names = ", ".join(repr(name) for name in list(self._seen)[:5]) + (", …" if count > 5 else "")
            raise DataError(
                f"data: {count} of {self._images} images cannot be read ({names}), more than "
                f"data.max_unreadable_share={self._max_share:g} allows; fix or remove them, or raise it"
            )
