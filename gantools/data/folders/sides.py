"""Folders that hold the two sides of pairs, found by name at any depth, and folders that may be.

A set as it is downloaded keeps its pairs in sub-folders (``GOPR1/blur``, ``GOPR1/sharp``) or below names of its own
(``DIV2K_train_LR_bicubic``, ``DIV2K_train_HR``). Nothing here reads a disk.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

from gantools.data.folders import pairing
from gantools.data.folders.pairing import INPUT_WORDS, TARGET_WORDS

Alike: TypeAlias = Callable[[PurePosixPath, PurePosixPath, Sequence[str]], bool]
"""Whether same-named images of two folders show the same; the names are paths in both."""

MOST_SIBLINGS = 6
"""Folders of one parent that are compared; with more of them they are classes or scenes."""
SPLIT_WORDS = frozenset({"train", "training", "val", "valid", "validation", "test"})
_BESIDE = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "ground", "res"})
"""Words beside a role word that say nothing."""
_WHOLE = {"edges": False, "photos": True}
"""Whole names that say which side a folder holds (True: targets); among other words they do not."""


@dataclass(frozen=True)
class FolderPair:
    """Two sub-folders of ``parent`` with the two sides of pairs. ``directed``: the second is the truth of the first.

    ``others`` are folders beside them. ``matching`` is false where their names say so but their files' do not.
    """

    parent: PurePosixPath
    source: str
    target: str
    directed: bool = True
    others: tuple[str, ...] = ()
    matching: bool = True


class _Role(NamedTuple):
    """What a folder's name says: the input of pairs or their target, and the words that are left."""

    target: bool
    rest: frozenset[str]


_INPUTS_IN_FILES, _TARGETS_IN_FILES = INPUT_WORDS | {"fake"}, TARGET_WORDS | {"real"}
"""Words in the names of files: pix2pix's authors' program writes its results as ``1_fake_B`` and ``1_real_B``."""

Children: TypeAlias = dict[str, list[str]]
"""Sub-folders with images, and the paths of these in them, without suffix."""


def find(names: Sequence[str], alike: Alike) -> tuple[tuple[FolderPair, ...], tuple[FolderPair, ...]]:
    """The pairs of folders among the folders of ``names`` (paths of images), and those that only may be pairs.

    Ambiguous are folders whose files have the same names while their own names do not say which is which.
    """
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    named = tuple(_search(PurePosixPath(), stems, _named))
    above = {parent for pair in named for parent in (pair.parent, *pair.parent.parents)}
    within = {pair.parent / name for pair in named for name in (pair.source, pair.target, *pair.others)}

    def same_names(parent: PurePosixPath, children: Children) -> Iterator[FolderPair]:
        if parent not in above and within.isdisjoint((parent, *parent.parents)):
            yield from _same_names(parent, children, alike)

    return named, tuple(_search(PurePosixPath(), stems, same_names))


