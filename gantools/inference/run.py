"""An inference run from what was asked for to its results. torch is imported when images are decoded already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gantools import files
from gantools.checkpoint import onnx_file
from gantools.errors import UsageError
from gantools.images.formats import DEEP
from gantools.inference import find_weights
from gantools.inference.options import CENTER, DEFAULTS, FILLING, WITHOUT_NETWORK, InferOptions
from gantools.inference.plan import plan
from gantools.jobs.plan import Job
from gantools.jobs.scheduled import own_part

if TYPE_CHECKING:
    from gantools.images.image import Image, Pixels
    from gantools.inference.model import Model
    from gantools.inference.pipeline.batches import BatchRunner, Translate
    from gantools.inference.pipeline.results import Results
    from gantools.inference.scaling import Preparation

Name: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Run:
    """A planned run: nothing has been read but the weights' header, nothing written.

    Without ``weights`` it needs no network: --kernel, or a --method of OpenCV's.
    """

    weights: Path | None
    recipe: str
    jobs: tuple[Job, ...]
    options: InferOptions
    notes: tuple[str, ...] = ()

    @property
    def has_work(self) -> bool:
        """Whether anything is left to be made."""
        return not all(job.skip for job in self.jobs)

    @property
    def facts(self) -> dict[str, str]:
        """What the run is done with."""
        facts, method = {"recipe": self.recipe}, self.options.method
        if isinstance(self.options.shard, tuple):
            facts["shard"] = "/".join(map(str, self.options.shard))
        if self.options.kernel is not None:
            facts, method = {**facts, "kernel": str(self.options.kernel)}, method or "wiener"
        elif self.weights is not None:
            facts["weights"] = str(self.weights)
        return facts if method is None else {**facts, "method": method}

    def start(self, photo_preparation: Callable[[Path], Preparation]) -> Results:
        """Open the weights and put the images through them; photos are prepared as ``photo_preparation`` says.

        Raises ModelFileError or UsageError before the first result.
        """
        from gantools.inference.pipeline.decode_pool import DecodePool
        from gantools.inference.pipeline.results import Results, run_pipeline
        from gantools.jobs.result import untouched

        weights = _about_weights(self.weights, self.recipe, self.options) if self.weights is not None else []
        notes = [*self.notes, *weights]
        files.remove_abandoned({job.output.parent for job in self.jobs if isinstance(job.output, Path)})
        if not self.has_work:
            return Results(self.jobs, iter([untouched(job) for job in self.jobs]), None, self.facts, notes)
        pool = DecodePool([job for job in self.jobs if not job.skip], self.options)  # while torch is imported
        try:
            translate, batches, more = self._translation(photo_preparation)
        except BaseException:
            pool.close()
            raise
        results = run_pipeline(self.jobs, pool, translate, batches, self.options)
        return Results(self.jobs, results, pool, self.facts, [*notes, *more])

    def _translation(
        self, photo_preparation: Callable[[Path], Preparation]
    ) -> tuple[Translate, BatchRunner | None, list[str]]:
        """What is done to each image, or to several at once, and lines about how."""
        if self.options.kernel is not None:
            return partial(deconvolved, undo=_inverse(self.options), options=self.options), None, []
        if self.weights is None:
            from gantools.inference.inpainting import without_network

            return partial(without_network, options=self.options), None, []
        from gantools.inference.image import ImageTranslator
        from gantools.inference.pipeline.batches import BatchRunner

        check_direction(self.weights, self.options)
        notes = _scale_note(self.weights, self.options)
        preparation = photo_preparation(self.weights) if self.options.source == "photo" else None
        model, measured = open_weights(self.weights, self.options)
        if self.options.mask is not None and model.export.takes != "masked":
            raise UsageError(f"--mask: {self.recipe} takes whole images; it fills in no missing parts")
        translator = ImageTranslator(model, self.options, preparation)
        todo = sum(not job.skip for job in self.jobs)
        batches = None if model.export.takes == "masked" else BatchRunner(translator, todo)
        return translator, batches, [*notes, *([measured] if measured else [])]

    def dry_run(self) -> Results:
        """What ``start`` would do, as results without content: what a file's header shows to be too large fails."""
        from gantools.inference.dry_run import dry_run
        from gantools.inference.pipeline.results import Results

        scale = 1 if self.weights is None else find_weights.scale_of(self.weights, self.options.network)
        return Results(self.jobs, iter(dry_run(self.jobs, scale, self.options)), None, self.facts, self.notes)

    def estimate(self) -> str | None:
        """One line about the memory and time that ``start`` would take, from a trial; None where nothing is to be done.

        Raises ModelFileError or UsageError.
        """
        from gantools.inference.dry_run import estimate, sizes_of

        sizes = sizes_of(self.jobs, self.options)
        if self.weights is None or not sizes:
            return None
        return estimate(sizes, open_weights(self.weights, self.options)[0], self.options)


