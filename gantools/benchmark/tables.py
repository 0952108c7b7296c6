"""Figures as Markdown tables."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence

from gantools.benchmark.gradients import GradientError
from gantools.benchmark.runs import Curves
from gantools.benchmark.timing import Timed


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every column but the first two is aligned to the right."""
    ruler = ["---" if column < 2 else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows))


def speed(rows: Iterable[Timed], peak_teraflops: float | None = None) -> str:
    """Seconds, images, the ratio to the hand-written loop; with a GPU's peak also the share of it."""
    header = ["case", "loop", "s/step", "images/s", "ratio", "graphs", "first losses off by", "TFLOP/s"]
    cells = [
        [
            row.case,
            row.contender,
            f"{row.seconds_per_step:.4f}",
            f"{row.images_per_second:.3g}",
            f"{row.ratio:.2f}",
            str(row.graphs),
            f"{row.loss_error:.1e}",
            f"{row.teraflops:.3g}",
        ]
        for row in rows
    ]
    if peak_teraflops:
        header.append("of the bf16 peak")
        cells = [[*cell, f"{float(cell[-1]) / peak_teraflops:.0%}"] for cell in cells]
    return markdown(header, cells)


def gradients(rows: Iterable[GradientError]) -> str:
    header = ("case", "player", "mode", "relative error", "cosine")
    cells = ((row.case, row.player, row.mode, f"{row.relative_error:.1e}", f"{row.cosine:.5f}") for row in rows)
    return markdown(header, cells)


def curves(case: str, found: dict[str, Curves], windows: int = 10) -> str:
    """Each player's mean loss over tenths of the run, one column per mode."""
    modes = list(found)
    players = list(found[modes[0]])
    length = len(found[modes[0]][players[0]])
    edges = [length * window // windows for window in range(windows + 1)]
    rows = [
        [case, player, f"{start}–{end}", *(f"{statistics.fmean(found[mode][player][start:end]):.4f}" for mode in modes)]
        for player in players
        for start, end in itertools.pairwise(edges)
    ]
    return markdown(["case", "player", "steps", *modes], rows)
