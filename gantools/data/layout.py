"""Finding images on disk: photos, two matching folders, or A|B pictures, in an order that never depends on the disk.

Hidden files and folders are left out. Messages name the folder, what was seen there and how to mend it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantools.data.options import LayoutName
from gantools.errors import DataError, ImageError
from gantools.images import formats, reader, shards

Kind = Literal["photos", "folders", "ab"]

SUFFIXES = frozenset(f".{suffix}" for suffix in formats.FORMATS)

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
# Words that tell the two files of a pair apart and so are left out when plain names do not match (blur_00, sharp_00).
ROLE_WORDS = frozenset(word for pair in PAIR_FOLDERS for word in pair) | {"edge", "photo"}

SPLIT_FOLDERS = {"training": ("train", "training"), "validation": ("val", "valid", "validation", "test")}

# Headers read before training: enough to find a wrong layout, few enough to take well under a second.
CHECKED_FILES = 200


@dataclass(frozen=True)
class Item:
    """One training example on disk: a photo, an A|B picture, or the two files of a pair."""

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Layout:
    """What a folder was found to hold."""

    kind: Kind
    items: tuple[Item, ...]

    def describe(self) -> str:
        """One phrase for messages: ``240 A|B pictures``."""
        what = {"photos": "photos", "folders": "pairs of files", "ab": "A|B pictures"}[self.kind]
        return f"{len(self.items)} {what}"


def find(folder: Path, layout: LayoutName = "auto") -> Layout:
    """Find the images of ``folder`` as ``layout``, or as what it looks like.

    Raises DataError when the folder is missing, empty, or does not hold what ``layout`` says.
    """
    require_folder(folder)
    pair = _pair_folders(folder)
    if layout == "folders" or (layout == "auto" and pair is not None):
        if pair is None:
            known = ", ".join("/".join(names) for names in PAIR_FOLDERS)
            raise DataError(f"data.dir: '{folder}': no two matching folders; expected one of {known}")
        return find_pairs(*pair)
    items = _single_files(folder)
    kind: Kind = "photos" if layout == "photos" else "ab" if layout == "ab" or _looks_like_ab(items) else "photos"
    if kind == "ab":
        _check_halves(items)
    return Layout(kind, items)


def find_pairs(source: Path, target: Path) -> Layout:
    """Match the files of two folders by name; where names differ by a role word only (blur_00, sharp_00), by the rest.

    Raises DataError naming files without a partner, and pairs of different sizes.
    """
    items, alone = match(source, target)
    _require_partners(alone)
    _check_sizes(items)
    return Layout("folders", items)


def match(source: Path, target: Path) -> tuple[tuple[Item, ...], tuple[Path, ...]]:
    """Pairs of files of two folders by name, as ``find_pairs`` makes them, and the files that have no partner.

    Raises DataError when a folder is missing, empty, or holds one name twice.
    """
    for folder in (source, target):
        require_folder(folder)
    sources, targets = _by_stem(source), _by_stem(target)
    if sources.keys() != targets.keys():
        sources, targets = _without_roles(sources), _without_roles(targets)
    items = tuple(Item(stem, (path, targets[stem])) for stem, path in sources.items() if stem in targets)
    either = {**sources, **targets}
    return items, tuple(either[stem] for stem in sorted(sources.keys() ^ targets.keys()))


def find_domains(folder: Path) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The images of two unpaired folders (trainA/trainB, A/B; names may go on: trainA_apples)."""
    a, b = domain_folders(folder)
    return _single_files(a), _single_files(b)


def domain_folders(folder: Path) -> tuple[Path, Path]:
    """The two unpaired folders in ``folder``. Raises DataError when there are none."""
    require_folder(folder)
    pair = _pair_folders(folder)
    if pair is None:
        raise DataError(
            f"data.dir: '{folder}': expected two folders named trainA and trainB, or A and B; "
            "folders of other names are given as data.a=DIR data.b=DIR"
        )
    return pair


def split_folder(folder: Path, split: Literal["training", "validation"]) -> Path | None:
    """The sub-folder that a ready-made set keeps this split in (train, val, test …), if it has one."""
    if not shards.is_folder(folder):
        return None
    present = {child.name.lower(): child for child in _folders(folder)}
    return next((present[name] for name in SPLIT_FOLDERS[split] if name in present), None)


def image_files(folder: Path) -> list[Path]:
    """All image files below ``folder``, sorted by relative path; links to folders are followed, once each.

    Raises DataError when there is none.
    """
    seen = 0
    found = []
    try:
        for path in _walk(folder, set()):
            seen += 1
            if path.suffix.lower() in SUFFIXES:
                found.append(path)
    except OSError as error:
        raise DataError(f"data.dir: '{error.filename}' cannot be read: {error.strerror}") from error
    if not found:
        suffixes = " ".join(sorted(SUFFIXES))
        raise DataError(f"data.dir: '{folder}' holds no images: {seen} files seen, none ends in {suffixes}")
    return sorted(found, key=lambda path: os.fsencode(path.relative_to(folder).as_posix()))


