"""The names of the inputs, as typed and as listed, and the pipes that they come and go through."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gantools.cli.output import results
from gantools.errors import UsageError
from gantools.jobs.plan import STANDARD


def inputs_of(typed: Sequence[str], files_from: str | None, null: bool) -> list[str]:
    """What is typed and what is listed. Raises UsageError for a list that cannot be read as it is said to be."""
    if files_from is None:
        if null:
            raise UsageError("-0 says how --files-from ends its names; give --files-from FILE or -")
        return list(typed)
    if files_from == STANDARD and STANDARD in typed:
        raise UsageError("- and --files-from - both want standard input; give one")
    return [*typed, *_listed(_content(files_from), null)]


def _content(files_from: str) -> bytes:
    if files_from == STANDARD:
        if sys.stdin is None:
            raise UsageError("--files-from - reads standard input, which is closed")
        return sys.stdin.buffer.read()
    try:
        return Path(files_from).read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {files_from!r}: cannot be read: {error.strerror or error}") from error


def _listed(content: bytes, null: bool) -> list[str]:
    """Names are bytes, whatever they mean in an encoding; ``-`` in a list is a file of that name.

    Lists that Windows wrote are understood: a byte-order mark, UTF-16, lines that all end with CR LF.
    """
    content = _without_mark(content)
    if not null and b"\0" in content:
        raise UsageError("--files-from: the names end with NUL; add -0")
    *ended, last = content.split(b"\0" if null else b"\n")
    if not null and all(name.endswith(b"\r") for name in ended):
        ended = [name[:-1] for name in ended]
    names = [name for name in (*ended, last) if name]
    return [os.path.join(os.curdir, STANDARD) if name == STANDARD else name for name in map(os.fsdecode, names)]


def _without_mark(content: bytes) -> bytes:
    """The list as bytes in the file system's encoding: without a byte-order mark, and of UTF-16 as UTF-8.

    UTF-16 without a mark is known by its line ends. Raises UsageError where it is not whole.
    """
    big = content.startswith(codecs.BOM_UTF16_BE)
    if not big and not content.startswith(codecs.BOM_UTF16_LE) and b"\n\0" not in content:
        return content.removeprefix(codecs.BOM_UTF8)
    try:
        return os.fsencode(content.decode("utf-16-be" if big else "utf-16-le").removeprefix("\ufeff"))
    except UnicodeError as error:
        raise UsageError(f"--files-from: looks like UTF-16 but is not ({error}); save the list as UTF-8") from error


def check_streams(inputs: Sequence[str], output: str | None, *, json_lines: bool, print0: bool) -> None:
    """Refuse pipes that cannot work; let names on stdout be the bytes that they are in the file system."""
    if output == STANDARD and (json_lines or print0):
        raise UsageError(f"-o - and {'--json' if json_lines else '--print0'} both want standard output; give one")
    if json_lines and print0:
        raise UsageError("--json and --print0 both want standard output; give one")
    if output == STANDARD and sys.stdout.isatty():
        raise UsageError("-o - would write an image's bytes to the terminal; send them to a file or a pipe")
    if STANDARD in inputs and (sys.stdin is None or sys.stdin.isatty()):
        what = "closed" if sys.stdin is None else "the terminal"
        raise UsageError(f"- reads an image from standard input, which is {what}; send it a file or a pipe")
    results.names_as_stored()
