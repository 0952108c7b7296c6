"""A close look at a data set before it costs a night: every file decoded, every problem named."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gantools.data.folders import layout, search
from gantools.data.loading.workers import each
from gantools.data.options.datasets import DataOptions
from gantools.data.prepare.recognise import SAID, Kind, Recognised, examples, kind_of, without_partner
from gantools.data.prepare.tasks import Size
from gantools.errors import DataError, ImageError
from gantools.images.io import reader, shards
from gantools.jobs.image_files import left_out

FIRST = 5


@dataclass(frozen=True)
class Examined:
    """One file: what its header says, and why it cannot be used, if so."""

    path: Path
    digest: str
    size: Size | None = None
    mode: str | None = None
    flaw: Literal["unreadable", "damaged"] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """What was found. ``problems`` keep a recipe from training; ``remarks`` do not. Examples are counted per domain."""

    folder: Path
    kind: Kind
    training: tuple[int, ...]
    validation: tuple[int, ...]
    files: tuple[Examined, ...]
    unmatched: tuple[Path, ...]
    duplicates: tuple[tuple[Path, ...], ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    note: str = ""


def examine(path: Path) -> Examined:
    """Read one file whole, as training will. Shapes, colours and format are the header's."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Examined(path, "", flaw="unreadable", reason=f"cannot be read: {error.strerror or error}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        header = reader.probe(data, name=str(path))
    except ImageError as error:
        return Examined(path, digest, flaw="unreadable", reason=_reason(error, path))
    size, mode = (header.width, header.height), f"{header.mode} {header.bits} bit"
    try:
        reader.read(data, name=str(path))
    except ImageError as error:
        return Examined(path, digest, size, mode, "damaged", _reason(error, path))
    return Examined(path, digest, size, mode)


