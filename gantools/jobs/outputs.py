"""What may be written, settled before any work: nothing twice, nothing over an input, nothing that exists."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from gantools.errors import UsageError

Existing: TypeAlias = Literal["refuse", "skip", "overwrite"]

_SHOWN = 5


def existing_policy(skip_existing: bool, overwrite: bool) -> Existing:
    """What is done about results that exist. Raises UsageError for both flags at once."""
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other; give one")
    return "skip" if skip_existing else "overwrite" if overwrite else "refuse"


def settle(
    claims: Sequence[tuple[str, Path]],
    sources: Iterable[Path],
    existing: Existing,
    own: Collection[Path] | None = None,
) -> frozenset[Path]:
    """The outputs that exist and are left as they are. A claim is an input's name and the output it becomes.

    ``own`` are the outputs that this run writes (None: all): what others of its kind write meanwhile may exist.
    Raises UsageError: two outputs are one, an output is an input, cannot be written, or exists.
    """
    outputs, read = [output for _, output in claims], {os.path.realpath(source) for source in sources}
    if in_place := [str(output) for output in outputs if os.path.realpath(output) in read]:
        raise UsageError(f"inputs are never written over: {some(in_place)}; give another -o")
    claimed: dict[str, list[str]] = defaultdict(list)
    for name, output in claims:
        claimed[os.path.abspath(output)].append(name)
    if clashes := {path: names for path, names in claimed.items() if len(names) > 1}:
        pairs = [f"{' and '.join(map(repr, names))} → {os.path.relpath(path)!r}" for path, names in clashes.items()]
        others = [f"and {len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else []
        raise UsageError(f"several inputs would become one output: {'; '.join(pairs[:_SHOWN] + others)}")
    _refuse_obstructed(outputs)
    taken = [output for output in (outputs if own is None else own) if os.path.lexists(output)]
    if taken and existing == "refuse":
        names = some(list(map(str, taken)))
        raise UsageError(f"exists already: {names}; --overwrite replaces it, --skip-existing leaves it")
    return frozenset(taken) if existing == "skip" else frozenset()


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _refuse_obstructed(outputs: Collection[Path]) -> None:
    """Refuse outputs that are folders, that lie below something that is none, or in a folder meant as stdout."""
    if any(output.parts[:1] == ("-",) for output in outputs):
        raise UsageError("-o -: nothing is written to stdout here; name a file or a folder")
    for parent in {output.parent for output in outputs}:
        while not os.path.lexists(parent):
            parent = parent.parent
        if not parent.is_dir():
            raise UsageError(f"{str(parent)!r} is not a folder, so nothing can be written below it")
    folders = [str(output) for output in outputs if os.path.isdir(output)]
    if folders:
        raise UsageError(f"a folder is in the way of an output: {some(folders)}")
