"""What a folder is, as the loaders see it: pairs, A|B images, two unpaired domains, or photos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from gantools.data.folders import domains, layout, search
from gantools.data.folders import split as splits
from gantools.data.folders.layout import Item
from gantools.data.folders.search import Split
from gantools.data.options.datasets import LayoutName, PairedData, UnpairedData

Kind: TypeAlias = Literal["photos", "pairs", "ab", "unpaired"]

SAID: dict[Kind, str] = {
    "photos": "photos",
    "pairs": "pairs of files",
    "ab": "A|B images",
    "unpaired": "images of two unpaired domains",
}
_LAYOUTS: dict[Kind, LayoutName] = {"photos": "photos", "pairs": "folders", "ab": "ab"}
_KINDS: dict[layout.Kind, Kind] = {"photos": "photos", "folders": "pairs", "ab": "ab"}
_DOMAIN_WORDS = ("a", "traina", "testa")


@dataclass(frozen=True)
class Recognised:
    """The examples of a data set, one sequence for each domain where there are two."""

    kind: Kind
    sides: tuple[Sequence[Item], ...]
    note: str = ""


def kind_of(folder: Path) -> Kind:
    """What ``folder`` looks like. Folders named as domains (trainA, A) are pairs only if every file has a partner.

    Pairs of small and large images are photos, as super-resolution uses them: the large ones.
    Raises DataError when it is missing, holds no images, or may be one thing or another.
    """
    root = search.split_folder(folder, "training") or folder
    search.require_folder(root)
    pair = layout.named_pair(root)
    if pair and re.split(r"[_\-. ]", pair[0].name.lower(), maxsplit=1)[0] in _DOMAIN_WORDS and layout.match(*pair)[1]:
        return "unpaired"
    if layout.pair_folders(root):
        return "photos" if layout.enlarged(root) else "pairs"
    return _KINDS[layout.find(root).kind]


def examples(folder: Path, kind: Kind, split: Split) -> Recognised:
    """The examples of one split as a loader with default settings finds them. Raises DataError as the loader does."""
    if kind == "unpaired":
        a, b = domains.gather(UnpairedData(dir=str(folder)), split)
        return Recognised(kind, (a.items, b.items))
    options = PairedData(dir=str(folder), layout=_LAYOUTS[kind])
    found = splits.gather(options, split, partial(_found, kind))
    return Recognised(kind, (found.items,), found.note)


def undivided(folder: Path, kind: Kind) -> Recognised:
    """All examples of a folder that has no splits. Raises DataError."""
    if kind == "unpaired":
        pair = layout.domain_folders(folder)
        return Recognised(kind, tuple(layout.all_images(side).items for side in pair))
    return Recognised(kind, (_found(kind, folder).items,))


def _found(kind: Kind, folder: Path) -> layout.Layout:
    return layout.find_photos(folder) if kind == "photos" else layout.find(folder, _LAYOUTS[kind])


def without_partner(folder: Path) -> tuple[Path, ...]:
    """The files of two folders of pairs that have no partner, in every split."""
    roots = [root for split in search.SPLIT_FOLDERS if (root := search.split_folder(folder, split))] or [folder]
    pairs = [pair for root in roots for pair in layout.pair_folders(root)]
    return tuple(path for pair in pairs for path in layout.match(*pair)[1])
