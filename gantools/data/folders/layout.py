"""Finding images on disk: photos, two matching folders, or A|B images, in an order that never depends on the disk.

Hidden files and folders are left out. Messages name the folder, what was seen there and how to fix it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from gantools.data.folders import pairing, search, sides
from gantools.data.folders.alike import alike
from gantools.data.folders.pairing import PAIR_FOLDERS
from gantools.data.folders.sides import FolderPair
from gantools.data.options.datasets import LayoutName
from gantools.errors import DataError, ImageError
from gantools.images.io import shards

_KINDS = {"photos": "photos", "folders": "pairs of files", "ab": "A|B images", "distilled": "distilled samples"}
Kind = Literal["photos", "folders", "ab", "distilled"]


AB_TOLERANCE = 0.1
"""How much the width of an A|B image may differ from twice its height, as a share of the height."""


@dataclass(frozen=True)
class Item:
    """One training example on disk: a photo, an A|B image, or the two files of a pair."""

    name: str
    files: tuple[Path, ...]
    number: int | None = None
    """Its place in a file that holds many; such a file was read when the folder was looked at."""


@dataclass(frozen=True)
class Layout:
    """What a folder was found to hold. ``note`` says which of its folders were used, where not all were."""

    kind: Kind
    items: Sequence[Item]
    note: str = ""

    def describe(self) -> str:
        """One phrase for messages: ``240 A|B images``, ``22 pairs of files (blur → sharp)``."""
        what = _KINDS[self.kind]
        return f"{len(self.items)} {what}" + (f" ({self.note})" if self.note else "")


def find(
    folder: Path,
    layout: LayoutName = "auto",
    *,
    partner: str | None = None,
    any_shape: bool = False,
    typed: str = "data.source_dir={} data.target_dir={}",
) -> Layout:
    """Find the images of ``folder`` as ``layout``, or as what it looks like.

    ``partner`` is how the names of a pair differ (``pairing.sides``); ``any_shape`` takes A|B images of any shape;
    ``typed`` is how the two folders of a pair are named on the command line, for messages.
    Raises DataError when the folder is missing, empty, does not hold what ``layout`` says, or when its images may be
    single ones or pairs.
    """
    search.require_folder(folder)
    pair = named_pair(folder) if layout in ("auto", "folders") else None
    if pair is not None:
        return find_pairs(*pair, partner)
    files = search.image_files(folder)
    named, ambiguous = _folder_pairs(folder, files)
    if named and layout in ("auto", "folders"):
        if enlarged(folder):
            raise DataError(
                f"data.dir: '{named[0].source}' in '{folder / named[0].parent}' holds smaller versions of "
                f"'{named[0].target}', but the two images of a pair need the same size; srgan makes small ones itself"
            )
        return _joined(folder, named, files, partner)
    for folders in (*named, *ambiguous):
        raise DataError(_ambiguous(folder, folders, layout, typed))
    if layout == "folders":
        known = ", ".join("/".join(names) for names in PAIR_FOLDERS)
        raise DataError(f"data.dir: '{folder}': no two matching folders; expected one of {known}")
    items = _items(folder, files)
    kind: Kind = "photos" if layout == "photos" else "ab" if layout == "ab" or _looks_like_ab(items) else "photos"
    if kind == "ab":
        _check_halves(items, any_shape=any_shape)
    else:
        _refuse_mixed(folder, files, typed)
    return Layout(kind, items)


def pair_folders(folder: Path) -> tuple[tuple[Path, Path], ...]:
    """The pairs of folders that ``find`` takes for the two sides of pairs, by their names. Raises DataError."""
    search.require_folder(folder)
    pair = named_pair(folder)
    if pair is not None:
        return (pair,)
    named, _ = _folder_pairs(folder, search.image_files(folder))
    return tuple(
        (folder / folders.parent / folders.source, folder / folders.parent / folders.target) for folders in named
    )


def enlarged(folder: Path) -> bool:
    """Whether ``folder`` holds pairs of which the target is the larger image, as sets for super-resolution do."""
    found = False
    for source, target in pair_folders(folder):
        smalls, larges = (
            {pairing.unscaled(stem): path for stem, path in search.by_stem(side).items()} for side in (source, target)
        )
        for stem in search.sampled(sorted(smalls.keys() & larges.keys())):
            small, large = search.size_of(smalls[stem]), search.size_of(larges[stem])
            if small and large and (small[0] >= large[0] or small[1] >= large[1]):
                return False
            found = True
    return found


def find_photos(folder: Path) -> Layout:
    """The images of ``folder`` as photos to learn from; of pairs only the targets (sharp, clean, large …).

    Raises DataError when the folder is missing or empty, or when two of its folders may be pairs.
    """
    search.require_folder(folder)
    files = search.image_files(folder)
    named, ambiguous = _folder_pairs(folder, files)
    for folders in (*(folders for folders in named if not folders.matching), *ambiguous):
        raise DataError(_ambiguous(folder, folders))
    if not named:
        _refuse_mixed(folder, files)
    targets = {folder / folders.parent / folders.target for folders in named}
    left_out = {
        folder / folders.parent / name for folders in named for name in (folders.source, *folders.others)
    } - targets
    kept = [path for path in files if left_out.isdisjoint(path.parents)]
    note = f"of {search.some_names(targets)}; {search.some_names(left_out)} left out" if named else ""
    return Layout("photos", _items(folder, kept), note)


def find_pairs(source: Path, target: Path, partner: str | None = None) -> Layout:
    """Match the files of two folders by name; where names differ by a role word only (blur_00, sharp_00), by the rest.

    Raises DataError naming files without a partner, and pairs of different sizes.
    """
    items = _matched(source, target, partner)
    _check_sizes(items)
    return Layout("folders", items)


def match(source: Path, target: Path, partner: str | None = None) -> tuple[tuple[Item, ...], tuple[Path, ...]]:
    """Pairs of files of two folders by name, as ``find_pairs`` makes them, and the files that have no partner.

    In one folder that is given as both only the files that ``partner`` fits are looked at.
    Raises DataError when a folder is missing, empty, or holds one name twice.
    """
    for folder in (source, target):
        search.require_folder(folder)
    pairs, unmatched = pairing.paired(search.by_stem(source), search.by_stem(target), partner)
    items = tuple(Item(name, files) for name, files in pairs.items())
    one_folder = source.resolve() == target.resolve()
    return items, () if one_folder else tuple(sorted(unmatched, key=lambda path: (path.stem, path.as_posix())))


def all_images(folder: Path) -> Layout:
    """Every image below ``folder`` as a photo, whatever its folders are called."""
    search.require_folder(folder)
    return Layout("photos", _items(folder, search.image_files(folder)))


def domain_folders(folder: Path) -> tuple[Path, Path]:
    """The two unpaired folders in ``folder``. Raises DataError when there are none."""
    search.require_folder(folder)
    pair = named_pair(folder)
    if pair is None:
        raise DataError(
            f"data.dir: '{folder}': expected two folders named trainA and trainB, or A and B; "
            "folders of other names are given as data.a=DIR data.b=DIR"
        )
    return pair


def named_pair(folder: Path) -> tuple[Path, Path] | None:
    """The first two sub-folders named like a pair; a pair's names may go on after a separator (trainA_apples)."""
    present: dict[str, Path] = {}
    for child in reversed(shards.folders_in(folder)):
        present[re.split(r"[_\-. ]", child.name.lower(), maxsplit=1)[0]] = child
    present |= {child.name.lower(): child for child in shards.folders_in(folder)}
    return next(((present[a], present[b]) for a, b in PAIR_FOLDERS if a in present and b in present), None)


