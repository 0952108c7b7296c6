"""What was planned is done, or rehearsed, and each result told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gantools.cli.commands.infer_asked import Asked
from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import ResultPrinter

if TYPE_CHECKING:
    from gantools.inference.plan import Job
    from gantools.inference.run import Deconvolution, Session


def tell_all(planned: Session | Deconvolution, asked: Asked, inputs: Sequence[str], facts: Mapping[str, str]) -> int:
    """Carry out what was planned, or with --dry-run only say it; the exit code. ``facts`` end a run's JSON Lines."""
    left = results.left_out(inputs, asked.output, recursive=asked.recursive)
    teller = ResultPrinter(asked.json_lines, len(planned.jobs), asked.line_end)
    if asked.dry_run:
        for result in planned.rehearse():
            teller.tell(result)
        return teller.conclude({**facts, **left})
    try:
        _carry_out(planned, teller)
    except (KeyboardInterrupt, SystemExit):
        _say_how_to_go_on(planned.jobs, asked, teller.counts["done"])
        raise
    return teller.conclude({**facts, **left})


def _carry_out(planned: Session | Deconvolution, teller: ResultPrinter) -> None:
    """Progress counts what is to be made, so that results which are there already do not look like speed."""
    total, done = sum(not job.skip for job in planned.jobs), 0
    with planned.run() as results, progress("images") as update:
        if results.measured:
            console.message(results.measured)
        for result in results:
            teller.tell(result)
            if result.status != "skipped":
                done += 1
                update(done, total)


def _say_how_to_go_on(jobs: Sequence[Job], asked: Asked, done: int) -> None:
    """What a stopped run of several pictures has left behind: files that were being written are finished too."""
    outputs = [job.output for job in jobs if job.output is not None]
    if len(outputs) < 2:
        return
    count = done if asked.overwrite else sum(map(os.path.lexists, outputs))
    option = "" if asked.skip_existing else " with --skip-existing"
    option += " instead of --overwrite" if asked.overwrite else ""
    console.message(f"stopped: {count} of {len(outputs)} are done; the same command{option} does the rest")
