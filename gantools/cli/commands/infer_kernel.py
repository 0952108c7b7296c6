"""``gantools infer deblur --kernel``: a known blur undone without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.cli.commands.infer_asked import Asked, word
from gantools.cli.commands.infer_choices import Source
from gantools.cli.commands.infer_results import tell_all
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.run import Deconvolution


def undo(asked: Asked, kernel: str, inputs: Sequence[str]) -> int:
    """Deconvolve by a known kernel; the exit code. Raises UsageError for what only networks have."""
    _refuse_networks(asked)
    undone = _deconvolution(asked, kernel, inputs)
    facts = {"recipe": "deblur", "kernel": undone.inverse.kernel, "method": undone.inverse.method}
    return tell_all(undone, asked, inputs, facts)


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
        "--scale-to": asked.scale_to if asked.scale_to != "auto" else None,
        "--tta": asked.tta or None,
        "--compile": asked.compile or None,
    }
    others = [name for name, value in typed.items() if value is not None]
    if others:
        raise UsageError(f"--kernel undoes a blur without a network: leave out {', '.join(others)}")


def _deconvolution(asked: Asked, kernel: str, inputs: Sequence[str]) -> Deconvolution:
    from gantools.inference import run as deconvolution
    from gantools.inference.plan import plan

    jobs = plan(inputs, label=f"{deconvolution.RECIPE}-{word(asked.method)}", **asked.placing)
    inverse = deconvolution.Inverse(kernel, word(asked.method), asked.balance, asked.iterations)
    return deconvolution.prepare_deconvolution(inverse, jobs, asked.settings())
