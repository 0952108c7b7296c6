"""Tables of metrics: plain in a pipe, ruled on a terminal, never with a number cut off."""

from __future__ import annotations

import sys

import pytest

from gantools.cli.output import tables
from gantools.metrics import protocols

MEANS = {
    "bicubic": {"psnr_y": 28.43141, "l1_percent": 3.0, "colorfulness": 60.0},
    "[red]model": {"psnr_y": float("inf"), "l1_percent": 2.0, "colorfulness": 61.0},
}
METRICS = protocols.find_all(["psnr_y", "l1", "colorfulness"])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    def of_width(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", "25")  # without it rich takes a dumb terminal for one of 80 columns
        monkeypatch.setenv("TERM", "dumb")

    return of_width


def test_plain_columns_in_a_pipe(capsys):
    tables.print_metrics(MEANS, METRICS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["psnr_y", "↑", "l1_percent", "↓", "colorfulness"]
    assert lines[2].split() == ["[red]model", "inf", "2.0000", "61.0000"]


@pytest.mark.parametrize(("columns", "ruled"), [(100, True), (30, False)])
def test_a_terminal_gets_rules_but_no_number_is_cut_off(capsys, terminal, columns, ruled):
    terminal(columns)
    tables.print_metrics(MEANS, METRICS)
    text = capsys.readouterr().out
    assert ("│" in text) == ruled
    for word in ("[red]model", "28.4314", "61.0000"):
        assert word in text
