"""gantools from Python: what the commands do, as functions. ``gantools`` itself exports the most used ones.

>>> from gantools import api, evaluate, infer, train
>>> run = train("deblur/compact", data=["photos"], overrides=["data.batch_images=2"], run_dir="mine", max_steps=2)
>>> run.ending, run.step
('limit', 2)
>>> [result.status for result in infer(run.path, ["photos"], output="sharp")]
['done', 'done']
>>> list(evaluate(run.path, "photos", metrics=["psnr_rgb"]).means())
['degraded input', 'model']
>>> api.report(run.path).name
'report.html'
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gantools import exporting
from gantools.config import overrides as override
from gantools.config import presets
from gantools.config import report as mistakes
from gantools.config.command import with_changes
from gantools.config.schema import RunConfig
from gantools.config.source import Tree, read_yaml
from gantools.errors import ConfigError, UsageError
from gantools.evaluation.options import CompareOptions, EvalOptions
from gantools.generation.options import GenerateOptions
from gantools.inference.options import DEFAULTS, InferOptions
from gantools.registry import did_you_mean
from gantools.training.options import TrainingOptions

if TYPE_CHECKING:
    from gantools.evaluation.compare import ComparisonResult
    from gantools.evaluation.result import Evaluation
    from gantools.generation.run import Generation
    from gantools.images.image import Image
    from gantools.inference.arrays import LoadedModel
    from gantools.inference.pipeline.results import Results
    from gantools.inference.scaling import Preparation
    from gantools.jobs.result import Result
    from gantools.training.recipe import Recipe
    from gantools.training.reporter import Reporter
    from gantools.training.setup import Outcome
    from gantools.training.stopping import Ending


__all__ = [
    "Settings",
    "TrainingRun",
    "compare",
    "configure",
    "describe",
    "estimate",
    "evaluate",
    "evaluate_pairs",
    "export_tensorboard",
    "export_weights",
    "generate",
    "infer",
    "inspect",
    "load_model",
    "plan_generation",
    "preview_data",
    "read_config",
    "report",
    "resume",
    "train",
]


Name: TypeAlias = "str | os.PathLike[str]"


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
    from gantools.inference.run import plan_run

    options = with_changes(options or DEFAULTS, changes, "infer")
    if options.kernel is None and not options.dry_run:
        exporting.make_ready(model)
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
    from gantools.generation.run import plan
    from gantools.inference import find_weights

    exporting.make_ready(model)
    path = find_weights.resolve(model)
    return plan(path, find_weights.label_of(model), options)


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
    from gantools.inference import find_weights
    from gantools.inference.arrays import LoadedModel
    from gantools.inference.image import ImageTranslator
    from gantools.inference.run import check_direction, open_weights

    options = with_changes(options or DEFAULTS, changes, "infer")
    exporting.make_ready(model)
    path = find_weights.resolve(model)
    check_direction(path, options)
    preparation = photo_preparation(path) if options.source == "photo" else None
    return LoadedModel(ImageTranslator(open_weights(path, options)[0], options, preparation))


@dataclass(frozen=True)
class Settings:
    """A checked configuration, the recipe it is for, and where each of its keys was written."""

    recipe: type[Recipe[Any, Any]]
    config: RunConfig
    tree: Tree


@dataclass(frozen=True)
class TrainingRun:
    """How a training ended: ``finished``, ``limit`` or ``interrupted`` (by ``signal``); its folder and metrics."""

    path: Path
    ending: Ending
    step: int
    validation: dict[str, float]
    signal: int | None = None


def find_recipe(spec: str) -> type[Recipe[Any, Any]]:
    """The recipe of ``RECIPE`` or ``RECIPE/PRESET``. Raises UsageError with the nearest name."""
    from gantools import recipes

    return recipes.find(spec.partition("/")[0])


def configure(
    spec: str,
    file: Path | None = None,
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Settings:
    """Read and check the configuration of ``RECIPE[/PRESET]`` or of ``file``. No torch is imported.

    ``data`` are folders, ``overrides`` changes as ``KEY=VALUE``. Raises ConfigError with every mistake as
    ``file:line: key: what is wrong``.

    >>> from gantools import configure
    >>> configure("srgan/compact", overrides=["train.ema_decay=0.99"]).config.train.ema_decay
    0.99
    """
    recipe = find_recipe(spec)
    name, _, preset = spec.partition("/")
    if file is not None and preset:
        raise UsageError(f"{spec} and --config {file} both name a configuration; give one")
    tree = read_yaml(file or presets.find(name, preset or recipe.default_preset).path)
    _lay_over(tree, data, overrides)
    return check(tree, recipe, name)


def _lay_over(tree: Tree, data: Sequence[str], overrides: Sequence[str]) -> None:
    if data:
        override.assign(
            tree, ("data", "dir"), data[0] if len(data) == 1 else list(data), f"command line: --data {' '.join(data)}"
        )
    override.apply(tree, overrides)


def check(tree: Tree, recipe: type[Recipe[Any, Any]], name: str) -> Settings:
    """Check a configuration tree against a recipe's schema. Raises ConfigError; warns of unusual values."""
    written = tree.values.get("recipe", name)
    if written != name:
        raise ConfigError([f"{tree.origin(('recipe',))}: recipe: this file is for {written!r}, not for {name!r}"])
    config = mistakes.validate(recipe.config_type, tree)
    for line in mistakes.implausible(config, tree):
        warnings.warn(line, stacklevel=2)
    return Settings(recipe, config, tree)


