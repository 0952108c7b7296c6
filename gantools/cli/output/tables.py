"""Tables of metrics: with rules and colours on a terminal, in plain columns for a pipe."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gantools.cli.output import console

if TYPE_CHECKING:
    from gantools.metrics.protocols import MetricProtocol

ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
"""Beside a metric's name: which values are better."""

_WIDEST = 10_000


def print_metrics(means: Mapping[str, Mapping[str, float]], metrics: Sequence[MetricProtocol]) -> None:
    """Print a row per candidate and a column per metric; on a terminal the best value of each is highlighted."""
    heads = ["", *(f"{metric.name}{ARROWS[metric.better]}" for metric in metrics)]
    rows = [[name, *(_cell(values.get(metric.name)) for metric in metrics)] for name, values in means.items()]
    if not sys.stdout.isatty() or not _rich(heads, rows, [metric.best_of(means) for metric in metrics]):
        _plain([heads, *rows])


def shown(value: float) -> str:
    """A value with four decimals: 0.8113, 28.4314."""
    return f"{value:.4f}" if math.isfinite(value) else str(value)


def _cell(value: float | None) -> str:
    """A value, or nothing where there is none: the truth's distance from itself."""
    return "" if value is None else shown(value)


def _plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        console.result("  ".join(cells).rstrip())


def _rich(heads: Sequence[str], rows: Sequence[Sequence[str]], best: Sequence[str | None]) -> bool:
    """Print with rules; False, and nothing, where the terminal is too narrow for the table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal, table = Console(), Table()
    for number, head in enumerate(heads):
        table.add_column(Text(head), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        styles = ["", *("bold green" if name == row[0] else "" for name in best)]
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    if terminal.measure(table, options=terminal.options.update_width(_WIDEST)).maximum > terminal.width:
        return False
    with terminal.capture() as text:
        terminal.print(table)
    console.result(text.get().rstrip("\n"))
    return True