def _items(folder: Path, files: Iterable[Path]) -> tuple[Item, ...]:
    return tuple(Item(path.relative_to(folder).as_posix(), (path,)) for path in files)


def _folder_pairs(folder: Path, files: Sequence[Path]) -> tuple[tuple[FolderPair, ...], tuple[FolderPair, ...]]:
    """Pairs of folders below ``folder``: known by their names, and ambiguous ones."""
    by_stem = {path.relative_to(folder).with_suffix(""): path for path in files}

    def similar(a: PurePosixPath, b: PurePosixPath, stems: Sequence[str]) -> bool:
        one, other = ([by_stem[Path(side, stem)] for stem in stems] for side in (a, b))
        return alike(one, other)

    return sides.find([path.relative_to(folder).as_posix() for path in files], similar)


def _joined(folder: Path, named: Sequence[FolderPair], files: Sequence[Path], partner: str | None) -> Layout:
    """The pairs of all ``named`` folders; a name begins with the folder that its two folders lie in."""
    pairs = [
        (folder / folders.parent, folder / folders.parent / folders.source, folder / folders.parent / folders.target)
        for folders in named
    ]
    items = tuple(
        replace(item, name=(parent.relative_to(folder) / item.name).as_posix())
        for parent, source, target in pairs
        for item in _matched(source, target, partner)
    )
    _check_sizes(items)
    used = {side for _, *both in pairs for side in both}
    left_out = {path.parent for path in files if used.isdisjoint(path.parents)}
    note = " → ".join(search.some_names(side) for side in list(zip(*pairs, strict=True))[1:])
    return Layout("folders", items, note + (f"; {search.some_names(left_out)} left out" if left_out else ""))


