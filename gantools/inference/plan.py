"""Which files an inference run reads and writes, settled before any work. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gantools.inference.options import InferOptions
from gantools.jobs import outputs
from gantools.jobs.plan import Job, placed


def plan(inputs: Sequence[str], label: str, options: InferOptions) -> tuple[Job, ...]:
    """Settle the output of every image in ``inputs`` (files, folders, or ``-``), as ``placed`` finds its place.

    ``shard`` (I, N; auto is resolved before) keeps the I-th of every N jobs; what would collide is looked for among
    all of them.
    Raises UsageError: something is missing, two outputs are one, an output is an input or exists.
    """
    assert options.shard != "auto"
    format = None if options.format == "keep" else options.format
    jobs = placed(
        inputs, label, options.output, format, recursive=options.recursive, listed=options.listed, elsewhere=True
    )
    own = jobs if options.shard is None else jobs[options.shard[0] - 1 :: options.shard[1]]
    claims = [(job.input, job.output) for job in jobs if job.output is not None]
    sources = [job.source for job in jobs if job.source is not None]
    kept = outputs.settle(claims, sources, options.existing, [job.output for job in own if job.output])
    return tuple(replace(job, skip=job.output in kept) for job in own)
