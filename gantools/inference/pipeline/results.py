"""Decode → network → encode, beside each other; results in the order of the jobs, one for each."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from gantools.inference.options import Settings
from gantools.inference.pipeline.decode_pool import Supply
from gantools.inference.pipeline.encode import Encoding, Made
from gantools.inference.plan import Job
from gantools.jobs.result import Result, untouched

if TYPE_CHECKING:
    from gantools.inference.pipeline.batches import Batches, Change


class Run(Iterator[Result]):
    """The results of a run, one for each job and in their order, as they are done.

    Decoders start as soon as this is made, so that they work while the network is opened; ``change`` says what is done
    to the pictures, without which every one is skipped. ``close``, the end of ``with`` and letting go of it end the
    run: nothing further is written. ``measured`` says how ``--fast`` chose its arithmetic, where it was measured.
    """

    measured: str | None = None
    _begun = False  # a signal may end the program while this is being made

    def __init__(self, jobs: Sequence[Job], settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings
        self._results = (untouched(job) for job in jobs)
        self._supply = Supply([job for job in jobs if not job.skip], settings)
        self._begun = True

    def change(self, change: Change, batches: Batches | None = None) -> Run:
        """Put every picture through ``change``, or several together through ``batches``."""
        from gantools.inference.pipeline.batches import changed  # imports torch, while images are decoded already

        made = changed(self._supply, change, batches)
        self._results = _results(self._jobs, made, self._settings)
        return self

    @property
    def pictures(self) -> int:
        """How many pictures are to be changed."""
        return len(self._supply.jobs)

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


def _results(jobs: Sequence[Job], made: Iterator[Made], settings: Settings) -> Generator[Result, None, None]:
    with Encoding(settings) as encoding:
        for result in _in_line(jobs, made, encoding, one_at_a_time=settings.fail_fast):
            yield result
            if settings.fail_fast and result.status == "failed":
                return


def _in_line(jobs: Sequence[Job], made: Iterator[Made], encoding: Encoding, *, one_at_a_time: bool) -> Iterator[Result]:
    """``one_at_a_time``: nothing is written before all that comes before it has been."""
    for job in jobs:
        if job.skip:
            encoding.append(untouched(job))
        else:
            following = next(made)
            yield from encoding.results(wait=one_at_a_time)
            encoding.submit(following)
            del following  # whoever waits for a large picture to be written holds it once
        yield from encoding.results(wait=False)
    yield from encoding.results(wait=True)
