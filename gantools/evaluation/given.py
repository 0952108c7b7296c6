"""Ready-made pairs: two folders matched by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gantools.data.folders import layout
from gantools.data.folders.layout import Item
from gantools.errors import DataError, ImageError
from gantools.evaluation.example import RESULT, Example
from gantools.images.image import Pixels
from gantools.images.io import reader

FOLDERS = (("low", "high"), ("lr", "hr"), ("degraded", "clean"), ("input", "target"), ("source", "target"))
"""Names of the two folders of a ready-made set: what a model is given, and what is wanted."""

Candidates = Callable[[Pixels], Mapping[str, Pixels]]


@dataclass(frozen=True, eq=False)
class GivenPairs:
    """Pairs of files; ``alone`` have no partner and cannot be compared."""

    items: tuple[Item, ...]
    alone: tuple[Path, ...]
    candidates: Candidates
    inputs: str
    reference: str = "the truth"

    @property
    def describe(self) -> str:
        return f"{len(self.items)} pairs of files"

    def __len__(self) -> int:
        return len(self.items) + len(self.alone)

    def name(self, index: int) -> str:
        if index < len(self.items):
            return self.items[index].name
        lonely = self.alone[index - len(self.items)]
        return f"{lonely.parent.name}/{lonely.name}"

    def __getitem__(self, index: int) -> Example:
        if index >= len(self.items):
            raise ImageError("has no partner of the same name in the other folder")
        item = self.items[index]
        given, truth = map(reader.read_rgb8, item.files)
        return Example(item.name, self.candidates(given), truth)


def of_folders(results: Path, truths: Path) -> GivenPairs:
    """Results and truths by name. Raises DataError when a folder is missing or empty, or no name is in both."""
    items, alone = layout.match(results, truths)
    if not items:
        raise DataError(f"--pairs: no picture of '{results}' has the name of one of '{truths}'")
    return GivenPairs(items, alone, lambda result: {RESULT: result}, "not known; results as they lie in their folder")


def given_pairs(folder: Path, candidates: Candidates) -> GivenPairs | None:
    """The pairs in a folder that holds two folders of a pair's names, else None. Raises DataError."""
    layout.require_folder(folder)
    present = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    for given, wanted in FOLDERS:
        if given in present and wanted in present:
            items, alone = layout.match(present[given], present[wanted])
            return GivenPairs(items, alone, candidates, f"as they lie in {given}/; network in fp32")
    return None
