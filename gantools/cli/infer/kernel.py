"""``gantools infer deblur --kernel``: a known blur undone without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.cli.infer.asked import Asked, word
from gantools.cli.infer.choices import Source
from gantools.cli.infer.progress import progress
from gantools.cli.outcomes import Teller
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.deconvolution import Deconvolution


def undo(asked: Asked, kernel: str, inputs: Sequence[str]) -> int:
    """Deconvolve by a known kernel; the exit code. Raises UsageError for what only networks have."""
    _refuse_networks(asked)
    undone = _deconvolution(asked, kernel, inputs)
    teller = Teller(asked.json_lines, len(undone.jobs), asked.line_end)
    if asked.dry_run:
        for result in undone.rehearse():
            teller.tell(result)
    else:
        with undone.run() as results, progress(len(undone.jobs)) as advance:
            for result in results:
                teller.tell(result)
                advance()
    return teller.conclude({"recipe": "deblur", "kernel": undone.inverse.kernel, "method": undone.inverse.method})


def _refuse_networks(asked: Asked) -> None:
    """Raise UsageError for a network beside a kernel, or options that only networks have."""
    if asked.model != "deblur":
        raise UsageError(f"--kernel undoes a blur without a network: type deblur instead of {asked.model!r}")
    typed = {
        "--mask": asked.mask,
        "--export": asked.export,
        "--direction": asked.direction,
        "--blend": asked.blend,
        "--blend-with": asked.blend_with,
        "--from": asked.source is Source.photo or None,
        "--tta": asked.tta or None,
        "--compile": asked.compile or None,
    }
    others = [name for name, value in typed.items() if value is not None]
    if others:
        raise UsageError(f"--kernel undoes a blur without a network: leave out {', '.join(others)}")


def _deconvolution(asked: Asked, kernel: str, inputs: Sequence[str]) -> Deconvolution:
    from gantools.inference import deconvolution
    from gantools.inference.plan import plan

    jobs = plan(
        inputs,
        recipe=deconvolution.RECIPE,
        output=asked.output,
        recursive=asked.recursive,
        format=asked.file_format,
        existing=asked.existing,
        shard=asked.share,
        listed=asked.listed,
    )
    inverse = deconvolution.Inverse(kernel, word(asked.method), asked.balance, asked.iterations)
    return deconvolution.prepare(inverse, jobs, asked.settings())
