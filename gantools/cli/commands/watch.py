"""``gantools watch``: a run's figures in the terminal while it trains."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.progress import animated

if TYPE_CHECKING:
    from rich.table import Table

    from gantools.report.story import Curve, Panel, Story

_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 40


@console.guarded
def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    once: Annotated[bool, typer.Option("--once", help="Show the present state and end.")] = False,
    every_seconds: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Show a run's figures as they come, until it ends or Ctrl-C. Nothing is written; the training goes on."""
    from gantools.report import story

    if once or not animated():
        _print(story.read(run))
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        while True:
            told = story.read(run)
            live.update(_table(told), refresh=True)
            if not story.is_running(run):
                return
            time.sleep(every_seconds)


def _print(told: Story) -> None:
    """One line per figure: name, last step, last value."""
    for panel in told.panels:
        for curve in panel.curves:
            console.result(f"{panel.title}\t{curve.name}\t{curve.steps[-1]}\t{curve.values[-1]:.6g}")


def _table(told: Story) -> Table:
    from rich.table import Table
    from rich.text import Text

    title = f"{told.path}: {told.facts.get('status', '')}, step {told.step}"
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for header in ("figure", "last", ""):
        table.add_column(header, justify="right" if header == "last" else "left", no_wrap=True)
    for panel in told.panels:
        for curve in panel.curves:
            table.add_row(Text(_label(panel, curve)), f"{curve.values[-1]:.4g}", spark(curve.values))
    for said, style in ((told.warnings, "yellow"), (told.advice, "cyan")):
        for step, text in said[-3:]:
            table.add_row(Text(f"step {step}: {text}", style=style), "", "")
    return table


def _label(panel: Panel, curve: Curve) -> str:
    alone = len(panel.curves) == 1 and not panel.title.startswith("losses")
    return panel.title if alone else f"{panel.title} · {curve.name}"


def spark(values: tuple[float, ...], width: int = _SPARK_WIDTH) -> str:
    """The last ``width`` values as a line of bars, the lowest and the highest filling it."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    top = len(_BARS) - 1
    return "".join(_BARS[round((value - low) / (high - low) * top) if high > low else 0] for value in shown)
