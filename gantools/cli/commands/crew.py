"""Several processes of one command: starting them, and who of them speaks."""

from __future__ import annotations

import sys

from gantools.cli.output import console
from gantools.cli.output.progress import TrainingReporter
from gantools.errors import UsageError
from gantools.training.distributed import rank_info, rank_process
from gantools.training.reporter import Reporter, Silent


def start(count: int) -> None:
    """Carry out this very command line as ``count`` processes and end as they did; one of them returns from here."""
    if rank_process.is_launched() or count == 1:
        return
    if rank_info.place().count > 1:
        raise UsageError("--nproc: torchrun has started the processes already; leave it out")
    from gantools.training.distributed import launcher

    ended = launcher.launch(count, sys.argv[1:])
    if ended.line is not None:
        console.failure(ended.line)
    raise SystemExit(ended.code)


def reporter(*, rows_as_json: bool) -> Reporter:
    """The first process shows the training; of the others only what they alone know is told."""
    where = rank_info.place()
    return TrainingReporter(rows_as_json=rows_as_json) if where.is_first else _Other(where.rank)


def part() -> None:
    """Take leave of the other processes, after a training that ended well."""
    if rank_info.place().count > 1:
        from gantools.training.distributed import communicator

        communicator.part()


class _Other(Silent):
    """Tells what another process than the first has to say, such as a file that cannot be read."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def message(self, text: str) -> None:
        console.message(f"rank {self._rank}: {text}")
