"""Which files are read and which are written, settled before any work. No torch."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal, TypeAlias

from gantools.errors import UsageError
from gantools.files import STAGED_PREFIX
from gantools.images.formats import FORMATS, SUFFIXES, format_of, sniff

Existing: TypeAlias = Literal["refuse", "skip", "overwrite"]

STANDARD = "-"
"""Standard input or output, where it is typed as a name."""

_SHOWN = 5
_HEAD_BYTES = 32


@dataclass(frozen=True)
class Job:
    """One picture's way: ``input`` is its name for messages.

    No ``source``: standard input. No ``output``: the content goes to whoever asked, in ``format`` or, if that is None,
    in the picture's own. ``skip``: the output exists and is left as it is.
    """

    input: str
    source: Path | None
    output: Path | None
    format: str | None
    skip: bool = False


@dataclass(frozen=True)
class _Found:
    """A picture to be read and its place below an output folder."""

    input: str
    source: Path | None
    place: PurePath


def plan(
    inputs: Sequence[str],
    *,
    recipe: str,
    output: str | None = None,
    recursive: bool = False,
    format: str | None = None,
    existing: Existing = "refuse",
) -> tuple[Job, ...]:
    """Settle the output of every picture in ``inputs`` (files, folders, or ``-``).

    One file goes to ``output``, or beside itself as ``<stem>.<recipe>.<suffix>``; folders and several files go into the
    folder ``output`` and keep their tree. Suffixes stay unless ``format`` (a key of ``FORMATS``) is given.
    Raises UsageError: something is missing, two outputs are one, an output is an input or exists.
    """
    _require_inputs(inputs)
    single = len(inputs) == 1 and not os.path.isdir(inputs[0])
    if single:
        jobs = [_single_job(_found_file(inputs[0]), output, recipe, format)]
    else:
        folder = _output_folder(output)
        jobs = [_job_below(found, folder, format) for found in _found(inputs, folder, recursive)]
    _refuse_in_place(jobs)
    _refuse_clashes(jobs)
    _refuse_obstructed(jobs)
    return _settle_existing(jobs, existing)


def _require_inputs(inputs: Sequence[str]) -> None:
    if not inputs:
        raise UsageError("no input: give pictures or folders")
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) must be the only input")
    missing = [name for name in inputs if name != STANDARD and not os.path.exists(name)]
    if missing:
        raise UsageError(f"no such file or folder: {_some(missing)}")


def _single_job(found: _Found, output: str | None, recipe: str, format: str | None) -> Job:
    if output == STANDARD:
        return Job(found.input, found.source, None, None if format is None else FORMATS[format])
    if output is not None and not _means_folder(output):
        return Job(found.input, found.source, Path(output), _format_of_output(output, format))
    if found.source is None:
        raise UsageError("standard input (-) has no name to derive one from; give -o FILE or -o -")
    if output is not None:
        return _job_below(found, Path(output), format)
    suffix = _new_suffix(found.source, format)
    beside = found.source.with_name(f"{_stem(found.source)}.{recipe}{suffix}")
    return Job(found.input, found.source, beside, format_of(beside))


def _job_below(found: _Found, folder: Path, format: str | None) -> Job:
    suffix = _new_suffix(found.source, format)
    place = folder / found.place.with_name(_stem(found.place) + suffix)
    return Job(found.input, found.source, place, format_of(place))


def _means_folder(output: str) -> bool:
    return output.endswith(os.sep) or os.path.isdir(output)


def _output_folder(output: str | None) -> Path:
    if output is None or output == STANDARD:
        raise UsageError("a folder or several pictures need a folder for the results: -o DIR")
    return Path(output)


def _format_of_output(output: str, format: str | None) -> str:
    """The format of a file that the user named."""
    own = FORMATS.get(PurePath(output).suffix.lstrip(".").lower())
    wanted = None if format is None else FORMATS[format]
    if own is not None and wanted is not None and own != wanted:
        raise UsageError(f"-o {output!r} and --format {format} contradict each other")
    if own is None and wanted is None:
        raise UsageError(f"-o {output!r}: no format has this suffix; add one such as .png, or / for a folder")
    return own or wanted or ""


def _found(inputs: Iterable[str], output: Path, recursive: bool) -> Iterator[_Found]:
    for name in inputs:
        if os.path.isdir(name):
            yield from _found_below(Path(name), output, recursive)
        else:
            yield _found_file(name)


def _found_file(name: str) -> _Found:
    source = None if name == STANDARD else Path(name)
    return _Found(name, source, PurePath(PurePath(name).name))


def _found_below(folder: Path, output: Path, recursive: bool) -> list[_Found]:
    """A folder's pictures, chosen by suffix; hidden and half-written files and ``output`` itself are passed over."""
    paths = list(_walk(folder, os.path.realpath(output), recursive))
    if not paths:
        hint = "" if recursive else "; -r looks into its sub-folders too"
        raise UsageError(f"{str(folder)!r}: no pictures in it ({', '.join(FORMATS)}){hint}")
    return [_Found(str(path), path, path.relative_to(folder)) for path in paths]


