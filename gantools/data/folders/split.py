"""Which files belong to training and which to validation: a folder of their own, or a share of all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from gantools.data.folders import layout, search, streamed
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.options.datasets import BlurredData, DataOptions, PairedData
from gantools.errors import DataError
from gantools.files import expanded
from gantools.jobs.remote import is_remote, located


class Named(Protocol):
    """Anything with a name that is unique within its data set."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def share(items: Sequence[N], split: Split, *, validation_share: float, seed: int) -> tuple[N, ...]:
    """The items of one split, in their given order.

    Which side an item falls on depends on the names and the seed, not on the order: items are ranked by a seeded hash.
    Raises DataError when both sides cannot get an item.
    """
    count = round(len(items) * validation_share)
    if validation_share > 0:
        if len(items) < 2:
            raise DataError(
                "data.validation_share: one image cannot be split; "
                "give data.validation_dir, or set data.validation_share=0"
            )
        count = min(max(count, 1), len(items) - 1)
    chosen = {item.name for item in ranked(items, seed)[:count]}
    return tuple(item for item in items if (item.name in chosen) == (split == "validation"))


def ranked(items: Sequence[N], seed: int) -> list[N]:
    """The items in an order that their names and the seed decide: the first are the ones kept aside."""
    return sorted(items, key=lambda item: _rank(item.name, seed))


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:".encode() + name.encode(errors="surrogateescape")).digest()


def gather(options: DataOptions, wanted: Split, find: Callable[[Path], Layout]) -> Layout:
    """The files of one split: a folder of their own (train, val …; data.validation_dir) or a share of all.

    Raises DataError when no folder is given, or a folder does not hold what is needed.
    """
    if any(map(streamed.is_one, _named(options))):
        return _gather_streamed(options, wanted, find)
    roots = folders(options)
    if options.validation_dir is not None:
        validation = find(Path(options.validation_dir))
        return validation if wanted == "validation" else without(find_all(roots, find), validation)
    own = {name: [search.split_folder(root, name) for root in roots] for name in ("training", "validation")}
    if all(own["training"]) and all(own["validation"]):
        return find_all([folder for folder in own[wanted] if folder], find)
    everything = find_all([train or root for train, root in zip(own["training"], roots, strict=True)], find)
    return share_of(everything, options, wanted)


def _gather_streamed(options: DataOptions, wanted: Split, find: Callable[[Path], Layout]) -> Layout:
    """``gather`` of sets in shards: the validation images are a folder of their own, or those of some shards."""
    own = options.validation_dir
    if wanted == "validation" and own is not None and not streamed.is_one(own):
        return find(Path(own))
    names = (own,) if wanted == "validation" and own else _named(options)
    found: Sequence[streamed.Shard] = streamed.listed(names)
    if own is None:
        try:
            found = share(found, wanted, validation_share=options.validation_share, seed=options.split_seed)
        except DataError as error:
            raise DataError(str(error).replace("image", "shard", 1)) from error
    return Layout("photos", streamed.StreamedItems(found, options.shards), f"in {len(found)} shards")


def gather_pairs(
    options: PairedData | BlurredData,
    wanted: Split,
    source: str | None,
    target: str | None,
    find: Callable[[Path], Layout],
) -> Layout:
    """``gather``, or the pairs of two folders where these are given one by one. Raises DataError."""
    if source is None or target is None:
        found = gather(options, wanted, find)
        if isinstance(found.items, streamed.StreamedItems) and options.layout not in ("auto", "photos"):
            raise DataError(
                f"data.layout={options.layout}: sets packed with --stream hold photos; pack pairs without it"
            )
        return found
    pairs = layout.find_pairs(expanded(source), expanded(target), options.partner)
    if options.validation_dir is None:
        return share_of(pairs, options, wanted)
    if wanted == "training":
        return pairs
    return layout.find(Path(options.validation_dir), "folders", partner=options.partner)


def share_of(everything: Layout, options: DataOptions, wanted: Split) -> Layout:
    """One split's share of a layout."""
    kept = share(everything.items, wanted, validation_share=options.validation_share, seed=options.split_seed)
    return replace(everything, items=kept)


def folders(options: DataOptions) -> tuple[Path, ...]:
    """The configured folders. Raises DataError when there is none, or one lies elsewhere."""
    names = _named(options)
    if away := [name for name in names if is_remote(name)]:
        raise DataError(f"data.dir: '{located(away[0])}': {streamed.SINGLE}")
    return tuple(expanded(name) for name in names)


def _named(options: DataOptions) -> tuple[str, ...]:
    names = (options.dir,) if isinstance(options.dir, str) else options.dir
    if not names:
        raise DataError("data.dir: no folder of training images; give one with --data DIR")
    return names


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