def read_config(file: Path, data: Sequence[str] = (), overrides: Sequence[str] = ()) -> Settings:
    """Read and check a configuration file that names its own recipe. Raises ConfigError."""
    from gantools import recipes

    tree = read_yaml(file)
    _lay_over(tree, data, overrides)
    name = tree.values.get("recipe")
    if not isinstance(name, str) or name not in recipes.names():
        near = did_you_mean(str(name), recipes.names())
        raise ConfigError([f"{tree.origin(('recipe',))}: recipe: {name!r} is no recipe{near}"])
    return check(tree, recipes.find(name), name)


def describe(settings: Settings) -> str:
    """What a recipe does, how its data is laid out, and every option with its value, the paper's and the source's.

    >>> from gantools import configure, describe
    >>> describe(configure("pix2pix/facades")).splitlines()[0]
    'pix2pix: A U-Net draws the target; a PatchGAN sees it beside the source.'
    """
    from gantools.config import describe

    name = settings.config.recipe
    own = [preset for preset in presets.all_presets() if preset.recipe == name]
    header = next((preset.header() for preset in own if str(preset.path) == settings.tree.name), [])
    title = f"{name}: {(settings.recipe.__doc__ or '').splitlines()[0]}"
    return "\n".join(
        [
            title,
            f"presets: {', '.join(preset.name for preset in own)}",
            "",
            *header,
            "",
            *describe.lines(settings.config),
        ]
    )


def inspect(settings: Settings, *, device: str = "auto", dry_run: bool = False) -> list[str]:
    """Check the device, the data and the networks of a run; one line per finding. Raises UsageError.

    ``dry_run`` also computes one training step of every stage.
    """
    from gantools.training import setup

    prepared = setup.prepare(settings.recipe, settings.config, device)
    return setup.findings(prepared, dry_run=dry_run)


def preview_data(
    settings: Settings, output: Path, *, split: Literal["training", "validation"] = "training", count: int = 8
) -> str:
    """Draw training examples into the image ``output``; a description of the data set. Raises DataError."""
    from gantools.data.prepare.preview import sheet
    from gantools.images.image import Image
    from gantools.images.io import writer

    dataset = settings.recipe.dataset(settings.config, split)
    writer.write(Image(sheet(dataset, split, count=count, seed=settings.config.seed)), output)
    return dataset.describe()


def train(
    settings: Settings | str,
    options: TrainingOptions | None = None,
    *,
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
    **changes: Any,
) -> TrainingRun:
    """Train a new run. Nothing is written before the configuration, the data and the networks have been checked.

    ``settings`` come from ``configure`` or ``read_config``, or are ``RECIPE[/PRESET]`` with ``data`` and ``overrides``.
    ``changes`` are options of ``gantools train`` by name: ``run_dir``, ``init_from``, ``device``, ``max_steps``,
    ``max_seconds``; ``options`` holds many at once. Under ``torchrun`` each process calls this; a run that torchrun
    restarts continues where it was saved.
    """
    from gantools.training import setup
    from gantools.training.distributed import rank_info
    from gantools.training.stopping import Limits

    if isinstance(settings, str):
        settings = configure(settings, data=data, overrides=overrides)
    elif data or overrides:
        raise UsageError("data and overrides go with the name of a preset; give them to configure")
    options = with_changes(options or TrainingOptions(), changes, "train")
    if rank_info.may_restart() and options.run_dir is None:
        raise UsageError("torchrun --max-restarts: give --run-dir, so that a restarted run is found again")
    if rank_info.restarts() and (Path(str(options.run_dir)) / "config.yaml").exists():
        return resume(str(options.run_dir), options, reporter=reporter)
    spec = setup.prepare(settings.recipe, settings.config, options.device, options.init_from)
    limits = Limits(options.max_steps, options.max_seconds)
    return _finished(setup.start(spec, settings.tree, options.run_dir, limits, reporter))


