"""``gantools train``: start a run, or go on with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gantools.cli.commands import crew
from gantools.cli.commands.recipes import configured
from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.errors import UsageError
from gantools.training.distributed import rank_info, rank_process

if TYPE_CHECKING:
    from gantools.api import TrainingRun
    from gantools.training.reporter import Reporter

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


@dataclass(frozen=True)
class Asked:
    """The arguments and options of ``gantools train``, in the order of its help."""

    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE[/PRESET]|FILE", help="See `gantools list`; or a configuration file.")
    ] = None
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change.")] = None
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of pictures (may be repeated).")
    ] = None
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run [runs/RECIPE/TIME].")] = None
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run; settings given are changed.")
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
        int | None, typer.Option("--max-steps", min=1, help="Stop after this many steps; resume goes on.")
    ] = None
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="2h30m", help="Stop after this time; resume goes on.")
    ] = None
    processes: Annotated[
        int | None, typer.Option("--nproc", min=1, help="Train with this many processes on this computer.")
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Journal rows as JSON Lines on stdout.")] = False

    @property
    def changes(self) -> list[str]:
        """The settings that are to be other than in the preset or the run, as ``KEY=VALUE``."""
        precision = [f"train.precision={self.precision}"] if self.precision else []
        return [*(self.overrides or ()), *precision, *([] if self.seed is None else [f"seed={self.seed}"])]

    @property
    def max_seconds(self) -> float | None:
        """How long to train. Raises UsageError."""
        return None if self.max_time is None else parse_duration(self.max_time)


@console.guarded
@options_command(Asked)
def train(asked: Asked) -> None:
    """Train a recipe on a folder of pictures, or go on with a run."""
    if asked.processes is not None:
        crew.start(asked.processes)
    rank_process.follow_launcher()
    how = _How(asked.device, asked.max_steps, asked.max_seconds, crew.reporter(rows_as_json=asked.json))
    run = _begin(asked, how) if asked.resume is None else _go_on(asked, asked.resume, how)
    crew.part()
    _finish(run, asked.json)


class _How(NamedTuple):
    """What is said of a training besides its settings."""

    device: str
    max_steps: int | None
    max_seconds: float | None
    reporter: Reporter


def _begin(asked: Asked, how: _How) -> TrainingRun:
    if asked.recipe is None:
        raise UsageError("name a recipe (see `gantools list`), or go on with a run: --resume RUN")
    if asked.extend is not None:
        raise UsageError("--extend goes with --resume RUN; the length of a new run is a setting of its stages")
    from gantools import api

    settings = configured(asked.recipe, asked.config, asked.data or (), asked.changes)
    return api.train(settings, run_dir=asked.run_dir, init_from=asked.init_from, **how._asdict())


def _go_on(asked: Asked, run: Path, how: _How) -> TrainingRun:
    """Go on with a run. No recipe is named then, so that what stands in its place is a setting."""
    settings = [asked.recipe] if asked.recipe and "=" in asked.recipe else []
    recipe = {asked.recipe: asked.recipe} if asked.recipe and not settings else {}
    others = {"--config": asked.config, "--run-dir": asked.run_dir, "--init-from": asked.init_from}
    _refuse_with_resume({**recipe, **others})
    from gantools import api

    changes = [*settings, *asked.changes]
    return api.resume(run, data=asked.data or (), overrides=changes, extend=asked.extend, **how._asdict())


def parse_duration(text: str) -> float:
    """``2h``, ``1h30m``, ``90s`` or ``90`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise UsageError(f"--max-time {text}: write a time such as 2h, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


def _refuse_with_resume(unwanted: Mapping[str, object]) -> None:
    given = [name for name, value in unwanted.items() if value is not None]
    if given:
        raise UsageError(f"--resume goes on with a run in its folder; leave out {', '.join(given)}")


def _finish(run: TrainingRun, json: bool) -> None:
    """Say where the result is; end with the signal's exit code after an interruption."""
    if rank_info.place().is_first:
        _tell(run, json)
    if run.signal is not None:
        raise SystemExit(128 + run.signal)


def _tell(run: TrainingRun, json: bool) -> None:
    summary = {"run": str(run.path), "status": run.ending, "step": run.step, "validation": run.validation}
    if json:
        console.result_json({"event": "summary", **summary})
    else:
        console.result(str(run.path))
    weights = f"weights: {run.path / 'weights' / 'last.safetensors'}; try: gantools infer {run.path} PICTURE"
    if run.ending != "finished":
        console.message(weights)
    figures = ", ".join(f"{name} {value:.4g}" for name, value in run.validation.items())
    console.message(f"{run.ending} at step {run.step}{': ' + figures if figures else ''}")
    if run.ending == "finished":
        console.message(weights)
    else:
        console.message(f"go on with: gantools train --resume {run.path}")
