"""``gantools train``: start a run, or go on with one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli import console
from gantools.cli.progress import TrainingReporter
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.api import TrainingRun

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


@console.guarded
def train(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE[/PRESET]", help="See `gantools list`.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="DIR", help="Folder of pictures (may be repeated).")
    ] = None,
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run [runs/RECIPE/TIME].")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")] = None,
    init_from: Annotated[
        Path | None, typer.Option("--init-from", metavar="WEIGHTS", help="Fine-tune these weights.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda[:N] or mps.")
    ] = "auto",
    precision: Annotated[str | None, typer.Option("--precision", help="auto, fp32, bf16 or fp16.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of weights, data order, augmentation and dropout.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Stop after this many steps; resume goes on.")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="2h30m", help="Stop after this time; resume goes on.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Journal rows as JSON Lines on stdout.")] = False,
) -> None:
    """Train a recipe on a folder of pictures, or go on with a run."""
    from gantools import api

    seconds = None if max_time is None else parse_duration(max_time)
    reporter = TrainingReporter(rows_as_json=json)
    if resume is not None:
        flags: dict[str, object] = {"--config": config, "--data": data, "--run-dir": run_dir, "--init-from": init_from}
        flags |= {"--precision": precision, "--seed": seed}
        given = [name for name, value in flags.items() if value not in (None, [])]
        _refuse_with_resume([*([recipe] if recipe else []), *(overrides or []), *given])
        run = api.resume(resume, device=device, max_steps=max_steps, max_seconds=seconds, reporter=reporter)
    else:
        if recipe is None:
            raise UsageError("name a recipe (see `gantools list`), or go on with a run: --resume RUN")
        own = [f"train.precision={precision}"] if precision else []
        own += [] if seed is None else [f"seed={seed}"]
        settings = api.configure(recipe, config, data or (), [*(overrides or ()), *own])
        run = api.train(
            settings,
            run_dir=run_dir,
            init_from=init_from,
            device=device,
            max_steps=max_steps,
            max_seconds=seconds,
            reporter=reporter,
        )
    _finish(run, json)


def parse_duration(text: str) -> float:
    """``2h``, ``1h30m``, ``90s`` or ``90`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise UsageError(f"--max-time {text}: write a time such as 2h, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


def _refuse_with_resume(given: list[str]) -> None:
    if given:
        raise UsageError(f"--resume goes on with the run as it is; leave out {', '.join(given)}")


def _finish(run: TrainingRun, json: bool) -> None:
    """Say where the result is; end with the signal's exit code after an interruption."""
    summary = {"run": str(run.path), "status": run.ending, "step": run.step, "validation": run.validation}
    if json:
        console.result_json({"event": "summary", **summary})
    else:
        console.result(str(run.path))
    figures = ", ".join(f"{name} {value:.4g}" for name, value in run.validation.items())
    console.message(f"{run.ending} at step {run.step}{': ' + figures if figures else ''}")
    if run.ending == "finished":
        console.message(f"weights: {run.path / 'weights' / 'last.safetensors'}; try: gantools infer {run.path} PICTURE")
    else:
        console.message(f"go on with: gantools train --resume {run.path}")
    if run.signal is not None:
        raise SystemExit(128 + run.signal)
