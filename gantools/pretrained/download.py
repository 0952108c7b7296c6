"""One file from the network: on request only, continued where it broke off, checked before it gets its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, TypeAlias, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gantools import __version__, files
from gantools.errors import ModelFileError

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told the bytes that are there and the bytes that will be (None: the server does not say)."""

BLOCK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30
RANGE_NOT_SATISFIABLE = 416


def silent(_bytes: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


def download(
    url: str, target: Path, digest: str, *, progress: Progress = silent, schemes: Sequence[str] = ("https",)
) -> None:
    """Get ``url`` as ``target``. What came before a break stays in ``<target>.part`` and is continued by the next call.

    Raises ConnectionError when the network fails, ModelFileError when the file's sha256 does not begin with ``digest``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with part.open("ab") as stream:
        _claim(stream, part)
        try:
            _receive(url, stream, progress, schemes)
        except ConnectionError:
            if not os.fstat(stream.fileno()).st_size:
                part.unlink()
            raise
        os.fsync(stream.fileno())
        if not matches(part, digest):
            part.unlink()
            raise ModelFileError(f"{url}: what came has another sha256 than {digest}…; it was thrown away")
        files.promote(part, target)


def matches(file: Path, digest: str) -> bool:
    """Whether a file's sha256 begins with ``digest``."""
    return files.sha256(file).startswith(digest)


def _claim(stream: IO[bytes], part: Path) -> None:
    """Two downloads into one file would mix; the lock ends with the process."""
    if not files.lock(stream):
        raise ConnectionError(f"{part}: another process is downloading it")


def _receive(url: str, stream: IO[bytes], progress: Progress, schemes: Sequence[str]) -> None:
    """Append to ``stream`` what it lacks of ``url``."""
    here = os.fstat(stream.fileno()).st_size
    response = _open(url, here, schemes)
    if response is None:
        return
    with response:
        if not _continues(response, here):
            stream.truncate(0)
            here = 0
        total = here + response.length if response.length is not None else None
        for block in _blocks(url, response):
            stream.write(block)
            here += len(block)
            progress(here, total)
    stream.flush()
    if total is not None and here < total:
        raise ConnectionError(f"{url}: broke off after {here} of {total} bytes; the same command goes on from there")


def _open(url: str, here: int, schemes: Sequence[str]) -> HTTPResponse | None:
    """The answer from byte ``here`` on; None when the file has no byte there, so that all of it has come already."""
    _require_scheme(url, schemes)
    headers = {"User-Agent": f"gantools/{__version__}", **({"Range": f"bytes={here}-"} if here else {})}
    try:
        opened = build_opener(_Redirects(schemes)).open(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        error.close()
        if here and error.code == RANGE_NOT_SATISFIABLE:
            return None
        raise ConnectionError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise _failed(url, error) from error
    return cast(HTTPResponse, opened)


def _continues(response: HTTPResponse, here: int) -> bool:
    """Whether the answer starts at byte ``here`` (a server may ignore the wish and start at 0)."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and start is not None and int(start[1]) == here


def _blocks(url: str, response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise _failed(url, error) from error
        if not block:
            return
        yield block


def _failed(url: str, error: Exception) -> ConnectionError:
    reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
    return ConnectionError(f"{url}: {reason}")


def _require_scheme(url: str, schemes: Sequence[str]) -> None:
    if urlsplit(url).scheme not in schemes:
        raise ConnectionError(f"{url}: only {', '.join(schemes)} is followed")


class _Redirects(HTTPRedirectHandler):
    """Follows redirections, but never out of the allowed schemes."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self.schemes = schemes

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _require_scheme(newurl, self.schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
