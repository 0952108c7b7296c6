"""Which files are read and where their results go. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from gantools.errors import UsageError
from gantools.images.formats import FORMATS, format_of
from gantools.jobs import outputs
from gantools.jobs.image_files import left_out, new_suffix, stem, walk

STANDARD = "-"
"""Standard input or output, where it is typed as a name."""


@dataclass(frozen=True)
class Job:
    """One image to be made: ``input`` is its name for messages.

    No ``source``: standard input. No ``output``: the content goes to whoever asked, in ``format`` or, if that is None,
    in the image's own. ``skip``: the output exists and is left as it is.
    """

    input: str
    source: Path | None
    output: Path | None
    format: str | None
    skip: bool = False


@dataclass(frozen=True)
class _Found:
    """An image to be read and its place below an output folder."""

    input: str
    source: Path | None
    place: PurePath


def placed(
    inputs: Sequence[str],
    label: str,
    output: str | None,
    format: str | None,
    *,
    recursive: bool,
    listed: bool = False,
) -> list[Job]:
    """The output of every image in ``inputs`` (files, folders, or ``-``), before anything is known of what exists.

    One file goes to ``output``, or beside itself as ``<stem>.<label>.<suffix>``; folders and several files go into the
    folder ``output`` and keep their tree. Suffixes stay unless ``format`` (a key of ``FORMATS``) is given.
    ``listed`` inputs are those of a list, which may happen to hold one or none: ``output`` is a folder for them too.
    Raises UsageError: something is missing, or there is no place for the results.
    """
    if listed and not inputs:
        return []
    if not inputs:
        raise UsageError("no input: give images or folders")
    if STANDARD in inputs and len(inputs) > 1:
        raise UsageError("standard input (-) must be the only input")
    missing = [name for name in inputs if name != STANDARD and not os.path.exists(name)]
    if missing:
        raise UsageError(f"no such file or folder: {outputs.some(missing)}")
    if len(inputs) == 1 and not os.path.isdir(inputs[0]) and not (listed and output):
        return [_single_job(_found_file(inputs[0]), output, label, format)]
    folder = _output_folder(output)
    return [_job_below(found, folder, format) for found in _found(inputs, folder, recursive)]


def _single_job(found: _Found, output: str | None, label: str, format: str | None) -> Job:
    if output == STANDARD:
        return Job(found.input, found.source, None, None if format is None else FORMATS[format])
    if output is not None and not _means_folder(output):
        return Job(found.input, found.source, Path(output), _format_of_output(output, format))
    if found.source is None:
        raise UsageError("standard input (-) has no name to derive one from; give -o FILE or -o -")
    if output is not None:
        return _job_below(found, Path(output), format)
    suffix = new_suffix(found.source, format)
    beside = found.source.with_name(f"{stem(found.source)}.{label}{suffix}")
    return Job(found.input, found.source, beside, format_of(beside))


def _job_below(found: _Found, folder: Path, format: str | None) -> Job:
    suffix = new_suffix(found.source, format)
    place = folder / found.place.with_name(stem(found.place) + suffix)
    return Job(found.input, found.source, place, format_of(place))


def _means_folder(output: str) -> bool:
    return output.endswith(os.sep) or os.path.isdir(output)


def _output_folder(output: str | None) -> Path:
    if output is None or output == STANDARD:
        raise UsageError("a folder or several images need a folder for the results: -o DIR")
    if PurePath(output).suffix.lstrip(".").lower() in FORMATS and not _means_folder(output):
        raise UsageError(f"-o {output!r}: is one image, and there are several; give a folder, or end it with {os.sep}")
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
        if not os.path.isdir(name):
            yield _found_file(name)
            continue
        folder = Path(name)  # its images by suffix; hidden and half-written files and ``output`` itself are passed over
        paths = list(walk(folder, output, recursive=recursive))
        if not paths:
            hint = "" if recursive else "; -r looks into its sub-folders too"
            left = left_out([folder], output, recursive=recursive).lines()
            raise UsageError("; ".join([f"{str(folder)!r}: no images in it ({', '.join(FORMATS)}){hint}", *left]))
        yield from (_Found(str(path), path, path.relative_to(folder)) for path in paths)


def _found_file(name: str) -> _Found:
    source = None if name == STANDARD else Path(name)
    return _Found(name, source, PurePath(PurePath(name).name))