def resume(
    run_dir: str | Path,
    options: TrainingOptions | None = None,
    *,
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
    extend: str | None = None,
    reporter: Reporter | None = None,
    **changes: Any,
) -> TrainingRun:
    """Continue a run from its newest intact checkpoint, exactly where it stopped.

    Settings change only as ``data`` and ``overrides`` say, and ``extend`` makes the last stage longer (``500``,
    ``2epochs``); changes are reported, and written into the run's folder. Of the options of ``gantools train``
    ``device``, ``max_steps`` and ``max_seconds`` count. Raises UsageError while another process has the run.

    >>> from gantools import resume
    >>> resume("mine", max_steps=3).step
    3
    """
    from gantools.config.changes import between, extension
    from gantools.config.dump import to_yaml
    from gantools.training import setup
    from gantools.training.distributed import rank_info
    from gantools.training.resume import Revision, initial_weights
    from gantools.training.run.directory import RunDirectory
    from gantools.training.stopping import Limits

    options = with_changes(options or TrainingOptions(), changes, "train")
    run = RunDirectory.open(Path(run_dir))
    with run.lock() if rank_info.current().is_main else nullcontext():
        before = read_config(run.config)
        longer = [extension(before.config, extend)] if extend is not None else []
        settings = read_config(run.config, data, [*overrides, *longer])
        spec = setup.prepare(settings.recipe, settings.config, options.device, initial_weights(run), run.facts())
        revision = Revision(between(before.config, settings.config), to_yaml(settings.config, settings.tree))
        limits = Limits(options.max_steps, options.max_seconds)
        return _finished(setup.resume(spec, run, limits, reporter, revision))


def evaluate(
    model: str | Path,
    data: Name,
    options: EvalOptions | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _of: None,
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
    progress: Callable[[int, int], None] = lambda _done, _of: None,
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


def export_weights(run_dir: str | Path, output: str | Path | None = None) -> Path:
    """Write the weights of a run's newest checkpoint to ``output``, else to ``weights/last.safetensors`` in its folder.

    Raises UsageError for what is no run, has no intact checkpoint, or, without ``output``, is being trained.

    >>> from gantools import export_weights
    >>> export_weights("mine", "mine.safetensors").name
    'mine.safetensors'
    """
    path, _ = exporting.export(Path(run_dir), None if output is None else Path(output))
    return path


def report(run_dir: str | Path, output: str | Path | None = None) -> Path:
    """Write a run as one HTML page, ``report.html`` in its folder unless ``output`` says where. No torch is imported.

    Raises UsageError for a folder that is no run's or has logged nothing.
    """
    run = Path(run_dir)
    return _write_report(run, None, run / "report.html" if output is None else Path(output))


def export_tensorboard(run_dir: str | Path, folder: str | Path) -> int:
    """Write every number of a run's log as TensorBoard scalars into the new ``folder``; how many. Raises UsageError."""
    from gantools.report import run_log

    return run_log.export_tensorboard(Path(run_dir), Path(folder))


def _write_report(run: Path, config: RunConfig | None, target: Path) -> Path:
    """Without ``config`` the run's own file is read."""
    from gantools.config.describe import differences
    from gantools.files import write_bytes
    from gantools.report import page, run_log

    log = run_log.read(run)
    config = config or read_config(run / "config.yaml").config
    write_bytes(target, page.render(log, config.recipe, list(differences(config)), config.train).encode())
    return target


def _finished(outcome: Outcome) -> TrainingRun:
    """What a training returns; its report is left in its folder, whose failure is no failure of the training."""
    loop, run = outcome.loop, outcome.run
    if loop.ranks.is_main:
        try:
            _write_report(run.path, loop.config, run.path / "report.html")
        except Exception as error:  # a bug in the report shall not end a training with a traceback either
            warnings.warn(f"no report was written: {error}", stacklevel=2)
    return TrainingRun(run.path, outcome.ending, loop.progress.step, loop.state.validation.latest, loop.signal)


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
