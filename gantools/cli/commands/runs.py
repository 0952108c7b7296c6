"""``gantools report`` and ``gantools watch``: a run as a page, and in the terminal while it trains."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.progress import animated
from gantools.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from gantools.report.run_log import RunLog

BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder; it may still be training.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to [RUN/report.html].")]
TensorBoard = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write TensorBoard events into this new folder instead.")
]
Once = Annotated[bool, typer.Option("--once", help="Show the current state and exit.")]
Every = Annotated[float, typer.Option("--every", min=0.2, help="Seconds between updates.")]


@console.guarded
def report(run: Run, output: Output = None, tensorboard: TensorBoard = None) -> None:
    """Write a run's metrics, samples, settings and environment as one HTML page that needs no network."""
    from gantools import api

    if tensorboard is not None:
        if output is not None:
            raise UsageError("-o and --tensorboard both say where to write; give one")
        count = api.export_tensorboard(run, tensorboard)
        console.message(f"{count} values; view them with: tensorboard --logdir {tensorboard}")
        console.result(str(tensorboard))
        return
    console.result(str(api.report(run, output)))


@console.guarded
def watch(run: Run, once: Once = False, every_seconds: Every = 2.0) -> None:
    """Show a run's metrics as they are logged, until it ends or Ctrl-C. Writes nothing; the training continues."""
    from gantools import api

    if once or not animated():
        for panel in api.read_log(run).panels:
            for curve in panel.curves:
                console.result(f"{panel.title}\t{curve.name}\t{curve.steps[-1]}\t{curve.values[-1]:.6g}")
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        while True:
            log = api.read_log(run)
            live.update(_table(log), refresh=True)
            if log.has_stopped:
                return
            time.sleep(every_seconds)


def _table(log: RunLog) -> Table:
    """The last value and the course of every metric, and the latest messages."""
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{log.path}: {log.facts.get('status', '')}, step {log.step}")
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for header in ("metric", "last", ""):
        table.add_column(header, justify="right" if header == "last" else "left", no_wrap=True)
    for panel in log.panels:
        alone = len(panel.curves) == 1 and not panel.title.startswith("losses")
        for curve in panel.curves:
            name = panel.title if alone else f"{panel.title} · {curve.name}"
            table.add_row(Text(name), f"{curve.values[-1]:.4g}", sparkline(curve.values))
    for messages, style in ((log.warnings, "yellow"), (log.advice, "cyan")):
        for step, text in messages[-3:]:
            table.add_row(Text(f"step {step}: {text}", style=style), "", "")
    return table


def sparkline(values: tuple[float, ...], width: int = SPARKLINE_WIDTH) -> str:
    """The last ``width`` values as a line of bars between their lowest and highest."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / (high - low) * top) if high > low else 0] for value in shown)
