"""The two sides of an unpaired set: which folders they are, and which of their images belong to a split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from gantools.data.folders import layout, search
from gantools.data.folders.layout import Layout
from gantools.data.folders.search import Split
from gantools.data.folders.split import find_all, folders, share_of, without
from gantools.data.options.datasets import UnpairedData
from gantools.errors import DataError
from gantools.files import expanded
from gantools.images.io import shards

_SPLIT_WORDS = {split: "|".join(sorted(words, key=len, reverse=True)) for split, words in search.SPLIT_FOLDERS.items()}


class Folders(NamedTuple):
    """The folders of domain A and domain B."""

    a: Path
    b: Path


def gather(options: UnpairedData, wanted: Split) -> tuple[Layout, Layout]:
    """The images of A and of B that belong to a split: in folders of their own (testA, testB), or a share of each.

    Raises DataError when a folder is missing or empty, or the two domains cannot be distinguished.
    """
    if options.a is not None and options.b is not None:
        a, b = _images([Folders(_existing("data.a", options.a), _existing("data.b", options.b))])
    else:
        a, b = _images([_of_split(root, "training") for root in folders(options)])
    own: list[Folders | None] = []
    if options.validation_dir is not None:
        own = [_of_split(_existing("data.validation_dir", options.validation_dir), "validation")]
    elif options.a is None:
        own = [of_split(root, "validation") for root in folders(options)]
    held_out = [found for found in own if found]
    if not held_out or len(held_out) < len(own):
        return share_of(a, options, wanted), share_of(b, options, wanted)
    validation_a, validation_b = _images(held_out)
    if wanted == "validation":
        return validation_a, validation_b
    return without(a, validation_a), without(b, validation_b)


def _of_split(root: Path, split: Split) -> Folders:
    """``of_split``, else two folders of whatever split."""
    return of_split(root, split) or Folders(*layout.domain_folders(root))


def of_split(root: Path, split: Split) -> Folders | None:
    """Folders made for one split: testA and testB (or A_test and B_test), or A and B in a folder named test."""
    inner = search.split_folder(root, split)
    if inner is not None:
        return Folders(*layout.domain_folders(inner))
    search.require_folder(root)
    a, b = _named(root, split, "a"), _named(root, split, "b")
    if (a is None) != (b is None):
        alone = (a or b or root).name
        raise DataError(f"data.dir: '{root}': '{alone}' has no counterpart of the other domain beside it")
    return Folders(a, b) if a and b else None


def _named(root: Path, split: Split, domain: Literal["a", "b"]) -> Path | None:
    """The folder called trainA, train_a, A_train or trainA_apples. Raises DataError when there are several."""
    words = f"(?:{_SPLIT_WORDS[split]})"
    pattern = re.compile(rf"(?:{words}[_\-. ]?{domain}|{domain}[_\-. ]{words})(?:[_\-. ].*)?", re.IGNORECASE)
    found = [child for child in shards.folders_in(root) if pattern.fullmatch(child.name)]
    if len(found) > 1:
        names = ", ".join(child.name for child in found)
        raise DataError(f"data.dir: '{root}': {names} are all folders of one domain; choose with data.a and data.b")
    return found[0] if found else None


def _images(sides: Sequence[Folders]) -> tuple[Layout, Layout]:
    a, b = (find_all(side, layout.all_images) for side in zip(*sides, strict=True))
    return a, b


def _existing(key: str, name: str) -> Path:
    path = expanded(name)
    if not shards.is_folder(path):
        raise DataError(f"{key}: '{name}' is no folder; give a folder of images")
    return path