def plan_run(model: str | Path, inputs: Name | Iterable[Name], options: InferOptions) -> Run:
    """Find the weights and plan every output. Raises UsageError for all that can be known to be wrong without torch."""
    names = [os.fspath(each) for each in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
    _refuse_method(options)
    part = own_part() if options.shard == "auto" else None
    options = options if part is None else replace(options, shard=part.shard)
    if options.kernel is not None:
        _refuse_kernel(model, options)
        weights, recipe, label = None, "deblur", f"deblur-{options.method or 'wiener'}"
    else:
        weights, recipe, label = _named(model, options)
    jobs = plan(names, label, options)
    shallow = sorted({job.format.upper() for job in jobs if job.format and job.format not in DEEP})
    if options.depth == 16 and shallow:
        raise UsageError(f"--depth 16: {' and '.join(shallow)} holds no 16-bit samples; add --format png or tif")
    mask = options.mask
    if mask is not None and mask != CENTER and not os.path.exists(mask):
        raise UsageError(f"--mask {mask!r}: no such file or folder; give a mask image, a folder of them, or {CENTER}")
    return Run(weights, recipe, jobs, options, () if part is None else (str(part),))


def _named(model: str | Path, options: InferOptions) -> tuple[Path | None, str, str]:
    """The weights, None where they are not needed; the recipe, and what results are named after. Raises UsageError."""
    weights: Path | None = find_weights.resolve(model)
    assert weights is not None
    recipe = find_weights.recipe_of(weights)
    find_weights.require_image_model(weights, options.network, model)
    find_weights.resolve_blend(weights, options.blend, options.blend_with)
    _refuse_scale(weights, recipe, options)
    label = find_weights.label_of(model, blend=options.blend, blend_with=options.blend_with, network=options.network)
    if options.method is not None and find_weights.takes(weights, options.network) != "masked":
        raise UsageError(f"--method {options.method}: {recipe} takes whole images; it fills in no missing parts")
    if options.method in WITHOUT_NETWORK:
        _refuse_network_options(f"--method {options.method} fills in what is missing", options)
        weights = None
    return weights, recipe, label if options.method in (None, "model") else f"{label}-{options.method}"


def _refuse_scale(weights: Path, recipe: str, options: InferOptions) -> None:
    """Raise UsageError for results that are to be larger than the network makes them, or are no results but repairs."""
    own = find_weights.scale_of(weights, options.network)
    if options.scale is not None and find_weights.takes(weights, options.network) == "masked":
        raise UsageError(f"--scale {options.scale:g}: {recipe} fills in what is missing; leave it out")
    if options.scale is not None and options.scale > own:
        raise UsageError(f"--scale {options.scale:g}: {recipe} makes images {own} times as large; give {own} at most")


def open_weights(path: Path, options: InferOptions) -> tuple[Model, str | None]:
    """A model in the arithmetic and layout that are fastest here, and one line about what was measured.

    Raises ModelFileError or UsageError.
    """
    if onnx_file.is_onnx(path):
        from gantools.inference import onnx_model

        opened = onnx_model.open_for(path, options)
        return opened, opened.note
    from gantools.devices import choose_device, has_bf16
    from gantools.inference.kernels.select import fastest
    from gantools.inference.model import Blend, open_model

    device = choose_device(options.device)
    free = options.fast and options.precision == "auto"
    blend = find_weights.resolve_blend(path, options.blend, options.blend_with)
    model = open_model(
        path,
        export=options.network,
        device=device,
        precision="bf16" if free and device.type != "cpu" and has_bf16(device) else options.precision,
        blend=Blend(*blend) if blend else None,
        compile=options.compile,
        fast=options.fast,
    )
    return fastest(model, fast=free)


def check_direction(path: Path, options: InferOptions) -> None:
    """Raise UsageError for a direction that the weights have not got, and where they need one."""
    from gantools.checkpoint import weights

    exports = weights.describe(path).exports
    if options.network is None and set(exports) == {"a2b", "b2a"}:
        raise UsageError(f"{str(path)!r} translates both ways; give --direction a2b or --direction b2a")
    if options.direction is not None and options.direction not in exports:
        raise UsageError(f"--direction {options.direction}: {str(path)!r} has no directions; leave it out")


def _scale_note(path: Path, options: InferOptions) -> list[str]:
    """A line about the size at which the network sees images, where there is a choice. Raises UsageError."""
    from gantools.checkpoint import weights
    from gantools.inference.scaling import described

    exports = weights.describe(path).exports
    export = exports.get(options.network or next(iter(exports), ""))
    line = described(export, options.scale_to) if export else None
    return [line] if line else []


def _about_weights(path: Path, recipe: str, options: InferOptions) -> list[str]:
    """Which weights are used; whose they, and those blended with them, were where another code made them."""
    blend = find_weights.resolve_blend(path, options.blend, options.blend_with)
    origins = map(find_weights.imported_from, [path, *([blend[0]] if blend else [])])
    return [f"weights: {path} ({recipe})", *dict.fromkeys(origin for origin in origins if origin)]


def _refuse_method(options: InferOptions) -> None:
    """Raise UsageError for a method of filling beside a kernel, or one of undoing a blur without it."""
    if options.method is not None and (options.method in FILLING) == (options.kernel is not None):
        why = "undoes no blur" if options.method in FILLING else "undoes the blur of a --kernel, which is not given"
        raise UsageError(f"--method {options.method} {why}; leave it out")


def _refuse_kernel(model: str | Path, options: InferOptions) -> None:
    """Raise UsageError for a network beside a kernel, or options that only networks have."""
    what = "--kernel undoes a blur"
    if model != "deblur":
        raise UsageError(f"{what} without a network: type deblur instead of {str(model)!r}")
    _refuse_network_options(what, options, "mask")


def _refuse_network_options(what: str, options: InferOptions, *more: str) -> None:
    """Raise UsageError for options that only networks have."""
    named = {"source": "--from"}
    own = (*more, "export", "direction", "blend", "blend_with", "source", "scale", "scale_to", "tta", "compile")
    changed = [name for name in own if getattr(options, name) != getattr(DEFAULTS, name)]
    if changed:
        flags = ", ".join(named.get(name, f"--{name.replace('_', '-')}") for name in changed)
        raise UsageError(f"{what} without a network: leave out {flags}")


def _inverse(options: InferOptions) -> Callable[[Pixels], Pixels]:
    """Deconvolution by a known kernel: ``FILE``, or ``FILE#N`` for the N-th of several. Raises DataError."""
    from gantools.images.ops import blur

    kernel = blur.read_kernel(str(options.kernel))
    if options.method != "richardson_lucy":
        return partial(blur.wiener, kernel=kernel, balance=options.balance)
    return partial(blur.richardson_lucy, kernel=kernel, iterations=options.iterations)


def deconvolved(image: Image, _name: str, *, undo: Callable[[Pixels], Pixels], options: InferOptions) -> Image:
    """Colours restored; size, depth, gray, alpha and metadata kept."""
    from gantools.images.ops import transparency

    if options.alpha == "drop":
        return replace(image, pixels=undo(image.pixels), alpha=None)
    pixels = undo(transparency.spread(image))
    transparency.restore(pixels, image)
    return replace(image, pixels=pixels)
