"""What may be written, settled before any work: nothing twice, nothing over an input, nothing that exists."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from gantools.errors import UsageError
from gantools.jobs import remote
from gantools.jobs.remote import Location, RemotePath

Existing: TypeAlias = Literal["refuse", "skip", "overwrite"]
Output = TypeVar("Output", bound=Location)

_SHOWN = 5


def existing_policy(skip_existing: bool, overwrite: bool) -> Existing:
    """What is done about results that exist. Raises UsageError for both flags at once."""
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other; give one")
    return "skip" if skip_existing else "overwrite" if overwrite else "refuse"


def settle(
    claims: Sequence[tuple[str, Output]],
    sources: Iterable[Location],
    existing: Existing,
    own: Collection[Output] | None = None,
) -> frozenset[Output]:
    """The outputs that exist and are left as they are. A claim is an input's name and the output it becomes.

    ``own`` are the outputs that this run writes (None: all): what others of its kind write meanwhile may exist.
    Raises UsageError: two outputs are one, an output is an input, cannot be written, or exists.
    """
    outputs, read = [output for _, output in claims], set(map(_identity, sources))
    if in_place := [str(output) for output in outputs if _identity(output) in read]:
        raise UsageError(f"inputs are never written over: {some(in_place)}; give another -o")
    claimed: dict[Location, list[str]] = defaultdict(list)
    for name, output in claims:
        claimed[output if isinstance(output, RemotePath) else Path(os.path.abspath(output))].append(name)
    if clashes := {path: names for path, names in claimed.items() if len(names) > 1}:
        pairs = [f"{' and '.join(map(repr, names))} → {_shown(path)!r}" for path, names in clashes.items()]
        others = [f"and {len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else []
        raise UsageError(f"several inputs would become one output: {'; '.join(pairs[:_SHOWN] + others)}")
    _refuse_obstructed([output for output in outputs if isinstance(output, Path)])
    elsewhere = [output for output in outputs if isinstance(output, RemotePath)]
    remote.require_writable(elsewhere)
    taken = [] if existing == "overwrite" else _existing(outputs if own is None else own)
    if taken and existing == "refuse":
        names = some(list(map(str, taken)))
        raise UsageError(f"exists already: {names}; --overwrite replaces it, --skip-existing leaves it")
    return frozenset(taken) if existing == "skip" else frozenset()


def _identity(path: Location) -> Hashable:
    return remote.identity(path) if isinstance(path, RemotePath) else os.path.realpath(path)


def _shown(path: Location) -> str:
    return str(path) if isinstance(path, RemotePath) else os.path.relpath(path)


def _existing(paths: Collection[Output]) -> list[Output]:
    elsewhere = remote.existing([path for path in paths if isinstance(path, RemotePath)])
    return [path for path in paths if (path in elsewhere if isinstance(path, RemotePath) else os.path.lexists(path))]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _refuse_obstructed(outputs: Collection[Path]) -> None:
    """Refuse outputs that are folders, that lie below something that is none, or in a folder meant as stdout."""
    if any(output.parts[:1] == ("-",) for output in outputs):
        raise UsageError("-o -: nothing is written to stdout here; name a file or a folder")
    if any(remote.is_remote(f"{''.join(output.parts[:1])}//") for output in outputs):
        raise UsageError("this command writes local files; infer writes to s3:// and others, too")
    for parent in {output.parent for output in outputs}:
        while not os.path.lexists(parent):
            parent = parent.parent
        if not parent.is_dir():
            raise UsageError(f"{str(parent)!r} is not a folder, so nothing can be written below it")
    folders = [str(output) for output in outputs if os.path.isdir(output)]
    if folders:
        raise UsageError(f"a folder is in the way of an output: {some(folders)}")
