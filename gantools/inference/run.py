"""An inference run from what was typed to its results. torch is imported when the first picture is due, not before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from gantools import files
from gantools.errors import UsageError
from gantools.images.formats import DEEP
from gantools.inference import find_weights
from gantools.inference.options import CENTER, Precision, Settings
from gantools.inference.plan import Job, Shard, plan
from gantools.jobs.outputs import Existing
from gantools.jobs.result import Result

if TYPE_CHECKING:
    import torch

    from gantools.images.image import Image, Pixels
    from gantools.inference.model import Model
    from gantools.inference.pipeline.results import Run

Name: TypeAlias = str | os.PathLike[str]

_DEFAULTS = Settings()


@dataclass(frozen=True)
class Session:
    """A planned run: nothing has been read but the weights' header, nothing written."""

    weights: Path
    recipe: str
    jobs: tuple[Job, ...]
    settings: Settings = _DEFAULTS
    export: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    blend: tuple[Path, float] | None = None

    def run(self) -> Run:
        """Open the weights and put the pictures through them; results come as they are done, in order.

        Raises ModelFileError or UsageError before the first result.
        """
        files.remove_abandoned({job.output.parent for job in self.jobs if job.output is not None})
        from gantools.inference.pipeline.results import Run

        run = Run(self.jobs, self.settings)  # pictures are decoded while torch is imported
        if all(job.skip for job in self.jobs):
            return run
        try:
            return self._put_through(run)
        except BaseException:
            run.close()
            raise

    def _put_through(self, run: Run) -> Run:
        from gantools.inference import image as engine

        model, run.measured = self._opened()
        if self.settings.mask is not None and model.export.takes != "masked":
            raise UsageError(f"--mask: {self.recipe} takes whole pictures, it fills no holes")
        return engine.put_through(model, run, self.settings)

    def _opened(self) -> tuple[Model, str | None]:
        """The model in the arithmetic and layout that are fastest here, and one line about what was measured."""
        from gantools.devices import choose_device
        from gantools.inference.kernels.select import fastest
        from gantools.inference.model import Blend, open_model

        device = choose_device(self.device)
        model = open_model(
            self.weights,
            export=self.export,
            device=device,
            precision=self._precision(device),
            blend=Blend(*self.blend) if self.blend else None,
            compile=self.settings.compile,
            fast=self.settings.fast,
        )
        return fastest(model, fast=self.settings.fast and self.precision == "auto")

    def _precision(self, device: torch.device) -> Precision:
        from gantools.devices import has_bf16

        fast = self.settings.fast and self.precision == "auto" and device.type != "cpu" and has_bf16(device)
        return "bf16" if fast else self.precision

    def scale(self) -> str | None:
        """One line about the size at which the network sees pictures, None where there is no choice.

        Raises UsageError for a size that it has not got, and ModelFileError.
        """
        from gantools.checkpoint import weights
        from gantools.inference.scaling import described

        exports = weights.describe(self.weights).exports
        export = exports.get(self.export or next(iter(exports), ""))
        return described(export, self.settings.scale_to) if export else None

    def rehearse(self) -> list[Result]:
        """What ``run`` would do, as results without content: what a file's header shows to be too large fails."""
        from gantools.inference.sizes import rehearsed

        return rehearsed(self.jobs, find_weights.scale_of(self.weights, self.export), self.settings)

    def estimate(self) -> str | None:
        """One line about the memory and time that ``run`` would take, from a trial; None where nothing is to be done.

        Raises ModelFileError or UsageError.
        """
        from gantools.inference import estimate

        sizes = estimate.sizes_of(self.jobs, self.settings)
        return str(estimate.estimated(sizes, self._opened()[0], self.settings)) if sizes else None


