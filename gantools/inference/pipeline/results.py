"""Decode → translate → encode, at the same time; one result for each job, in their order."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from gantools.inference.options import InferOptions
from gantools.jobs.plan import Job
from gantools.jobs.remote import RemotePath
from gantools.jobs.result import Result, untouched

if TYPE_CHECKING:
    from gantools.inference.pipeline.batches import BatchRunner, Translate
    from gantools.inference.pipeline.decode_pool import DecodePool
    from gantools.inference.pipeline.encode import Encoder, Translated


class Results(Iterator[Result]):
    """The results of a run, one for each of its ``jobs`` and in their order, as soon as they are done.

    ``close``, the end of ``with`` and letting go of it end the run: nothing further is written. ``facts`` describe the
    run (weights, recipe) and ``notes`` are lines about how it runs.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        results: Iterator[Result],
        pool: DecodePool | None = None,
        facts: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._results, self._pool = results, pool
        self.jobs, self.facts, self.notes = jobs, dict(facts or {}), list(notes)

    def __next__(self) -> Result:
        return next(self._results)

    def close(self) -> None:
        """Stop: what is being written is finished, nothing else is."""
        if isinstance(self._results, Generator):
            self._results.close()
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_pool"):  # a signal may end the program while this is being made
            self.close()


def run_pipeline(
    jobs: Sequence[Job], pool: DecodePool, translate: Translate, batches: BatchRunner | None, options: InferOptions
) -> Generator[Result, None, None]:
    """Put the images of a pool through ``translate``, or several at once through ``batches``, and write them.

    ``pool`` decodes those jobs that are not skipped. With ``fail_fast`` nothing is written before all that comes before
    it has been, and nothing after a failure.
    """
    from gantools.inference.pipeline.batches import translated  # torch, which the pool does not wait for
    from gantools.inference.pipeline.encode import Encoder

    following = translated(pool, translate, batches)
    elsewhere = any(isinstance(job.output, RemotePath) for job in jobs)
    with Encoder(options, elsewhere=elsewhere) as encoder:
        for result in _in_order(jobs, following, encoder, one_at_a_time=options.fail_fast):
            yield result
            if options.fail_fast and result.status == "failed":
                return


def _in_order(
    jobs: Sequence[Job], translated: Iterator[Translated], encoder: Encoder, *, one_at_a_time: bool
) -> Iterator[Result]:
    for job in jobs:
        if job.skip:
            encoder.append(untouched(job))
        else:
            following = next(translated)
            yield from encoder.results(wait=one_at_a_time)
            encoder.submit(following)
            del following  # whoever waits for a large image to be written holds it once
        yield from encoder.results(wait=False)
    yield from encoder.results(wait=True)
