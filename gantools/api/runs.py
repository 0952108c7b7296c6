"""Training runs: train, resume, report, export."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.api.settings import Settings, configure, read_config, with_generator_of
from gantools.config.command import with_changes
from gantools.errors import UsageError
from gantools.training.options import TrainingOptions

if TYPE_CHECKING:
    from gantools.config.schema import RunConfig
    from gantools.report.run_log import RunLog
    from gantools.training.reporter import Reporter
    from gantools.training.setup import Outcome
    from gantools.training.stopping import Ending


@dataclass(frozen=True)
class TrainingRun:
    """How a training ended: ``finished``, ``limit`` or ``interrupted`` (by ``signal``); its folder and metrics."""

    path: Path
    ending: Ending
    step: int
    validation: dict[str, float]
    signal: int | None = None


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
    from gantools.inference import find_weights
    from gantools.training import setup
    from gantools.training.distributed import rank_info
    from gantools.training.run.directory import RunDirectory
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
    init_from = None if options.init_from is None else find_weights.resolve(options.init_from)
    if init_from is not None:
        settings = with_generator_of(settings, init_from)
    if options.run_dir is not None and rank_info.current().world_size == 1:
        RunDirectory(Path(options.run_dir)).require_unused()  # before precisions are measured, which takes long
    spec = setup.prepare(settings.recipe, settings.config, options.device, init_from)
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
    from gantools.config.describe import between, extension
    from gantools.config.source import to_yaml
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


def export_weights(run_dir: str | Path, output: str | Path | None = None) -> Path:
    """Write the weights of a run's newest checkpoint to ``output``, else to ``weights/last.safetensors`` in its folder.

    Raises UsageError for what is no run, has no intact checkpoint, or, without ``output``, is being trained.

    >>> from gantools import export_weights
    >>> export_weights("mine", "mine.safetensors").name
    'mine.safetensors'
    """
    from gantools.exporting import newest

    path, _ = newest.export(Path(run_dir), None if output is None else Path(output))
    return path


def report(run_dir: str | Path, output: str | Path | None = None) -> Path:
    """Write a run as one HTML page, ``report.html`` in its folder unless ``output`` says where. No torch is imported.

    Raises UsageError for a folder that is no run's or has logged nothing.
    """
    run = Path(run_dir)
    return _write_report(run, None, run / "report.html" if output is None else Path(output))


def read_log(run_dir: str | Path) -> RunLog:
    """What a run has logged: curves, stages, warnings, samples. Raises UsageError for a folder that is no run's."""
    from gantools.report import run_log

    return run_log.read(Path(run_dir))


def list_runs(folder: str | Path) -> list[Path]:
    """The folders of the runs below ``folder``, such as ``runs``; the newest first."""
    from gantools.report import run_log

    return run_log.runs_below(Path(folder))


def is_training(run_dir: str | Path) -> bool:
    """Whether a process trains a run. Nothing is changed."""
    from gantools.report import run_log

    return run_log.is_running(Path(run_dir))


def stop_training(run_dir: str | Path) -> int:
    """Stop the process that trains a run as Ctrl-C would: it saves, and the run can be resumed. The process's number.

    Raises UsageError where nothing trains it, or another computer does.
    """
    from gantools.training.run.directory import RunDirectory

    return RunDirectory.open(Path(run_dir)).interrupt()


def draw_curves(log: RunLog) -> str:
    """The curves of a log as a fragment of HTML with SVG in it, as in a report."""
    from gantools.report import page

    return f'<style>{page.curves_style()}</style><div class="curves">{page.draw_curves(log)}</div>'


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