def _matched(source: Path, target: Path, partner: str | None) -> tuple[Item, ...]:
    """The pairs of two folders. Raises DataError where a file has no partner."""
    items, unmatched = match(source, target, partner)
    if not unmatched and not items:
        raise DataError(f"data.partner: {partner!r} fits the names of no two files in '{source}' and '{target}'")
    if unmatched:
        names = [
            [path.relative_to(side).with_suffix("").as_posix() for path in unmatched if side in path.parents]
            for side in (source, target)
        ]
        pattern = pairing.suggested(*names) if all(names) and partner is None else None
        raise DataError(
            f"data.dir: {len(unmatched)} files have no partner ({search.first_names(unmatched)}); "
            + (
                f"type data.partner='{pattern}' to pair them so"
                if pattern
                else "the two files of a pair need the same name"
            )
        )
    return items


def _ambiguous(folder: Path, folders: FolderPair, layout: LayoutName | None = None, typed: str | None = None) -> str:
    """What to type where images may be single ones or the two sides of pairs. Without ``typed`` pairs are of no use."""
    parent = folder / folders.parent
    source, target = (shlex.quote(str(parent / name)) for name in (folders.source, folders.target))
    what = "hold files of the same names" if folders.matching else "are named like pairs, but their files are not"
    message = f"data.dir: '{folders.source}' and '{folders.target}' in '{parent}' {what}"
    single = f"--data {target} to use one of them, --data {source} --data {target} to use both as single images"
    if typed is None:
        return f"{message}; type {single}"
    if folders.directed and folders.matching:
        pairs = " ".join(["data.layout=folders", *typed.split()[2:]])
        return f"{message}, which data.layout={layout} does not use; type {pairs} to train on pairs, {single}"
    turned = "" if folders.directed else " (or the other way round)"
    return f"{message}; type {typed.format(source, target)} to train on pairs{turned}, {single}"


def _refuse_mixed(folder: Path, files: Sequence[Path], typed: str | None = None) -> None:
    """Raise DataError where the two sides of pairs lie side by side. Without ``typed`` pairs are of no use."""
    found = sides.mixed([path.relative_to(folder).as_posix() for path in files])
    if found is None:
        return
    first = {found[0][0], found[1][0]}
    one, other, *_ = (path.name for path in files if path.relative_to(folder).with_suffix("").as_posix() in first)
    message = f"data.dir: '{folder}' holds both sides of pairs side by side, such as {one} and {other}"
    pattern = pairing.pattern_of(*found) if found[0] != found[1] else None
    apart = "move each side into a folder of its own"
    if typed is None:
        raise DataError(f"{message}; {apart} and give the one to learn from with --data")
    place = shlex.quote(str(folder))
    pairs = f"type {typed.format(place, place)} data.partner='{pattern}' to train on pairs, or " if pattern else ""
    raise DataError(f"{message}; {pairs}{apart}")


def _check_sizes(items: Sequence[Item]) -> None:
    for item in search.sampled(items):
        sizes = [size for size in map(search.size_of, item.files) if size is not None]
        if len(set(sizes)) > 1:
            (w0, h0), (w1, h1) = sizes
            raise DataError(
                f"data.dir: '{item.files[0]}' is {w0}x{h0} but '{item.files[1]}' is {w1}x{h1}; "
                "the two images of a pair need the same size"
            )


def _looks_like_ab(items: Sequence[Item]) -> bool:
    """Whether every image looked at is exactly twice as wide as high: unlikely for photos, the rule for A|B sets."""
    sizes = [size for size in (search.size_of(item.files[0]) for item in search.sampled(items)) if size is not None]
    return bool(sizes) and all(width == 2 * height for width, height in sizes)


def are_halves(width: int, height: int, *, any_shape: bool = False) -> bool:
    """Whether an image of this size may be two images side by side: of even width, about twice as wide as high."""
    return width % 2 == 0 and (any_shape or abs(width / height - 2) <= AB_TOLERANCE)


def require_halves(path: Path, width: int, height: int, *, any_shape: bool) -> None:
    """Raise ImageError where an image cannot be two images side by side."""
    if are_halves(width, height, any_shape=any_shape):
        return
    if width % 2:
        raise ImageError(
            f"'{path}' is {width} pixels wide; an A|B image has two halves of the same width, so its width is even"
        )
    raise ImageError(
        f"'{path}' is {width}x{height}, but an A|B image is about twice as wide as high: A on the left, B on the "
        "right; data.ab_any_shape=true takes other shapes, data.layout=folders two folders of same-named files"
    )


def _check_halves(items: Sequence[Item], *, any_shape: bool) -> None:
    for item in search.sampled(items):
        size = search.size_of(item.files[0])
        try:
            if size is not None:
                require_halves(item.files[0], *size, any_shape=any_shape)
        except ImageError as error:
            raise DataError(f"data.layout: {error}") from error
