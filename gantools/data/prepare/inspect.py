"""A close look at a data set before a long training: every file decoded, every problem named."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gantools import text
from gantools.data.datasets.labelled import LabelledDataset
from gantools.data.folders import labelled, layout, search
from gantools.data.folders.labelled import LabelledItem
from gantools.data.loading.workers import each
from gantools.data.options.datasets import DataOptions
from gantools.data.options.labelled import LabelledData
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
    classes: Mapping[str, int] = field(default_factory=dict)
    """Images by class, for recipes that start from noise."""
    captions: Mapping[str, Any] = field(default_factory=dict)
    """How many images have captions, and their words."""


def examine(path: Path) -> Examined:
    """Read one file whole, as training will. Size, mode and format are the header's."""
    digest, size, mode = "", None, None
    flaw: Literal["unreadable", "damaged"] = "unreadable"
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        header = reader.probe(data, name=str(path))
        size, mode, flaw = (header.width, header.height), f"{header.mode} {header.bits} bit", "damaged"
        reader.read(data, name=str(path))
    except OSError as error:
        return Examined(path, digest, flaw=flaw, reason=f"cannot be read: {error.strerror or error}")
    except ImageError as error:
        return Examined(path, digest, size, mode, flaw, str(error).removeprefix(f"{str(path)!r}: "))
    return Examined(path, digest, size, mode)


