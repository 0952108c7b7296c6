"""Decode → network → encode, beside each other; results in the order of the jobs, one for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import TypeAlias

from gantools.images.picture import Picture
from gantools.inference.encoding import Encoding, Made
from gantools.inference.plan import Job
from gantools.inference.settings import Settings
from gantools.inference.supply import Supplied, Supply
from gantools.jobs.result import Result, Stages, untouched

Change: TypeAlias = Callable[[Picture, Job], Picture]
"""What is done to a job's picture between file and file."""


class Run(Iterator[Result]):
    """The results of a run, one for each job and in their order, as they are done.

    Decoders start as soon as this is made, so that they work while the network is opened; ``change`` says what is done
    to the pictures, without which every one is skipped. ``close``, the end of ``with`` and letting go of it end the
    run: nothing further is written.
    """

    _begun = False  # a signal may end the program while this is being made

    def __init__(self, jobs: Sequence[Job], settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings
        self._results = (untouched(job) for job in jobs)
        self._supply = Supply([job for job in jobs if not job.skip], settings)
        self._begun = True

    def change(self, change: Change) -> Run:
        """Put every picture through ``change``."""
        self._results = _results(self._jobs, self._supply, change, self._settings)
        return self

    def __next__(self) -> Result:
        return next(self._results)

    def close(self) -> None:
        """Stop: what is being written is finished, nothing else is."""
        if self._begun:
            self._results.close()
            self._supply.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _results(jobs: Sequence[Job], supply: Supply, change: Change, settings: Settings) -> Generator[Result, None, None]:
    with Encoding(settings) as encoding:
        for result in _in_line(jobs, supply, change, encoding, one_at_a_time=settings.fail_fast):
            yield result
            if settings.fail_fast and result.status == "failed":
                return


def _in_line(
    jobs: Sequence[Job], supply: Supply, change: Change, encoding: Encoding, *, one_at_a_time: bool
) -> Iterator[Result]:
    """``one_at_a_time``: nothing is written before all that comes before it has been."""
    pictures = iter(supply)
    for job in jobs:
        if job.skip:
            encoding.append(untouched(job))
        else:
            made = make(next(pictures), change)
            yield from encoding.results(wait=one_at_a_time)
            encoding.submit(made)
            del made  # whoever waits for a large picture to be written holds it once
        yield from encoding.results(wait=False)
    yield from encoding.results(wait=True)


def make(supplied: Supplied, change: Change) -> Made:
    """Change one picture. Whatever it makes a library raise is this picture's failure."""
    job, picture, stages = supplied.job, supplied.picture, Stages(decode=supplied.seconds)
    if picture is None:
        return Made(job, None, supplied.error, None, stages)
    started, size = time.perf_counter(), (picture.width, picture.height)
    try:
        changed, error = change(picture, job), None
    except Exception as caught:
        changed, error = None, caught
    return Made(job, changed, error, size, Stages(supplied.seconds, time.perf_counter() - started))
