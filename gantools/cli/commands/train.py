"""``gantools train``: start a run, or resume one."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.commands.recipes import configured
from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import TrainingReporter
from gantools.errors import UsageError
from gantools.training.distributed import rank_info
from gantools.training.reporter import Silent

if TYPE_CHECKING:
    from gantools.api import TrainingRun

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


@dataclass(frozen=True)
class TrainOptions:
    """The arguments and options of ``gantools train``, in the order of its help."""

    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE[/PRESET]|FILE", help="See `gantools list`; or a configuration file.")
    ] = None
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change.")] = None
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of images (may be repeated).")
    ] = None
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run [runs/RECIPE/TIME].")] = None
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Resume this run; settings given override its own.")
    ] = None
    extend: Annotated[
        str | None, typer.Option("--extend", metavar="500|2epochs", help="With --resume: a longer last stage.")
    ] = None
    init_from: Annotated[
        Path | None, typer.Option("--init-from", metavar="WEIGHTS", help="Fine-tune these weights.")
    ] = None
    device: Annotated[str, typer.Option("--device", envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda[:N] or mps.")] = (
        "auto"
    )
    precision: Annotated[str | None, typer.Option("--precision", help="auto, fp32, bf16 or fp16.")] = None
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of weights, data order, augmentation and dropout.")
    ] = None
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Stop after this many steps; --resume continues.")
    ] = None
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="2h30m", help="Stop after this time; --resume continues.")
    ] = None
    processes: Annotated[
        int | None, typer.Option("--nproc", min=1, help="Train with this many processes on this computer.")
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Log rows as JSON Lines on stdout.")] = False

    @property
    def changes(self) -> list[str]:
        """The settings that override the preset's or the run's, as ``KEY=VALUE``."""
        precision = [f"train.precision={self.precision}"] if self.precision else []
        return [*(self.overrides or ()), *precision, *([] if self.seed is None else [f"seed={self.seed}"])]

    @property
    def execution(self) -> dict[str, Any]:
        """How to train, for both ``api.train`` and ``api.resume``. Raises UsageError."""
        max_seconds = None if self.max_time is None else parse_duration(self.max_time)
        info = rank_info.current()
        reporter = TrainingReporter(rows_as_json=self.json) if info.is_main else RankReporter(info.rank)
        return {"device": self.device, "max_steps": self.max_steps, "max_seconds": max_seconds, "reporter": reporter}


class RankReporter(Silent):
    """Prints the messages of a rank other than 0, such as a file that cannot be read."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def message(self, text: str) -> None:
        console.message(f"rank {self._rank}: {text}")


@console.guarded
@options_command(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a recipe on a folder of images, or resume a run."""
    from gantools import api

    if options.processes is not None:
        _launch(options.processes)
    if options.resume is None:
        settings = configured(_recipe(options), options.config, options.data or (), options.changes)
        run = api.train(settings, run_dir=options.run_dir, init_from=options.init_from, **options.execution)
    else:
        changes = _changes_of_resumed(options)
        run = api.resume(
            options.resume, data=options.data or (), overrides=changes, extend=options.extend, **options.execution
        )
    if rank_info.current().world_size > 1:
        from gantools.training.distributed import communicator

        communicator.leave()
    if rank_info.current().is_main:
        _print_result(run, json=options.json)
    if run.signal is not None:
        raise SystemExit(128 + run.signal)


def _launch(count: int) -> None:
    """Run this command line as ``count`` processes and exit as they did; each of the processes returns from here."""
    if rank_info.is_launched() or count == 1:
        return
    if rank_info.current().world_size > 1:
        raise UsageError("--nproc: torchrun has started the processes already; leave it out")
    from gantools.training.distributed.launch import launch

    code, line = launch(count, sys.argv[1:])
    if line is not None:
        console.failure(line)
    raise SystemExit(code)


def _recipe(options: TrainOptions) -> str:
    if options.recipe is None:
        raise UsageError("name a recipe (see `gantools list`), or resume a run: --resume RUN")
    if options.extend is not None:
        raise UsageError("--extend goes with --resume RUN; the length of a new run is a setting of its stages")
    return options.recipe


def _changes_of_resumed(options: TrainOptions) -> list[str]:
    """Settings that override a run's. No recipe is named with ``--resume``, so what stands in its place is one, too."""
    first = [options.recipe] if options.recipe and "=" in options.recipe else []
    unwanted: Mapping[str, object] = {
        **({options.recipe: options.recipe} if options.recipe and not first else {}),
        "--config": options.config,
        "--run-dir": options.run_dir,
        "--init-from": options.init_from,
    }
    given = [name for name, value in unwanted.items() if value is not None]
    if given:
        raise UsageError(f"--resume continues a run in its folder; leave out {', '.join(given)}")
    return [*first, *options.changes]


def parse_duration(text: str) -> float:
    """``2h``, ``1h30m``, ``90s`` or ``90`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise UsageError(f"--max-time {text}: write a time such as 2h, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


def _print_result(run: TrainingRun, *, json: bool) -> None:
    """The run's folder or summary on stdout; how it ended and where its weights are on stderr."""
    if json:
        summary = {"run": str(run.path), "status": run.ending, "step": run.step, "validation": run.validation}
        console.result_json({"event": "summary", **summary})
    else:
        console.result(str(run.path))
    weights = f"weights: {run.path / 'weights' / 'last.safetensors'}; try: gantools infer {run.path} IMAGE"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in run.validation.items())
    ending = f"{run.ending} at step {run.step}{': ' + metrics if metrics else ''}"
    if run.ending == "finished":
        lines = [ending, weights]
    else:
        lines = [weights, ending, f"resume with: gantools train --resume {run.path}"]
    for line in lines:
        console.message(line)
