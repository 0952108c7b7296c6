"""``gantools infer deblur --kernel``: a known blur undone without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.cli.infer.choices import Direction, Source
from gantools.cli.infer.progress import progress
from gantools.cli.outcomes import Teller
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.deconvolution import Deconvolution


def refuse_networks(
    model: str,
    *,
    mask: str | None,
    export: str | None,
    direction: Direction | None,
    blend: float | None,
    source: Source,
    tta: bool,
) -> None:
    """Raise UsageError for a network beside a kernel, or options that only networks have."""
    if model != "deblur":
        raise UsageError(f"--kernel undoes a blur without a network: type deblur instead of {model!r}")
    asked = {
        "--mask": mask,
        "--export": export,
        "--direction": direction,
        "--blend": blend,
        "--from": source is Source.photo or None,
        "--tta": tta or None,
    }
    others = [name for name, value in asked.items() if value is not None]
    if others:
        raise UsageError(f"--kernel undoes a blur without a network: leave out {', '.join(others)}")


def undo(undone: Deconvolution, teller: Teller, dry_run: bool) -> int:
    """Deconvolve by a known kernel; the exit code."""
    if dry_run:
        for result in undone.rehearse():
            teller.tell(result)
    else:
        with undone.run() as results, progress(len(undone.jobs)) as advance:
            for result in results:
                teller.tell(result)
                advance()
    return teller.conclude({"recipe": "deblur", "kernel": undone.inverse.kernel, "method": undone.inverse.method})
