"""The runs of a folder: curves and samples, read from their files only, and a button that stops a training."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from gantools import api
from gantools.errors import GantoolsError, UsageError
from gantools.ui.tasks import Tasks, shown_image

EVERY_SECONDS = 3.0
MESSAGES = 3


class Runs:
    """The runs of a folder. A log is read again only when it has grown, so that a page costs a training nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, bool], Any]] = {}

    def names(self) -> list[str]:
        """Names of the runs, the newest first."""
        return [str(run.relative_to(self._folder)) for run in api.list_runs(self._folder)]

    def find(self, name: str) -> Path:
        """The folder of a run that was offered. Raises UsageError."""
        if name not in self.names():
            raise UsageError(f"{name!r}: no such run in {self._folder}")
        return self._folder / name

    def log(self, name: str) -> Any:
        """The log of a run. Raises UsageError where nothing is logged."""
        run = self.find(name)
        file = run / "metrics.jsonl"
        state = (file.stat().st_mtime_ns if file.exists() else 0, api.is_training(run))
        if self._read.get(run, (None,))[0] != state:
            self._read[run] = (state, api.read_log(run))
        return self._read[run][1]


def build(tasks: Tasks, tab: Any) -> None:
    """What is read again every few seconds while the tab is looked at."""
    runs = Runs(Path(tasks.options.runs))
    names = runs.names()
    with gr.Row():
        picker = gr.Dropdown(names, value=names[0] if names else None, label="Run", scale=4)
        stop = gr.Button("Stop this training", variant="stop", scale=1)
    status = gr.Markdown()
    curves, samples = gr.HTML(), shown_image("Newest samples")
    timer = gr.Timer(EVERY_SECONDS, active=False)

    def show(name: str | None) -> tuple[Any, ...]:
        if not name:
            return f"There are no runs in `{html.escape(str(tasks.options.runs))}`.", "", None
        try:
            log = runs.log(name)
        except GantoolsError as error:
            return tasks.plain(str(error)), "", None
        said = [f"step {step}: {text}" for step, text in (*log.warnings, *log.advice)][-MESSAGES:]
        state = "has stopped" if log.has_stopped else "is training"
        lines = [f"**{name}** {state}, step {log.step:,} ({log.facts.get('status', '')})", *map(tasks.plain, said)]
        return "\n\n".join(lines), api.draw_curves(log), _copied(log.samples, tasks)

    def interrupt(name: str | None) -> None:
        try:
            api.stop_training(runs.find(name or ""))
        except GantoolsError as error:
            raise tasks.refusal(error) from error
        gr.Info("The training was asked to stop: it saves first. gantools train --resume goes on.")

    def refresh(name: str | None) -> Any:
        found = runs.names()
        return gr.Dropdown(found, value=name if name in found else next(iter(found), None)), gr.Timer(active=True)

    shown = [status, curves, samples]
    picker.change(show, picker, shown, queue=False, show_progress="hidden")
    timer.tick(show, picker, shown, queue=False, show_progress="hidden")
    tab.select(refresh, picker, [picker, timer], queue=False).then(show, picker, shown, queue=False)
    stop.click(interrupt, picker, None)  # queued, else neither messages nor errors are shown


def _copied(samples: tuple[Path, ...], tasks: Tasks) -> str | None:
    """The newest sample sheet as a file that may be shown: those of other folders may not."""
    if not samples:
        return None
    copy = tasks.folder / f"samples-{samples[-1].stat().st_mtime_ns}.png"
    if not copy.exists():
        copy.write_bytes(samples[-1].read_bytes())
    return str(copy)
