"""Pictures through a known blur's inverse instead of a network: the baseline of ``infer deblur``. No torch to plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from gantools.inference.plan import Job
from gantools.inference.session import require_depth
from gantools.inference.settings import Settings
from gantools.jobs.result import Result

if TYPE_CHECKING:
    from gantools.images.picture import Picture, Pixels
    from gantools.inference.pipeline import Run

Method: TypeAlias = Literal["wiener", "richardson_lucy"]

RECIPE = "deblur"
"""The recipe whose networks this is compared with."""


@dataclass(frozen=True)
class Inverse:
    """How a blur is undone: ``kernel`` is a file of one blur kernel, or ``FILE#N`` for the N-th of several.

    ``balance`` is the weight of smoothness in Wiener's filter, ``iterations`` is for Richardson and Lucy.
    """

    kernel: str
    method: Method
    balance: float
    iterations: int

    def function(self) -> Callable[[Pixels], Pixels]:
        """Read the kernel. Raises DataError."""
        from gantools.images import deconvolution, kernels

        kernel = kernels.read_kernel(self.kernel)
        if self.method == "wiener":
            return partial(deconvolution.wiener, kernel=kernel, balance=self.balance)
        return partial(deconvolution.richardson_lucy, kernel=kernel, iterations=self.iterations)


@dataclass(frozen=True)
class Deconvolution:
    """A planned run without weights."""

    inverse: Inverse
    jobs: tuple[Job, ...]
    settings: Settings

    def run(self) -> Run:
        """Read the kernel and restore the pictures; results come as they are done, in order.

        Raises DataError before the first result.
        """
        from gantools.inference.pipeline import Run

        restore, drop_alpha = self.inverse.function(), self.settings.alpha == "drop"
        return Run(self.jobs, self.settings).change(
            lambda picture, _: _restored(picture, restore=restore, drop_alpha=drop_alpha)
        )

    def rehearse(self) -> list[Result]:
        """What ``run`` would do, as results without content."""
        from gantools.inference.sizes import rehearsed

        return rehearsed(self.jobs, 1, self.settings)


def prepare(inverse: Inverse, jobs: tuple[Job, ...], settings: Settings) -> Deconvolution:
    """Check what is planned. Raises UsageError."""
    require_depth(jobs, settings)
    return Deconvolution(inverse, jobs, settings)


def _restored(picture: Picture, *, restore: Callable[[Pixels], Pixels], drop_alpha: bool) -> Picture:
    """Colours restored; size, depth, gray, alpha and metadata kept."""
    from gantools.images import transparency

    if drop_alpha:
        return replace(picture, pixels=restore(picture.pixels), alpha=None)
    pixels = restore(transparency.spread(picture))
    transparency.restore(pixels, picture)
    return replace(picture, pixels=pixels)
