"""Which files of two folders belong together, by their names alone. Nothing here reads a disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath
from typing import TypeAlias, TypeVar

V = TypeVar("V")
Key: TypeAlias = Callable[[str], str]

# Names of the two folders of a paired set: the input first.
PAIR_FOLDERS = (
    ("source", "target"),
    ("a", "b"),
    ("traina", "trainb"),
    ("input", "output"),
    ("input", "target"),
    ("blur", "sharp"),
    ("blurred", "sharp"),
    ("degraded", "clean"),
    ("edges", "photos"),
)
# Words in the name of a folder that say which side of a pair it holds, whatever stands beside them (train_LR_x4).
INPUT_WORDS = frozenset(
    {"source", "input", "inputs", "degraded", "corrupted", "compressed", "lq", "lr", "low", "lowres"}
    | {"blur", "blurred", "blurry", "hazy", "haze", "foggy", "rain", "rainy", "noisy", "noise"}
)
TARGET_WORDS = frozenset(
    {"target", "targets", "output", "outputs", "gt", "hq", "hr", "high", "highres", "truth", "groundtruth"}
    | {"clean", "clear", "sharp", "norain", "reference"}
)
# Words that tell the two files of a pair apart and so are left out when plain names do not match (blur_00, sharp_00).
ROLE_WORDS = (
    frozenset(word for pair in PAIR_FOLDERS for word in pair)
    | INPUT_WORDS
    | TARGET_WORDS
    | {"edge", "photo", "real", "fake"}
)

STEM = "{stem}"
PARTNER_SYNTAX = (
    "'{stem}x4' (one file is called STEM, the other one STEMx4) or 'blur_{stem}:sharp_{stem}' (input:target)"
)
SIMILAR = 0.9
"""Share of two folders' files with a partner, from which on they are taken for the two sides of pairs."""
_SEPARATOR = re.compile(r"(?<=[^/])[_\-. ](?=[^/]+$)")


def paired(
    sources: Mapping[str, V], targets: Mapping[str, V], partner: str | None = None
) -> tuple[dict[str, tuple[V, V]], list[V]]:
    """Pairs by what their names have in common, in the order of ``sources``, and what has no partner.

    Keys are paths without suffix. They are compared as they are, else without regard to case, to role words
    (``blur_00``, ``sharp_00``) or to a scale (``0001x4``), whichever gives most pairs; with ``partner`` as it says.
    """
    ways = list(_by_pattern(sources, targets, partner) if partner else _by_kind(sources, targets))
    a, b = max(ways, key=lambda way: len(way[0].keys() & way[1].keys()))
    pairs = {key: (source, b[key]) for key, source in a.items() if key in b}
    both = {id(value) for pair in pairs.values() for value in pair}
    return pairs, [value for value in (*sources.values(), *targets.values()) if id(value) not in both]


def sides(partner: str) -> tuple[tuple[str, str], ...]:
    """The patterns of input and target that ``data.partner`` may mean. Raises ValueError where it is no pattern."""
    parts = partner.split(":")
    if len(parts) > 2 or "/" in partner or any(part.count(STEM) != 1 for part in parts) or partner == STEM:
        raise ValueError(f"partner: {partner!r} is no pattern; give {PARTNER_SYNTAX}")
    return ((parts[0], parts[1]),) if len(parts) == 2 else ((parts[0], STEM), (STEM, parts[0]))


def share(sources: Iterable[str], targets: Iterable[str], *, of: Callable[[Sequence[int]], int]) -> float:
    """The share of files with a partner, ``of`` (min or max) the two sides' numbers of files.

    Several inputs of one target that differ by their scale alone (X2/0001x2, X4/0001x4) count once.
    """
    a, b = list(sources), list(targets)
    found = 0.0
    for key in (str.casefold, _bare, unscaled):
        kept = {key(name).casefold() for name in a}, {key(name).casefold() for name in b}
        found = max(found, len(kept[0] & kept[1]) / max(1, of([len(kept[0]), len(kept[1])])))
    return found


def beginnings(stem: str) -> Iterator[str]:
    """What a name begins with, up to each of its separators: ``1400_1_0.9`` → ``1400``, ``1400_1``, ``1400_1_0``."""
    return (stem[: match.start()] for match in _SEPARATOR.finditer(stem))


