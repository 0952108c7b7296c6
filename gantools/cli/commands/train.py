"""``gantools train``: start a run, or resume one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import TrainingReporter
from gantools.errors import UsageError
from gantools.training.distributed import rank_info
from gantools.training.options import TrainingOptions
from gantools.training.reporter import Silent

if TYPE_CHECKING:
    from gantools.api import TrainingRun


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(TrainingOptions):
    """What is typed: the options of training, and those that the command line alone has."""

    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE[/PRESET]|FILE", help="See `gantools list`; or a configuration file.")
    ] = None
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change.")] = None
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of images (may be repeated).")
    ] = None
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Resume this run; settings given override its own.")
    ] = None
    extend: Annotated[
        str | None, typer.Option("--extend", metavar="500|2epochs", help="With --resume: a longer last stage.")
    ] = None
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None,
        typer.Option("--precision", help="Arithmetic; sets train.precision."),
    ] = None
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of weights, data order, augmentation and dropout.")
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


class RankReporter(Silent):
    """Prints the messages of a rank other than 0, such as a file that cannot be read."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def message(self, text: str) -> None:
        console.message(f"rank {self._rank}: {text}")


@console.guarded
@options_command(Asked)
def train(asked: Asked) -> None:
    """Train a recipe on a folder of images, or resume a run."""
    from gantools import api

    if asked.processes is not None:
        _launch(asked.processes)
    info = rank_info.current()
    reporter = TrainingReporter(rows_as_json=asked.json) if info.is_main else RankReporter(info.rank)
    if asked.resume is None:
        if asked.recipe is None:
            raise UsageError("name a recipe (see `gantools list`), or resume a run: --resume RUN")
        if asked.extend is not None:
            raise UsageError("--extend goes with --resume RUN; the length of a new run is a setting of its stages")
        settings = api.configure(asked.recipe, asked.config, asked.data or (), asked.changes)
        run = api.train(settings, asked, reporter=reporter)
    else:
        overrides, data = _changes_of_resumed(asked), asked.data or ()
        run = api.resume(asked.resume, asked, data=data, overrides=overrides, extend=asked.extend, reporter=reporter)
    if info.world_size > 1:
        from gantools.training.distributed import communicator

        communicator.leave()
    if info.is_main:
        _print_result(run, json=asked.json)
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


def _changes_of_resumed(asked: Asked) -> list[str]:
    """Settings that override a run's. No recipe is named with ``--resume``, so what stands in its place is one, too."""
    first = [asked.recipe] if asked.recipe and "=" in asked.recipe else []
    unwanted: Mapping[str, object] = {
        **({asked.recipe: asked.recipe} if asked.recipe and not first else {}),
        "--config": asked.config,
        "--run-dir": asked.run_dir,
        "--init-from": asked.init_from,
    }
    given = [name for name, value in unwanted.items() if value is not None]
    if given:
        raise UsageError(f"--resume continues a run in its folder; leave out {', '.join(given)}")
    return [*first, *asked.changes]


def _print_result(run: TrainingRun, *, json: bool) -> None:
    """The run's folder or summary on stdout; how it ended and where its weights are on stderr."""
    if json:
        summary = {"run": str(run.path), "status": run.ending, "step": run.step, "validation": run.validation}
        console.result_json({"event": "summary", **summary})
    else:
        console.result(str(run.path))
    from gantools import api

    path = run.path / "weights" / "last.safetensors"
    exports = api.describe_weights(str(path))["file"]["exports"].values() if path.is_file() else ()
    noise = any(each["takes"] == "latent" for each in exports)
    weights = f"weights: {path}; try: gantools {f'generate {run.path}' if noise else f'infer {run.path} IMAGE'}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in run.validation.items())
    ending = f"{run.ending} at step {run.step}{': ' + metrics if metrics else ''}"
    if run.ending == "finished":
        lines = [ending, weights]
    else:
        lines = [weights, ending, f"resume with: gantools train --resume {run.path}"]
    for line in lines:
        console.message(line)