def inspect(
    folder: Path, kind: Kind | None, *, workers: int, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Report:
    """Look at every image below ``folder`` and at how they belong together, as ``kind`` or as what they look like.

    Raises DataError when the folder is missing or holds no images.
    """
    if folder.is_dir() and labelled.idx_files(folder):
        return _inspect_idx(folder)
    search.require_folder(folder)
    kind = kind or kind_of(folder)
    paths = search.image_files(folder)
    files: list[Examined] = []
    for examined in each(examine, paths, workers):
        files.append(examined)
        progress(len(files), len(paths))
    sets: list[Recognised] = []
    problems: list[str] = []
    try:
        sets = [examples(folder, kind, "training"), examples(folder, kind, "validation")]
    except DataError as error:
        problems.append(str(error))
    duplicates = _duplicates(files)
    counts = [tuple(map(len, each_set.sides)) for each_set in sets] or [(0,), (0,)]
    classes, captions, remarks = _labels(folder) if kind == "photos" else ({}, {}, [])
    return Report(
        folder,
        kind,
        training=counts[0],
        validation=counts[1],
        files=tuple(files),
        unmatched=without_partner(folder) if kind == "pairs" else (),
        duplicates=duplicates,
        problems=(*problems, *_problems(sets, files)),
        remarks=(*_remarks_on_duplicates(duplicates, sets), *remarks, *_remarks_on_others(folder, captions)),
        note=sets[0].note if sets else "",
        classes=classes,
        captions=captions,
    )


def _duplicates(files: Sequence[Examined]) -> tuple[tuple[Path, ...], ...]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for examined in files:
        if examined.digest:
            groups[examined.digest].append(examined.path)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _remarks_on_others(folder: Path, captions: Mapping[str, Any]) -> list[str]:
    """What lies in the folder besides images, their captions and their classes."""
    if shards.files_below(folder) is not None:
        return []
    left = left_out([folder], Path(os.devnull), recursive=True)
    tables = [name for name in (labelled.CAPTIONS, labelled.LABELS) if (folder / name).is_file()]
    beside = captions["images"] if captions and labelled.CAPTIONS not in tables else 0
    left.others -= Counter(Path(name).suffix for name in tables) + Counter({".txt": beside})
    return left.lines()


def _inspect_idx(folder: Path) -> Report:
    """MNIST's idx files: images of one size, with classes where the labels are there too."""
    counts = [len(LabelledDataset(LabelledData(dir=str(folder)), split, 0)) for split in ("training", "validation")]
    images = labelled.find(folder).items[0].files[0]
    height, width = labelled.read_idx(images).shape[1:]
    files = [Examined(images, "", (width, height), "L 8 bit")] * sum(counts)
    classes, _, remarks = _labels(folder)
    return Report(
        folder,
        "photos",
        training=(counts[0],),
        validation=(counts[1],),
        files=tuple(files),
        unmatched=(),
        duplicates=(),
        problems=(),
        remarks=tuple(remarks),
        note=f"idx file {images.name}",
        classes=classes,
    )


def _labels(folder: Path) -> tuple[dict[str, int], dict[str, Any], list[str]]:
    """Images by class, captions, and what is wrong with either: recipes that start from noise read them."""
    try:
        items = [item for item in labelled.find(folder).items if isinstance(item, LabelledItem)]
    except DataError as error:
        return {}, {}, [str(error)]
    counts = Counter(item.label for item in items if item.label is not None)
    classes = {name: counts[name] for name in sorted(counts, key=labelled.natural)}
    missing = labelled.without_caption(items)
    if len(missing) == len(items):
        return classes, {}, []
    words = text.vocabulary(caption for item in items for caption in item.captions)
    remarks = [f"without caption: {_first(missing)}"] if missing else []
    return classes, {"images": len(items) - len(missing), "words": len(words)}, remarks


def _problems(sets: Sequence[Recognised], files: Sequence[Examined]) -> list[str]:
    """Too many bad files, and pairs or halves of different sizes: among all examples, not those a loader checks."""
    problems = []
    bad, allowed = sum(bool(file.flaw) for file in files), DataOptions.model_fields["max_unreadable_share"].default
    if bad > allowed * len(files):
        problems.append(
            f"{bad} of {len(files)} images cannot be read, more than data.max_unreadable_share={allowed:g} allows; "
            "fix or remove them, or raise it"
        )
    sizes = {file.path: file.size for file in files}
    wrong: list[str] = []
    what = "of an odd width or not about 2:1"
    for found in sets:
        for item in (item for side in found.sides for item in side):
            known = [size for size in map(sizes.get, item.files) if size]
            if found.kind == "pairs" and len(set(known)) > 1:
                wrong.append(item.name)
                what = "whose two images differ in size"
            elif found.kind == "ab" and not all(layout.are_halves(*size) for size in known):
                wrong.append(item.name)
    return problems + ([f"{len(wrong)} examples {what}: {_first(wrong)}"] if wrong else [])


def _remarks_on_duplicates(duplicates: Sequence[Sequence[Path]], sets: Sequence[Recognised]) -> list[str]:
    """How many there are, and whether validation shows what training has seen."""
    if not duplicates:
        return []
    remarks = [f"{sum(map(len, duplicates)) - len(duplicates)} files are copies of others"]
    sides = [{path for side in found.sides for item in side for path in item.files} for found in sets]
    leaking = sum(all(not seen.isdisjoint(group) for seen in sides) for group in duplicates) if len(sides) == 2 else 0
    return remarks + ([f"{leaking} of them lie in training and in validation"] if leaking else [])


def facts(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    sizes = [file.size for file in report.files if file.size]
    bad: dict[str, list[str]] = {"unreadable": [], "damaged": []}
    for file in report.files:
        if file.flaw:
            bad[file.flaw].append(f"{file.path}: {file.reason}")
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
        "classes": dict(report.classes),
        "captions": dict(report.captions),
        "remarks": list(report.remarks),
    }


def _summary(sizes: Sequence[Size]) -> dict[str, Any]:
    (commonest, count), *_ = Counter(sizes).most_common(1)
    smallest, largest = (choose(sizes, key=lambda size: size[0] * size[1]) for choose in (min, max))
    shown = {"smallest": smallest, "largest": largest, "commonest": commonest}
    return {
        **{name: f"{size[0]}×{size[1]}" for name, size in shown.items()},
        "commonest_share": round(count / len(sizes), 4),
        "distinct": len(set(sizes)),
        "median_width": statistics.median(width for width, _ in sizes),
        "median_height": statistics.median(height for _, height in sizes),
        "shortest_px": min(min(size) for size in sizes),
        "longest_px": max(max(size) for size in sizes),
    }


def lines(report: Report) -> list[str]:
    """The report for a person; of long lists the first five."""
    stated: Mapping[str, Any] = facts(report)
    training, validation = (" + ".join(map(str, counts)) for counts in (report.training, report.validation))
    note = f" ({report.note})" if report.note else ""
    found = [
        f"{stated['images']} images, {stated['layout']}{note}: {training} to train on, {validation} for validation"
    ]
    if sizes := stated["sizes"]:
        several = "sides of {shortest_px} to {longest_px} px, most often {commonest} ({commonest_share:.0%})"
        found.append((several if sizes["distinct"] > 1 else "size: {commonest}, all of them").format(**sizes))
        found.append("modes: " + ", ".join(f"{count} {mode}" for mode, count in stated["modes"].items()))
    if report.classes:
        counts = ", ".join(f"{name} {count}" for name, count in report.classes.items())
        found.append(f"{len(report.classes)} classes: {counts}")
    if report.captions:
        found.append("captions: {images} images, {words} words".format(**report.captions))
    for name, words in (("unreadable", "unreadable"), ("damaged", "damaged"), ("unmatched", "without partner")):
        if stated[name]:
            found.append(f"{words}: {_first(stated[name])}")
    found += [f"the same content: {' = '.join(group)}" for group in stated["duplicates"][:FIRST]]
    return [*found, *report.remarks]


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:FIRST]) + (f", and {len(names) - FIRST} more" if len(names) > FIRST else "")