def sampled(items: Sequence[Item]) -> Sequence[Item]:
    """At most CHECKED_FILES items, evenly spread."""
    return items[:: max(1, -(-len(items) // CHECKED_FILES))]


def require_folder(folder: Path) -> None:
    """Raise DataError when ``folder`` is none."""
    if not shards.exists(folder):
        raise DataError(f"data.dir: '{folder}' does not exist; give a folder with --data DIR")
    if not shards.is_folder(folder):
        raise DataError(f"data.dir: '{folder}' is a file; give a folder of images with --data DIR")


def _walk(folder: Path, visited: set[str]) -> Iterator[Path]:
    packed = shards.files_below(folder)
    if packed is not None:
        yield from packed
        return
    real = os.path.realpath(folder)
    if real in visited:
        return
    visited.add(real)
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in visible:
        if entry.is_dir():
            yield from _walk(Path(entry.path), visited)
        elif entry.is_file():
            yield Path(entry.path)


def _folders(folder: Path) -> list[Path]:
    return shards.folders_in(folder)


def _pair_folders(folder: Path) -> tuple[Path, Path] | None:
    """The first two sub-folders named like a pair; a pair's names may go on after a separator (trainA_apples)."""
    present: dict[str, Path] = {}
    for child in reversed(_folders(folder)):
        present[re.split(r"[_\-. ]", child.name.lower(), maxsplit=1)[0]] = child
    present |= {child.name.lower(): child for child in _folders(folder)}
    return next(((present[a], present[b]) for a, b in PAIR_FOLDERS if a in present and b in present), None)


def _single_files(folder: Path) -> tuple[Item, ...]:
    return tuple(Item(path.relative_to(folder).as_posix(), (path,)) for path in image_files(folder))


def _by_stem(folder: Path) -> dict[str, Path]:
    """Relative path without suffix → file. Raises DataError for two files that differ in their suffix only."""
    stems: dict[str, Path] = {}
    for path in image_files(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in stems:
            raise DataError(f"data.dir: '{folder}': {stems[stem].name} and {path.name} have the same name; keep one")
        stems[stem] = path
    return stems


def _without_roles(stems: Mapping[str, Path]) -> dict[str, Path]:
    """Keys without role words, or as they were where that would make two of them equal."""
    bare = {_bare(stem): path for stem, path in stems.items()}
    return bare if len(bare) == len(stems) and "" not in bare else dict(stems)


def _bare(stem: str) -> str:
    return "_".join(word for word in re.split(r"[_\-. ]+", stem) if word.lower() not in ROLE_WORDS)


def _require_partners(alone: Sequence[Path]) -> None:
    if alone:
        raise DataError(
            f"data.dir: {len(alone)} files have no partner ({first_names(alone)}); "
            "the two files of a pair need the same name"
        )


def first_names(paths: Sequence[Path]) -> str:
    """The first five files with the folder they lie in, for messages."""
    return ", ".join(f"{path.parent.name}/{path.name}" for path in paths[:5]) + (", …" if len(paths) > 5 else "")


def _size(path: Path) -> tuple[int, int] | None:
    """(width, height) from the header, or None where it cannot be read: training reports such files by name."""
    try:
        header = reader.probe(path)
    except ImageError:
        return None
    return header.width, header.height


def _check_sizes(items: Sequence[Item]) -> None:
    for item in sampled(items):
        sizes = [size for size in map(_size, item.files) if size is not None]
        if len(set(sizes)) > 1:
            (w0, h0), (w1, h1) = sizes
            raise DataError(
                f"data.dir: '{item.files[0]}' is {w0}x{h0} but '{item.files[1]}' is {w1}x{h1}; "
                "the two pictures of a pair need the same size"
            )


def _looks_like_ab(items: Sequence[Item]) -> bool:
    """Whether every picture looked at is exactly twice as wide as high: unlikely for photos, the rule for A|B sets."""
    sizes = [size for size in (_size(item.files[0]) for item in sampled(items)) if size is not None]
    return bool(sizes) and all(width == 2 * height for width, height in sizes)


def _check_halves(items: Sequence[Item]) -> None:
    for item in sampled(items):
        size = _size(item.files[0])
        if size is not None and size[0] % 2:
            raise DataError(
                f"data.layout: '{item.files[0]}' is {size[0]} pixels wide; "
                "an A|B picture has two halves of the same width, so its width is even"
            )
