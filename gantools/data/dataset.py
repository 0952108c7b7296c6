"""What a data set is, and what every one shares: which files belong to which split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gantools.data import layout, split
from gantools.data.layout import Item, Layout
from gantools.data.options import DataOptions
from gantools.data.sampler import SampleKey
from gantools.data.split import Split
from gantools.errors import DataError
from gantools.files import expanded
from gantools.images import shards

if TYPE_CHECKING:
    from gantools.data.batches import Batch


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
        """One phrase for messages: ``240 A|B pictures``."""
        ...


def gather(options: DataOptions, wanted: Split, find: Callable[[Path], Layout]) -> Layout:
    """The files of one split: a folder of their own (train, val …; data.validation_dir) or a share of all.

    Raises DataError when no folder is given, or a folder does not hold what is needed.
    """
    roots = folders(options)
    if options.validation_dir is not None:
        validation = find(Path(options.validation_dir))
        return validation if wanted == "validation" else without(find_all(roots, find), validation)
    own = {name: [layout.split_folder(root, name) for root in roots] for name in ("training", "validation")}
    if all(own["training"]) and all(own["validation"]):
        return find_all([folder for folder in own[wanted] if folder], find)
    everything = find_all([train or root for train, root in zip(own["training"], roots, strict=True)], find)
    return share_of(everything, options, wanted)


def share_of(everything: Layout, options: DataOptions, wanted: Split) -> Layout:
    """One split's share of a layout."""
    kept = split.share(everything.items, wanted, validation_share=options.validation_share, seed=options.split_seed)
    return replace(everything, items=kept)


def folders(options: DataOptions) -> tuple[Path, ...]:
    """The configured folders. Raises DataError when there is none."""
    names = (options.dir,) if isinstance(options.dir, str) else options.dir
    if not names:
        raise DataError("data.dir: no folder of training images; give one with --data DIR")
    return tuple(expanded(name) for name in names)


def fingerprint(dataset: Dataset) -> str:
    """A digest of the names and file sizes of a data set: enough to notice that a resumed run has other data."""
    digest = hashlib.sha256()
    for item in dataset.items:
        sizes = " ".join(str(shards.size_bytes(path)) for path in item.files)
        digest.update(f"{item.name!r} {sizes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def find_all(roots: Sequence[Path], find: Callable[[Path], Layout]) -> Layout:
    """The files of several folders as one layout; with more than one, names begin with their folder's."""
    found = [find(root) for root in roots]
    if len({each.kind for each in found}) > 1:
        kinds = ", ".join(f"'{root}': {each.describe()}" for root, each in zip(roots, found, strict=True))
        raise DataError(f"data.dir: the folders are laid out differently ({kinds}); give data.layout, or one of them")
    if len(found) == 1:
        return found[0]
    named = [
        replace(item, name=f"{root}/{item.name}")
        for root, each in zip(roots, found, strict=True)
        for item in each.items
    ]
    notes = "; ".join(dict.fromkeys(each.note for each in found if each.note))
    return Layout(found[0].kind, tuple({item.name: item for item in named}.values()), notes)


def without(training: Layout, validation: Layout) -> Layout:
    """Training files that are not validation files too, as when one folder lies in the other."""
    held_out = {path.resolve() for item in validation.items for path in item.files}
    kept = tuple(item for item in training.items if held_out.isdisjoint(path.resolve() for path in item.files))
    if not kept:
        raise DataError(
            "data.validation_dir: holds every training image; give another folder, or none to split off a share"
        )
    return replace(training, items=kept)
