"""Which of the words after ``gantools compare`` are models and which are pictures. No torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gantools import exporting
from gantools.errors import DataError, UsageError
from gantools.inference import find_weights
from gantools.jobs import pictures
from gantools.pretrained import catalogue
from gantools.pretrained.catalogue import SUFFIX


@dataclass(frozen=True)
class Entrants:
    """Weights by the name they are shown under, and pictures. ``left_out`` is how many more pictures there were."""

    models: dict[str, Path]
    inputs: tuple[Path, ...]
    left_out: int = 0


def enter(words: Sequence[str], most_pictures: int) -> Entrants:
    """Tell models from pictures: a picture file or a folder that is no run is an input, everything else a model.

    Raises UsageError when either kind is missing or a word is neither.
    """
    inputs = [word for word in words if _is_input(Path(word))]
    models = {word: _weights(word) for word in words if word not in inputs}
    if not models or not inputs:
        missing = "picture and no folder of them" if models else "model: installed weights, a run's folder or a file"
        raise UsageError(f"compare takes models, then pictures; there is no {missing}")
    found = [path for word in inputs for path in _pictures(Path(word))]
    return Entrants(_named(models), tuple(found[:most_pictures]), max(0, len(found) - most_pictures))


def _weights(word: str) -> Path:
    exporting.make_ready(word)
    return find_weights.resolve(word)


def _is_input(path: Path) -> bool:
    if path.is_dir():
        return not (path / "weights").is_dir()
    return pictures.known(path) and path.suffix != SUFFIX


def _pictures(path: Path) -> list[Path]:
    """A file, or a folder's pictures. Raises DataError when there is none."""
    if not path.exists():
        raise DataError(f"'{path}': no such picture")
    found = list(pictures.walk(path, path / os.devnull, recursive=True)) if path.is_dir() else [path]
    if not found:
        raise DataError(f"'{path}' holds no pictures")
    return found


def _named(models: dict[str, Path]) -> dict[str, Path]:
    """Short names where they tell the models apart, else what was typed."""
    installed = {weights.name for weights in catalogue.installed()}
    short = {word if word in installed else Path(word).name.removesuffix(SUFFIX): path for word, path in models.items()}
    return short if len(short) == len(models) else models
