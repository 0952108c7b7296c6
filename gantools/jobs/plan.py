"""Which files are read and where their results go. No torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from gantools.errors import UsageError
from gantools.images.formats import FORMATS, format_of
from gantools.jobs import outputs, remote
from gantools.jobs.image_files import known, left_out, new_suffix, stem, walk
from gantools.jobs.remote import Location, RemotePath, is_remote, located

STANDARD = "-"
"""Standard input or output, where it is typed as a name."""


@dataclass(frozen=True)
class Job:
    """One image to be made: ``input`` is its name for messages.

    No ``source``: standard input. No ``output``: the content goes to whoever asked, in ``format`` or, if that is None,
    in the image's own. ``skip``: the output exists and is left as it is.
    """

    input: str
    source: Location | None
    output: Location | None
    format: str | None
    skip: bool = False


@dataclass(frozen=True)
class _Found:
    """An image to be read and its place below an output folder."""

    input: str
    source: Location | None
    place: PurePath


def placed(
    inputs: Sequence[str],
    label: str,
    output: str | None,
    format: str | None,
    *,
    recursive: bool,
    listed: bool = False,
    elsewhere: bool = False,
) -> list[Job]:
    """The output of every image in ``inputs`` (files, folders, or ``-``), before anything is known of what exists.

    One file goes to ``output``, or beside itself as ``<stem>.<label>.<suffix>``; folders and several files go into the
    folder ``output`` and keep their tree. Suffixes stay unless ``format`` (a key of ``FORMATS``) is given.
    ``listed`` inputs are those of a list, which may happen to hold one or none: ``output`` is a folder for them too.
    With ``elsewhere`` inputs and ``output`` may also be URLs.
    Raises UsageError: something is missing, or there is no place for the results.
    """
    if listed and not inputs:
        return []
    if not inputs:
        raise UsageError("no input: give images or folders")
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) must be the only input")
    if not elsewhere and any(map(is_remote, inputs)):
        raise UsageError("this command reads local files; infer reads s3://, https:// and others, too")
    kinds = {name: _kind(name) for name in inputs}
    missing = [str(located(name)) for name, kind in kinds.items() if kind is None]
    if missing:
        raise UsageError(f"no such file or folder: {outputs.some(missing)}")
    if len(inputs) == 1 and kinds[inputs[0]] == "file" and not (listed and output):
        return [_single_job(_found_file(inputs[0]), output, label, format)]
    folder = _output_folder(output)
    found = [each for name in inputs for each in _found(name, kinds[name] == "folder", folder, recursive)]
    return [_job_below(each, folder, format) for each in found]


def _kind(name: str) -> Literal["file", "folder"] | None:
    """What a name stands for; None: nothing. Elsewhere a name with an image's suffix is a file, without asking."""
    path = located(name)
    if isinstance(path, RemotePath):
        return "file" if known(path.name) else remote.kind(path)
    return "folder" if os.path.isdir(name) else "file" if name == STANDARD or os.path.exists(name) else None


def _single_job(found: _Found, output: str | None, label: str, format: str | None) -> Job:
    if output == STANDARD:
        return Job(found.input, found.source, None, None if format is None else FORMATS[format])
    if output is not None and not _means_folder(output):
        return Job(found.input, found.source, located(output), _format_of_output(output, format))
    if found.source is None:
        raise UsageError("standard input (-) has no name to derive one from; give -o FILE or -o -")
    if output is not None:
        return _job_below(found, located(output), format)
    if isinstance(found.source, RemotePath):
        raise UsageError(f"{found.input!r}: nothing is written beside it unless asked for; give -o FILE")
    suffix = new_suffix(found.source, format)
    beside = found.source.with_name(f"{stem(found.source)}.{label}{suffix}")
    return Job(found.input, found.source, beside, format_of(beside))


def _job_below(found: _Found, folder: Location, format: str | None) -> Job:
    suffix = new_suffix(found.source, format)
    place = folder / found.place.with_name(stem(found.place) + suffix)
    return Job(found.input, found.source, place, format_of(place.name))


def _means_folder(output: str) -> bool:
    return output.endswith("/" if is_remote(output) else os.sep) or _kind(output) == "folder"


def _output_folder(output: str | None) -> Location:
    if output is None or output == STANDARD:
        raise UsageError("a folder or several images need a folder for the results: -o DIR")
    if PurePath(output).suffix.lstrip(".").lower() in FORMATS and not _means_folder(output):
        raise UsageError(f"-o {output!r}: is one image, and there are several; give a folder, or end it with {os.sep}")
    return located(output)


def _format_of_output(output: str, format: str | None) -> str:
    """The format of a file that the user named."""
    own = FORMATS.get(PurePath(output).suffix.lstrip(".").lower())
    wanted = None if format is None else FORMATS[format]
    if own is not None and wanted is not None and own != wanted:
        raise UsageError(f"-o {output!r} and --format {format} contradict each other")
    if own is None and wanted is None:
        raise UsageError(f"-o {output!r}: no format has this suffix; add one such as .png, or / for a folder")
    return own or wanted or ""


def _found(name: str, is_folder: bool, output: Location, recursive: bool) -> list[_Found]:
    """A file; or a folder's images by suffix, but for hidden and half-written ones and those in ``output``."""
    if not is_folder:
        return [_found_file(name)]
    folder = located(name)
    if isinstance(folder, RemotePath):
        places = list(filter(known, remote.below(folder, output, recursive=recursive)))
        left = []
    else:
        own = output if isinstance(output, Path) else Path(os.devnull)
        places = [path.relative_to(folder) for path in walk(folder, own, recursive=recursive)]
        left = [] if places else left_out([folder], own, recursive=recursive).lines()
    if not places:
        hint = "" if recursive else "; -r looks into its sub-folders too"
        raise UsageError("; ".join([f"{str(folder)!r}: no images in it ({', '.join(FORMATS)}){hint}", *left]))
    return [_Found(str(folder / place), folder / place, place) for place in places]


def _found_file(name: str) -> _Found:
    if name == STANDARD:
        return _Found(name, None, PurePath(name))
    source = located(name)
    return _Found(str(source) if is_remote(name) else name, source, PurePath(source.name))