def prepare(
    model: str | Path,
    inputs: Name | Iterable[Name],
    *,
    output: Name | None = None,
    recursive: bool = False,
    format: str | None = None,
    existing: Existing = "refuse",
    shard: Shard | None = None,
    listed: bool = False,
    export: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    blend: float | None = None,
    blend_with: str | Path | None = None,
    settings: Settings = _DEFAULTS,
) -> Session:
    """Find the weights and plan every output. Raises UsageError for all that can be known to be wrong without torch."""
    weights = find_weights.resolve(model)
    recipe = find_weights.recipe_of(weights)
    blended = find_weights.resolve_blend(weights, blend, blend_with)
    names = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    jobs = plan(
        [os.fspath(name) for name in names],
        label=find_weights.label_of(model, blend=blend, blend_with=blend_with, network=export),
        output=None if output is None else os.fspath(output),
        recursive=recursive,
        format=format,
        existing=existing,
        shard=shard,
        listed=listed,
    )
    require_depth(jobs, settings)
    _require_mask(settings.mask)
    return Session(weights, recipe, jobs, settings, export, device, precision, blended)


def infer(
    model: str | Path,
    inputs: Name | Iterable[Name],
    *,
    output: Name | None = None,
    recursive: bool = False,
    format: str | None = None,
    existing: Existing = "refuse",
    shard: Shard | None = None,
    listed: bool = False,
    export: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    blend: float | None = None,
    blend_with: str | Path | None = None,
    settings: Settings = _DEFAULTS,
) -> Run:
    """Put pictures through a model: installed weights by name, a run directory, or a weights file.

    ``blend`` (0 to 1) puts its weights between those of ``blend_with`` (None: what their card names) and its own.
    One result per picture in the order of the inputs, as soon as it is done. Letting go of the results, their ``close``
    and the end of ``with`` stop the run: nothing further is written. Raises UsageError before anything is written.
    """
    session = prepare(
        model,
        inputs,
        output=output,
        recursive=recursive,
        format=format,
        existing=existing,
        shard=shard,
        listed=listed,
        export=export,
        device=device,
        precision=precision,
        blend=blend,
        blend_with=blend_with,
        settings=settings,
    )
    return session.run()


def require_depth(jobs: Iterable[Job], settings: Settings) -> None:
    """Raise UsageError when 16 bits are wanted in a format that has not got them."""
    shallow = sorted({job.format.upper() for job in jobs if job.format and job.format not in DEEP})
    if settings.depth == 16 and shallow:
        raise UsageError(f"--depth 16: {' and '.join(shallow)} holds no 16-bit samples; add --format png or tif")


def _require_mask(mask: str | None) -> None:
    if mask is not None and mask != CENTER and not os.path.exists(mask):
        raise UsageError(f"--mask {mask!r}: no such file or folder; give a mask picture, a folder of them, or {CENTER}")


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
        from gantools.images.ops import blur

        kernel = blur.read_kernel(self.kernel)
        if self.method == "wiener":
            return partial(blur.wiener, kernel=kernel, balance=self.balance)
        return partial(blur.richardson_lucy, kernel=kernel, iterations=self.iterations)


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
        from gantools.inference.pipeline.results import Run

        restore, drop_alpha = self.inverse.function(), self.settings.alpha == "drop"
        return Run(self.jobs, self.settings).change(
            lambda picture, _: _restored(picture, restore=restore, drop_alpha=drop_alpha)
        )

    def rehearse(self) -> list[Result]:
        """What ``run`` would do, as results without content."""
        from gantools.inference.sizes import rehearsed

        return rehearsed(self.jobs, 1, self.settings)


def prepare_deconvolution(inverse: Inverse, jobs: tuple[Job, ...], settings: Settings) -> Deconvolution:
    """Check what is planned. Raises UsageError."""
    require_depth(jobs, settings)
    return Deconvolution(inverse, jobs, settings)


def _restored(picture: Image, *, restore: Callable[[Pixels], Pixels], drop_alpha: bool) -> Image:
    """Colours restored; size, depth, gray, alpha and metadata kept."""
    from gantools.images.ops import transparency

    if drop_alpha:
        return replace(picture, pixels=restore(picture.pixels), alpha=None)
    pixels = restore(transparency.spread(picture))
    transparency.restore(pixels, picture)
    return replace(picture, pixels=pixels)
