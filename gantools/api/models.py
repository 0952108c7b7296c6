"""Models on images: run, generate, measure, compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gantools.config.command import with_changes
from gantools.errors import UsageError
from gantools.evaluation.options import CompareOptions, EvalOptions
from gantools.exporting.options import ExportOptions
from gantools.generation.options import GenerateOptions
from gantools.generation.projection.options import ProjectOptions
from gantools.inference.options import DEFAULTS, InferOptions

if TYPE_CHECKING:
    from gantools.evaluation.compare import ComparisonResult
    from gantools.evaluation.result import Evaluation
    from gantools.exporting.run import Exported
    from gantools.generation.projection.run import Projections
    from gantools.generation.run import Generation
    from gantools.images.image import Image
    from gantools.inference.arrays import LoadedModel
    from gantools.inference.pipeline.results import Results
    from gantools.inference.scaling import Preparation
    from gantools.jobs.result import Result

Name: TypeAlias = "str | os.PathLike[str]"
Progress: TypeAlias = Callable[[int, int], None]
"""Gets how many are done, of how many."""


def _silent(_done: int, _of: int) -> None: ...


def infer(
    model: str | Path, inputs: Name | Iterable[Name], options: InferOptions | None = None, **changes: Any
) -> Results:
    """Put image files through a model: installed weights by name, a run's folder, or a weights file.

    ``inputs`` are files, folders, or a list of both. ``changes`` are options of ``gantools infer`` by name, such as
    ``output="large"``, ``tile=512`` or ``tta=True``; ``options`` holds many at once. One result per image in the order
    of the inputs, as soon as it is done; its ``error`` says what failed. Letting go of the results, their ``close`` and
    the end of ``with`` stop the run. Raises UsageError before anything is written.

    >>> from gantools import infer
    >>> [result.status for result in infer("srgan", ["photos"], output="large", dry_run=True)]
    ['planned', 'planned']
    """
    from gantools.exporting import newest
    from gantools.inference.run import plan_run

    options = with_changes(options or DEFAULTS, changes, "infer")
    if options.kernel is None and not options.dry_run:
        newest.make_ready(model)
    run = plan_run(model, inputs, options)
    return run.dry_run() if options.dry_run else run.start(photo_preparation)


def generate(model: str | Path, options: GenerateOptions | None = None, **changes: Any) -> Iterator[Result]:
    """Make images with a model that starts from noise, a class, codes or a text; one result for each file.

    ``changes`` are options of ``gantools generate`` by name, such as ``seeds=(0, 1)``, ``label=["8"]`` or
    ``output="digits"``. Raises UsageError before anything is written.
    """
    return plan_generation(model, with_changes(options or GenerateOptions(), changes, "generate")).run()


def plan_generation(model: str | Path, options: GenerateOptions) -> Generation:
    """What ``generate`` would make, and where it would be written. Raises UsageError and ModelFileError."""
    from gantools.exporting import newest
    from gantools.generation.run import plan
    from gantools.inference import find_weights

    newest.make_ready(model)
    path = find_weights.resolve(model)
    return plan(path, find_weights.label_of(model), options)


def project(
    model: str | Path, photos: Name | Iterable[Name], options: ProjectOptions | None = None, **changes: Any
) -> Iterator[Result]:
    """Find the styles with which a StyleGAN2 makes photos; one result for each, with its distances in ``facts``.

    ``photos`` are files, folders, or a list of both. ``changes`` are options of ``gantools project`` by name, such as
    ``space="w"``, ``steps=300`` or ``output="projected"``. Raises UsageError before anything is written.
    """
    return plan_projection(model, photos, with_changes(options or ProjectOptions(), changes, "project")).run()


def plan_projection(model: str | Path, photos: Name | Iterable[Name], options: ProjectOptions) -> Projections:
    """What ``project`` would make, and where it would be written. Raises UsageError and ModelFileError."""
    from gantools.exporting import newest
    from gantools.generation.projection.plan import plan
    from gantools.inference import find_weights

    newest.make_ready(model)
    names = [os.fspath(each) for each in ([photos] if isinstance(photos, str | os.PathLike) else photos)]
    return plan(find_weights.resolve(model), names, options)


def export_model(model: str | Path, output: Name, options: ExportOptions | None = None, **changes: Any) -> Exported:
    """Write a generator as ``.onnx``, ``.pt2`` (``torch.export``) or ``.safetensors`` (its tensors by their own names).

    ``changes`` are options of ``gantools export`` by name, such as ``uint8=True`` or ``size=256``. The file's metadata
    hold what weights files say of themselves. What is written was compared with the network at several sizes: raises
    GantoolsError where the results differ by more than 1e-4 (float16: 5e-2) in [-1, 1], UsageError for a file that
    exists or options that do not fit. Nothing is written then.
    """
    from gantools.exporting import run

    return run.export_model(model, Path(output), with_changes(options or ExportOptions(), changes, "export"))


def estimate(model: str | Path, inputs: Name | Iterable[Name], options: InferOptions | None = None) -> str | None:
    """One line about the time and memory that ``infer`` would take, by a trial; None where nothing is to be done."""
    from gantools.inference.run import plan_run

    return plan_run(model, inputs, options or DEFAULTS).estimate()


def load_model(model: str | Path, options: InferOptions | None = None, **changes: Any) -> LoadedModel:
    """A model to be called with arrays or Pillow images, as ``infer`` calls it with files.

    ``changes`` are options of ``gantools infer`` that are not about files, such as ``device="cuda"``, ``tile=512`` or
    ``blend=0.5``. Raises UsageError or ModelFileError.

    >>> from PIL import Image
    >>> from gantools import load_model
    >>> load_model("srgan", tta=True)(Image.new("RGB", (16, 12))).size
    (64, 48)
    """
    from gantools.exporting import newest
    from gantools.inference import find_weights
    from gantools.inference.arrays import LoadedModel
    from gantools.inference.image import ImageTranslator
    from gantools.inference.run import check_direction, open_weights

    options = with_changes(options or DEFAULTS, changes, "infer")
    newest.make_ready(model)
    path = find_weights.resolve(model)
    check_direction(path, options)
    preparation = photo_preparation(path) if options.source == "photo" else None
    return LoadedModel(ImageTranslator(open_weights(path, options)[0], options, preparation))


def evaluate(
    model: str | Path,
    data: Name,
    options: EvalOptions | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Progress = _silent,
    **changes: Any,
) -> Evaluation:
    """Measure a model on the images in ``data``, beside baselines that need no model.

    ``changes`` are options of ``gantools eval`` by name, such as ``metrics=["psnr_y"]`` (see ``docs/metrics.md``; by
    default the recipe's own) or ``sheet="sheet.png"``. ``overrides`` (``KEY=VALUE``) change how inputs are made.
    Raises UsageError (ConfigError, DataError, ModelFileError) before any work.

    >>> from gantools import evaluate
    >>> found = evaluate("srgan", "photos", metrics=["psnr_y", "ssim_y"])
    >>> {name: list(means) for name, means in found.means().items()}
    {'bicubic': ['psnr_y', 'ssim_y'], 'model': ['psnr_y', 'ssim_y']}
    """
    from gantools.evaluation import evaluate

    options = with_changes(options or EvalOptions(), changes, "eval")
    return evaluate.evaluate(model, Path(data), options, overrides, progress)


def evaluate_pairs(
    results: Name,
    truths: Name,
    options: EvalOptions | None = None,
    *,
    progress: Progress = _silent,
    **changes: Any,
) -> Evaluation:
    """Measure the images of one folder against those of the same names in another. Raises UsageError.

    Of the options of ``gantools eval`` those count that are not about a model.

    >>> from gantools import evaluate_pairs
    >>> evaluate_pairs("photos", "photos", metrics=["l1_percent"]).means()
    {'result': {'l1_percent': 0.0}}
    """
    from gantools.evaluation import evaluate

    options = with_changes(options or EvalOptions(), changes, "eval")
    return evaluate.evaluate_pairs(Path(results), Path(truths), options, progress)


def compare(
    words: Sequence[str], output: Name, options: CompareOptions | None = None, **changes: Any
) -> ComparisonResult:
    """Run models over the same images and write ``output``, an HTML page or one image of all results.

    ``words`` are models as for :func:`infer`, then images or folders. ``changes`` are options of ``gantools compare``
    by name: ``truth="wanted"`` is a folder of images with matching names, with which ``metrics`` are measured (by
    default the first model's own); for each of ``blends`` the first model is shown once more, blended. Models that
    start from noise come without images: they are shown on the same seeds, and ``truth`` is a data set to measure by.
    Raises UsageError before any work, and DataError for folders that do not hold what they should.

    >>> from gantools import compare
    >>> compare(["srgan", "srgan/psnr", "photos"], "compared.html").shown
    2
    """
    from gantools.evaluation import compare

    return compare.compare(words, Path(output), with_changes(options or CompareOptions(), changes, "compare"))


def preview(image: Name, output: Name, options: InferOptions | None = None, **changes: Any) -> None:
    """Write what an image file shows as a PNG: upright, 8 bits, decoded in a process of its own as ``infer`` does.

    Of the options of ``gantools infer`` those about reading count. Raises ImageError and UsageError.
    """
    from gantools.inference.preview import write_preview

    write_preview(Path(image), Path(output), with_changes(options or DEFAULTS, changes, "infer"))


def draw_outline(model: str | Path, photo: Name, output: Name, *, side_px: int, **changes: Any) -> None:
    """Write the outline of a photo as a square PNG, drawn as for the training of ``model``; what it lacks is white.

    Raises UsageError for a model that was not trained on outlines, and ImageError.
    """
    from gantools.data import transforms
    from gantools.images.image import Image, to_8_bit
    from gantools.images.io import writer
    from gantools.images.ops.transparency import spread
    from gantools.inference import find_weights
    from gantools.inference.preview import decoded

    preparation = photo_preparation(find_weights.resolve(model))
    shown = to_8_bit(spread(decoded(Path(photo), with_changes(DEFAULTS, changes, "infer"))))
    writer.write(preparation.apply(Image(transforms.square(shown, side_px, "pad"))), Path(output))


def photo_preparation(path: Path) -> Preparation:
    """What turns photos into the outline drawings that the weights at ``path`` were trained on.

    Raises UsageError when they were trained on something else.
    """
    from gantools.checkpoint import weights
    from gantools.data.degrade.edges import outline
    from gantools.data.options.datasets import EdgeOptions
    from gantools.images.image import to_8_bit
    from gantools.images.ops.transparency import spread
    from gantools.inference.scaling import Preparation

    data = weights.describe(path).about.get("config", {}).get("data", {})
    if "edges" not in data or data.get("make", "edges") != "edges":
        raise UsageError(f"--from photo: {path} was not trained on outlines of photos")
    options = EdgeOptions.model_validate(data["edges"], strict=False)

    def drawn(photo: Image) -> Image:
        alpha = None if photo.alpha is None else to_8_bit(photo.alpha)
        return replace(photo, pixels=outline(to_8_bit(spread(photo)), options), alpha=alpha, gray=False)

    return Preparation(drawn, options.edges_at)
