"""Finding images with their classes and captions: class folders, dataset.json, captions.csv, .txt files, MNIST idx."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gantools import text
from gantools.data.folders import search
from gantools.data.folders.layout import Item, Layout
from gantools.errors import DataError
from gantools.images.io import shards

CAPTIONS, LABELS = "captions.csv", "dataset.json"
IDX_IMAGES, IDX_LABELS = 0x803, 0x801
"""First four bytes of idx files of images and of labels."""


@dataclass(frozen=True)
class LabelledItem(Item):
    """An image with its class, captions, and the attributes that captions.csv has in further columns."""

    label: str | None = None
    captions: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


def find(folder: Path) -> Layout:
    """All images of a folder, a packed folder, a ZIP file or idx files, with what is known of each.

    Raises DataError for a missing or empty folder and for labels or captions that do not fit the images.
    """
    idx = idx_files(folder) if folder.is_dir() else None
    if idx is not None:
        return Layout("photos", _idx_items(*idx))
    search.require_folder(folder)
    paths = search.image_files(folder)
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    labels, rows = _labels(folder, list(names.values())), _captions(folder, list(names.values()))
    items = (
        LabelledItem(name, (path,), None, labels.get(name), *(rows.get(name) or (_text_beside(path), ())))
        for path, name in names.items()
    )
    return Layout("photos", tuple(items))


def _labels(folder: Path, names: Sequence[str]) -> Mapping[str, str]:
    """Classes by image: from dataset.json, else the folders that hold all images."""
    stored = _read(folder / LABELS)
    if stored is not None:
        return _ada_labels(folder / LABELS, stored, names)
    tops = {name: name.split("/")[0] for name in names}
    return tops if all("/" in name for name in names) and len(set(tops.values())) > 1 else {}


def _ada_labels(file: Path, stored: bytes, names: Sequence[str]) -> Mapping[str, str]:
    """StyleGAN2-ADA's ``{"labels": [["00/img.png", 3], …]}``; ``null`` for no labels. Backslashes are slashes."""
    try:
        pairs = json.loads(stored).get("labels") or ()
        labels = {str(name).replace("\\", "/"): str(int(label)) for name, label in pairs}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"'{file}': not a list of [file, class number] under \"labels\" ({error})") from error
    missing = [name for name in names if name not in labels]
    if labels and missing:
        raise DataError(f"'{file}': {len(missing)} of {len(names)} images have no label, such as {missing[0]}")
    return labels


def _captions(folder: Path, names: Sequence[str]) -> Mapping[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]:
    """Captions and attributes by image from captions.csv, which may have several rows for one; the last one's count."""
    file = folder / CAPTIONS
    stored = _read(file)
    if stored is None:
        return {}
    try:
        rows = list(csv.DictReader(io.StringIO(stored.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{file}': not a CSV file in UTF-8 ({error})") from error
    found: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {}
    known = set(names)
    for number, row in enumerate(rows, start=2):
        name, caption = (str(row.get(column) or "").strip() for column in ("file", "caption"))
        if not name or not caption:
            raise DataError(f"'{file}':{number}: needs a file and a caption (columns file,caption)")
        if name not in known:
            raise DataError(f"'{file}':{number}: there is no image {name!r} in the folder")
        others = [(key, value) for key, value in row.items() if key and key not in ("file", "caption") and value]
        found[name] = ((*found.get(name, ((), ()))[0], caption), tuple(others))
    return found


def _text_beside(path: Path) -> tuple[str, ...]:
    """The lines of a .txt file of an image's name."""
    stored = _read(path.with_suffix(".txt"))
    lines = stored.decode("utf-8-sig", errors="replace").splitlines() if stored else ()
    return tuple(line.strip() for line in lines if line.strip())


def _read(path: Path) -> bytes | None:
    """A file's bytes, packed or not; None when there is none."""
    try:
        with shards.opened(path) as stream:
            return stream.read()
    except OSError:
        return None


# --- MNIST's idx files


def idx_files(folder: Path) -> tuple[Path, Path | None] | None:
    """The idx files of images and of labels of a folder; None without images. Raises DataError for several sets."""
    images = sorted(folder.glob("*images*idx3-ubyte*"))
    if not images:
        return None
    if len(images) > 1:
        found = ", ".join(path.name for path in images)
        raise DataError(f"'{folder}': has {found}; put one set into train/ and the other into test/")
    labels = sorted(folder.glob("*labels*idx1-ubyte*"))
    return images[0], labels[0] if labels else None


def _idx_items(images: Path, labels: Path | None) -> tuple[LabelledItem, ...]:
    count = len(read_idx(images))
    classes = read_idx(labels).tolist() if labels else [None] * count
    if len(classes) != count:
        raise DataError(f"'{images}' holds {count} images, but '{labels}' {len(classes)} labels")
    stem = images.name.split(".")[0].split("-")[0]
    return tuple(
        LabelledItem(f"{stem}/{number:05d}", (images,), number, None if label is None else str(label))
        for number, label in enumerate(classes)
    )


@lru_cache(maxsize=4)
def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """All values of an idx file. Shapes: [N, H, W] of images, [N] of labels. Raises DataError for another file."""
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        kind = int.from_bytes(data[:4], "big")
        if kind not in (IDX_IMAGES, IDX_LABELS):
            raise ValueError(f"begins with {data[:4].hex()}")
        shape = struct.unpack_from(f">{kind & 0xFF}I", data, 4)
        values = np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape))
        return values.reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DataError(f"'{path}': not an intact idx file ({error})") from error


def chosen(items: Sequence[Item], classes: Sequence[str] | None, *, all_needed: bool) -> tuple[LabelledItem, ...]:
    """The items of the wanted classes. With ``all_needed`` raises DataError for a class without images."""
    labelled = tuple(item for item in items if isinstance(item, LabelledItem))
    if classes is None:
        return labelled
    there = {item.label for item in labelled}
    for name in classes:
        if all_needed and name not in there:
            known = ", ".join(sorted(filter(None, there), key=natural)) or "none"
            raise DataError(f"data.classes: no image is of class {name!r}; there are {known}")
    return tuple(item for item in labelled if item.label in classes)


def without_caption(items: Iterable[LabelledItem]) -> list[str]:
    """Names of the items that have no caption with a word in it."""
    return [item.name for item in items if not any(map(text.words, item.captions))]


def natural(name: str) -> tuple[bool, int, str]:
    """Sorts 2 before 10."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)