def _walk(folder: Path, output: str, recursive: bool) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        wanted = sorted(name for name in folders if recursive and not _hidden(name))
        folders[:] = [name for name in wanted if os.path.realpath(os.path.join(root, name)) != output]
        yield from (Path(root, name) for name in sorted(names) if _known(name) and not _hidden(name))


def _hidden(name: str) -> bool:
    return name.startswith((".", STAGED_PREFIX))


def _known(name: str | PurePath) -> bool:
    return PurePath(name).suffix.lstrip(".").lower() in FORMATS


def _stem(path: PurePath) -> str:
    """The name without its suffix, unless that is no picture's: ``scan.2024`` is a whole stem."""
    return path.stem if _known(path) else path.name


def _new_suffix(source: Path | None, format: str | None) -> str:
    """The suffix stays as it is written if it names the wanted format; a file without one is asked for its content."""
    own = source.suffix if source is not None else ""
    kind = FORMATS.get(own.lstrip(".").lower())
    wanted = FORMATS[format] if format is not None else kind or _sniffed(source) or "png"
    return own if kind == wanted else SUFFIXES[wanted]


def _sniffed(source: Path | None) -> str | None:
    if source is None or not source.is_file():
        return None
    try:
        with source.open("rb") as stream:
            return sniff(stream.read(_HEAD_BYTES))
    except OSError:
        return None  # decoding will fail and say why


def _refuse_in_place(jobs: Iterable[Job]) -> None:
    sources = {os.path.realpath(job.source) for job in jobs if job.source is not None}
    clashing = [str(job.output) for job in jobs if job.output is not None and os.path.realpath(job.output) in sources]
    if clashing:
        raise UsageError(f"inputs are never written over: {_some(clashing)}; give another -o")


def _refuse_clashes(jobs: Iterable[Job]) -> None:
    claims: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.output is not None:
            claims[os.path.abspath(job.output)].append(job.input)
    clashes = {path: names for path, names in claims.items() if len(names) > 1}
    if clashes:
        pairs = [f"{' and '.join(map(repr, names))} → {os.path.relpath(path)!r}" for path, names in clashes.items()]
        raise UsageError(f"several inputs would become one output: {'; '.join(pairs)}")


def _refuse_obstructed(jobs: Iterable[Job]) -> None:
    """Refuse outputs that are folders, or that lie below something that is none."""
    outputs = [job.output for job in jobs if job.output is not None]
    for parent in {output.parent for output in outputs}:
        while not os.path.lexists(parent):
            parent = parent.parent
        if not parent.is_dir():
            raise UsageError(f"{str(parent)!r} is not a folder, so nothing can be written below it")
    folders = [str(output) for output in outputs if os.path.isdir(output)]
    if folders:
        raise UsageError(f"a folder is in the way of an output: {_some(folders)}")


def _settle_existing(jobs: Sequence[Job], existing: Existing) -> tuple[Job, ...]:
    taken = {job.output for job in jobs if job.output is not None and os.path.lexists(job.output)}
    if taken and existing == "refuse":
        names = _some([str(job.output) for job in jobs if job.output in taken])
        raise UsageError(f"exists already: {names}; --overwrite replaces it, --skip-existing leaves it")
    return tuple(replace(job, skip=existing == "skip" and job.output in taken) for job in jobs)


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
