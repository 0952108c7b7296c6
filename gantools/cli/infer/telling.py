"""What was planned is done, or rehearsed, and each result told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gantools.cli.infer.asked import Asked
from gantools.cli.infer.progress import progress
from gantools.cli.outcomes import Teller

if TYPE_CHECKING:
    from gantools.inference.deconvolution import Deconvolution
    from gantools.inference.session import Session


def tell_all(planned: Session | Deconvolution, asked: Asked, facts: Mapping[str, str]) -> int:
    """Carry out what was planned, or with --dry-run only say it; the exit code. ``facts`` end a run's JSON Lines."""
    teller = Teller(asked.json_lines, len(planned.jobs), asked.line_end)
    if asked.dry_run:
        for result in planned.rehearse():
            teller.tell(result)
    else:
        with planned.run() as results, progress(len(planned.jobs)) as advance:
            for result in results:
                teller.tell(result)
                advance()
    return teller.conclude(facts)