def mixed(names: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Inputs and targets of pairs that lie in one folder, if nearly all ``names`` (paths of images) are such.

    What they are is stated by words in the files' names (``rain-001``, ``norain-001``), by a word behind one of the two
    (``01``, ``01_mask``), or by their suffixes alone (``01.jpg``, ``01.png``).
    """
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    once = sorted(set(stems))
    roles = pairing.ROLE_WORDS | _INPUTS_IN_FILES | _TARGETS_IN_FILES
    if len(once) <= (2 - pairing.SIMILAR) * len(stems) / 2 and len(once) > 1:
        return once, once
    sides: dict[bool, dict[str, list[str]]] = {False: defaultdict(list), True: defaultdict(list)}
    for stem in once:
        words = _words(PurePosixPath(stem).name)
        source, target = bool(words & _INPUTS_IN_FILES), bool(words & _TARGETS_IN_FILES)
        if source != target:  # rainy/rain-001 → 001
            parts = [part for part in re.split(r"[^A-Za-z0-9]+", stem) if not _words(part) or _words(part) - roles]
            sides[target][" ".join(parts).casefold()].append(stem)
    both = sides[False].keys() & sides[True].keys()
    inputs, targets = (sorted(stem for key in both for stem in sides[side][key]) for side in (False, True))
    if len(both) > 1 and len(inputs) + len(targets) >= pairing.SIMILAR * len(once):
        return inputs, targets
    begun = {before for stem in once for before in pairing.beginnings(stem)}
    known = [stem for stem in once if stem in begun]
    rest = [stem for stem in once if stem not in begun]
    return (known, rest) if pairing.extension(known, rest) else None


def _search(
    parent: PurePosixPath, stems: Sequence[str], look: Callable[[PurePosixPath, Children], Iterator[FolderPair]]
) -> Iterator[FolderPair]:
    """What ``look`` finds in the folders from ``parent`` downwards; not in those below a find."""
    children: Children = defaultdict(list)
    for stem in stems:
        child, inner, rest = stem.partition("/")
        if inner:
            children[child].append(rest)
    found = list(look(parent, children))
    yield from found
    if not found:
        for child, below in children.items():
            yield from _search(parent / child, below, look)


def _named(parent: PurePosixPath, children: Children) -> Iterator[FolderPair]:
    """Pairs of folders whose names say what they are and whose files have the same names."""
    for source, target in _by_words(children):
        matching = pairing.share(children[source], children[target], of=min) >= pairing.SIMILAR
        if matching or len(children) == 2 or pairing.versions(children[source], children[target]):
            others = tuple(sorted(children.keys() - {source, target}))
            yield FolderPair(parent, source, target, others=others, matching=matching)


def _by_words(children: Children) -> Iterator[tuple[str, str]]:
    """For each folder of targets the folder of inputs whose name has the fewest words more."""
    roles = {name: role for name in sorted(children) if (role := _role(name))}
    inputs = {name: role.rest for name, role in roles.items() if not role.target}
    targets = {name: role.rest for name, role in roles.items() if role.target}
    for target, rest in targets.items():
        fitting = [name for name, own in inputs.items() if own >= rest or len(targets) == 1]
        if fitting:
            yield min(fitting, key=lambda name: (len(inputs[name]), name)), target


def _role(name: str) -> _Role | None:
    if name.lower() in _WHOLE:
        return _Role(_WHOLE[name.lower()], frozenset())
    words = _words(name)
    free = bool(words & {"no", "free"})  # rain_free, no_haze
    source, target = bool(words & INPUT_WORDS) and not free, bool(words & TARGET_WORDS) or free
    if source == target:
        return None
    return _Role(target, words - INPUT_WORDS - TARGET_WORDS - _BESIDE - {"no", "free"})


def _words(name: str) -> frozenset[str]:
    """``DIV2K_train_LR_bicubic`` → div, k, train, lr, bicubic; ``rainyImages`` → rainy, images."""
    parted = re.sub(r"(?<![A-Z])(LR|HR|LQ|HQ|GT)(?![A-Z])", r" \1 ", name)
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", parted)
    return frozenset(word.lower() for word in re.split(r"[^A-Za-z]+", parted) if word)


def _same_names(parent: PurePosixPath, children: Children, alike: Alike) -> Iterator[FolderPair]:
    """Folders side by side with the same names in them: two of them always, of more those that show the same."""
    if not 2 <= len(children) <= MOST_SIBLINGS:
        return
    for a, b in combinations(sorted(children), 2):
        splits = [_words(name) & SPLIT_WORDS for name in (a, b)]
        common = sorted(set(children[a]) & set(children[b]))
        alone = len(children) == 2 and len(children[a]) + len(children[b]) > 2
        same = pairing.share(children[a], children[b], of=max) >= pairing.SIMILAR
        longer = alone and (pairing.extension(children[a], children[b]) or pairing.extension(children[b], children[a]))
        if splits[0] != splits[1] or not (same or longer):
            continue
        if alone or alike(parent / a, parent / b, common):
            yield FolderPair(parent, a, b, directed=False)
            return