def versions(sources: Sequence[str], targets: Sequence[str]) -> bool:
    """Whether nearly every name goes on behind that of a target (1400_1_0.9, 1400_2_0.8 of 1400)."""
    known = set(targets)
    begun = [known.intersection(beginnings(name)) for name in sources]
    used = set[str]().union(*begun)
    return sum(map(bool, begun)) >= SIMILAR * len(begun) and len(used) >= SIMILAR * len(known)


def extension(names: Sequence[str], others: Sequence[str]) -> str | None:
    """What nearly all ``others`` have behind the ``names`` (``_mask``, ``-sz1``), if it is one word for all."""
    known = set(names)
    found = Counter(name[len(start) :] for name in others for start in beginnings(name) if start in known)
    words = [(count, end) for end, count in found.items() if re.search("[A-Za-z]", end)]
    count, end = max(words, default=(0, ""))
    return end if count >= max(2, SIMILAR * max(len(known), len(others))) else None


def suggested(sources: Sequence[str], targets: Sequence[str]) -> str | None:
    """The ``data.partner`` that gives nearly all of these files (or the first 200) a partner, if any does."""
    pattern = pattern_of(sources, targets)
    return None if pattern is None else pattern.removesuffix(f":{STEM}").removeprefix(f"{STEM}:")


def pattern_of(sources: Sequence[str], targets: Sequence[str]) -> str | None:
    """``suggested``, with both sides written out."""
    sources, targets = sources[:200], targets[:200]
    for source in sources[:1]:
        for target in targets[:20]:
            a, b = PurePosixPath(source).name, PurePosixPath(target).name
            common = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
            stem = a[common.a : common.a + common.size].strip("_-. ")
            if not stem:
                continue
            pattern = f"{a.replace(stem, STEM, 1)}:{b.replace(stem, STEM, 1)}"
            one, other = dict.fromkeys(sources, 0), dict.fromkeys(targets, 0)
            kept = [way[0].keys() & way[1].keys() for way in _by_pattern(one, other, pattern)]
            if len(kept[0]) >= max(2, SIMILAR * max(len(one), len(other))):
                return pattern
    return None


def _by_kind(sources: Mapping[str, V], targets: Mapping[str, V]) -> Iterator[tuple[dict[str, V], dict[str, V]]]:
    """Both sides' files by what is compared; where two would become one, this side stays as it is."""
    for key in (str, str.casefold, _bare, lambda name: _bare(name).casefold(), unscaled):
        made = [{key(name): value for name, value in side.items()} for side in (sources, targets)]
        kept = [
            one if len(one) == len(side) and "" not in one else dict(side)
            for one, side in zip(made, (sources, targets), strict=True)
        ]
        yield kept[0], kept[1]


def _by_pattern(
    sources: Mapping[str, V], targets: Mapping[str, V], partner: str
) -> Iterator[tuple[dict[str, V], dict[str, V]]]:
    for source, target in sides(partner):
        yield _stems(sources, source), _stems(targets, target)


def _stems(names: Mapping[str, V], pattern: str) -> dict[str, V]:
    """What stands for ``{stem}`` in each name that the pattern fits."""
    before, _, after = pattern.partition(STEM)
    fits = re.compile(f"{re.escape(before)}(.+){re.escape(after)}", re.IGNORECASE)
    found = ((PurePosixPath(name).parent, fits.fullmatch(PurePosixPath(name).name), names[name]) for name in names)
    return {(folder / match[1]).as_posix(): value for folder, match, value in found if match}


def _bare(stem: str) -> str:
    """A path without role words: ``deep/blur_00`` → ``deep/00``."""
    parts = (
        [word for word in re.split(r"[_\-. ]+", part) if word.lower() not in ROLE_WORDS] for part in stem.split("/")
    )
    return "/".join("_".join(words) for words in parts)


def unscaled(stem: str) -> str:
    """A path without role words and scales: ``X4/0001x4`` → ``0001``."""
    *folders, name = _bare(stem).casefold().split("/")
    kept = [folder for folder in folders if not re.fullmatch(r"x\d", folder)]
    return "/".join([*kept, re.sub(r"_?x\d$", "", name)])
