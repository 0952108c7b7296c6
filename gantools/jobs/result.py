"""The result of one image. No torch."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from gantools.errors import GantoolsError
from gantools.jobs.remote import Location

Status: TypeAlias = Literal["done", "failed", "skipped", "planned"]


class Planned(Protocol):
    """A planned image: its name for messages, and the output file (None where the content is handed over)."""

    @property
    def input(self) -> str: ...

    @property
    def output(self) -> Location | None: ...


@dataclass(frozen=True)
class Stages:
    """Seconds of work on one image, stage by stage, without the waiting in between: stages overlap in a run."""

    decode: float = 0.0
    network: float = 0.0
    encode: float = 0.0

    @property
    def seconds(self) -> float:
        return self.decode + self.network + self.encode


@dataclass(frozen=True)
class Result:
    """One input's fate.

    Sizes are (width, height). ``error`` is the reason without the name, ``exit_code`` what it ends a run of this single
    input with, ``traceback`` for whoever looks for the cause. ``content`` is the encoded image where there is no
    output file. ``seconds`` is the work on this image, ``stages`` its parts. ``more_outputs`` are files beside
    ``output``, ``facts`` what else is to be known of the image, as values for JSON, and ``note`` that in words.
    """

    input: str
    output: Location | None
    status: Status
    seconds: float = 0.0
    error: str | None = None
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    exit_code: int = 0
    content: bytes | None = field(default=None, repr=False)
    traceback: str | None = field(default=None, repr=False)
    stages: Stages | None = None
    more_outputs: tuple[Path, ...] = ()
    facts: Mapping[str, Any] | None = None
    note: str | None = None


def untouched(job: Planned, status: Status = "skipped") -> Result:
    """The result of a job that nothing was done for."""
    return Result(job.input, job.output, status)


def failed(
    job: Planned,
    error: Exception,
    seconds: float,
    input_size: tuple[int, int] | None,
    stages: Stages | None = None,
) -> Result:
    """The result of a job that ``error`` ended."""
    if isinstance(error, GantoolsError):
        reason = str(error)
    elif isinstance(error, OSError) and error.strerror and error.filename:
        reason = f"{str(error.filename)!r}: {error.strerror}"
    else:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
    return Result(
        job.input,
        job.output,
        "failed",
        seconds,
        error=reason.removeprefix(f"{job.input!r}: "),
        input_size=input_size,
        exit_code=error.exit_code if isinstance(error, GantoolsError) else 1,
        traceback="".join(traceback.format_exception(error)),
        stages=stages,
    )