def inspect(
    folder: Path, kind: Kind | None, *, workers: int, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Report:
    """Look at every image below ``folder`` and at how they belong together, as ``kind`` or as what they look like.

    Raises DataError when the folder is missing or holds no images.
    """
    search.require_folder(folder)
    kind = kind or kind_of(folder)
    paths = search.image_files(folder)
    files = []
    for examined in each(examine, paths, workers):
        files.append(examined)
        progress(len(files), len(paths))
    sets, problems = _examples(folder, kind)
    unmatched = without_partner(folder) if kind == "pairs" else ()
    duplicates = _duplicates(files)
    problems += [*_too_many_bad(files), *_wrong_sizes(sets, {file.path: file.size for file in files})]
    remarks = [*_said_of_duplicates(duplicates, sets), *_ignored(folder)]
    note = sets[0].note if sets else ""
    counts = [tuple(map(len, each_set.sides)) for each_set in sets] or [(0,), (0,)]
    return Report(
        folder, kind, counts[0], counts[1], tuple(files), unmatched, duplicates, tuple(problems), tuple(remarks), note
    )


def facts(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    sizes = [file.size for file in report.files if file.size]
    bad = {flaw: _named(report, flaw) for flaw in ("unreadable", "damaged")}
    return {
        "folder": str(report.folder),
        "layout": SAID[report.kind],
        "note": report.note,
        "can_train": not report.problems,
        "images": len(report.files),
        "training": list(report.training),
        "validation": list(report.validation),
        "sizes": _summary(sizes) if sizes else None,
        "modes": dict(Counter(file.mode for file in report.files if file.mode).most_common()),
        **bad,
        "unmatched": [str(path) for path in report.unmatched],
        "duplicates": [[str(path) for path in group] for group in report.duplicates],
        "problems": list(report.problems),
        "remarks": list(report.remarks),
    }


def lines(report: Report) -> list[str]:
    """The report for a person; of long lists the first five."""
    stated = facts(report)
    note = f" ({report.note})" if report.note else ""
    found = [
        f"{stated['images']} images, {stated['layout']}{note}: {_sum(report.training)} to train on, "
        f"{_sum(report.validation)} for validation"
    ]
    if stated["sizes"]:
        found += [_sizes_in_words(stated["sizes"])]
        found += ["modes: " + ", ".join(f"{count} {mode}" for mode, count in stated["modes"].items())]
    for flaw in ("unreadable", "damaged"):
        found += [f"{flaw}: {_first(stated[flaw])}"] if stated[flaw] else []
    found += [f"without partner: {_first(stated['unmatched'])}"] if stated["unmatched"] else []
    found += [f"the same content: {' = '.join(group)}" for group in stated["duplicates"][:FIRST]]
    return [*found, *report.remarks]


def _reason(error: ImageError, path: Path) -> str:
    return str(error).removeprefix(f"{str(path)!r}: ")


def _examples(folder: Path, kind: Kind) -> tuple[list[Recognised], list[str]]:
    """Training and validation examples, or what keeps a loader from finding them."""
    try:
        return [examples(folder, kind, "training"), examples(folder, kind, "validation")], []
    except DataError as error:
        return [], [str(error)]


def _too_many_bad(files: Sequence[Examined]) -> list[str]:
    """A run stops over bad files; the loader's own limit decides."""
    bad = [file for file in files if file.flaw]
    allowed = DataOptions.model_fields["max_unreadable_share"].default
    if len(bad) <= allowed * len(files):
        return []
    return [
        f"{len(bad)} of {len(files)} images cannot be read, more than data.max_unreadable_share={allowed:g} allows; "
        "fix or remove them, or raise it"
    ]


def _wrong_sizes(sets: Iterable[Recognised], sizes: Mapping[Path, Size | None]) -> list[str]:
    """Pairs of different sizes and halves that are not equal, among all examples and not only those a loader checks."""
    wrong = [
        item.name
        for found in sets
        for side in found.sides
        for item in side
        if found.kind in ("pairs", "ab") and not _fits(found.kind, [sizes.get(path) for path in item.files])
    ]
    what = (
        "whose two images differ in size"
        if any(found.kind == "pairs" for found in sets)
        else "of an odd width or not about 2:1"
    )
    return [f"{len(wrong)} examples {what}: {_first(wrong)}"] if wrong else []


def _fits(kind: Kind, sizes: Sequence[Size | None]) -> bool:
    known = [size for size in sizes if size]
    return all(layout.are_halves(*size) for size in known) if kind == "ab" else len(set(known)) < 2


def _duplicates(files: Iterable[Examined]) -> tuple[tuple[Path, ...], ...]:
    """Groups of files with the same bytes."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.digest:
            groups[file.digest].append(file.path)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _said_of_duplicates(duplicates: Sequence[Sequence[Path]], sets: Sequence[Recognised]) -> list[str]:
    """How many there are, and whether validation shows what training has seen."""
    if not duplicates:
        return []
    remarks = [f"{sum(map(len, duplicates)) - len(duplicates)} files are copies of others"]
    sides = [{path for side in found.sides for item in side for path in item.files} for found in sets]
    leaking = sum(all(not seen.isdisjoint(group) for seen in sides) for group in duplicates) if len(sides) == 2 else 0
    return remarks + ([f"{leaking} of them lie in training and in validation"] if leaking else [])


def _ignored(folder: Path) -> list[str]:
    packed = shards.files_below(folder) is not None
    return [] if packed else left_out([folder], Path(os.devnull), recursive=True).lines()


def _summary(sizes: Sequence[Size]) -> dict[str, Any]:
    (commonest, count), *_ = Counter(sizes).most_common(1)
    smallest, largest = (choose(sizes, key=lambda size: size[0] * size[1]) for choose in (min, max))
    return {
        "smallest": _shown(smallest),
        "largest": _shown(largest),
        "commonest": _shown(commonest),
        "commonest_share": round(count / len(sizes), 4),
        "distinct": len(set(sizes)),
        "median_width": statistics.median(width for width, _ in sizes),
        "median_height": statistics.median(height for _, height in sizes),
        "shortest_px": min(min(size) for size in sizes),
        "longest_px": max(max(size) for size in sizes),
    }


def _sum(counts: Sequence[int]) -> str:
    """``80``, or ``40 + 38`` of two domains."""
    return " + ".join(map(str, counts))


def _sizes_in_words(summary: Mapping[str, Any]) -> str:
    if summary["distinct"] == 1:
        return f"size: {summary['commonest']}, all of them"
    return "sides of {shortest_px} to {longest_px} px, most often {commonest} ({commonest_share:.0%})".format(**summary)


def _shown(size: Size) -> str:
    return f"{size[0]}×{size[1]}"


def _named(report: Report, flaw: str) -> list[str]:
    return [f"{file.path}: {file.reason}" for file in report.files if file.flaw == flaw]


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:FIRST]) + (f", and {len(names) - FIRST} more" if len(names) > FIRST else "")
