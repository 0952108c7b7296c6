"""``gantools bench``: a row for each loop, as a table or as JSON Lines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from gantools.benchmark import cases
from gantools.cli.app import app

TOY = ("data.crop_px=32", "data.batch_images=2", "model.generator.channels=[8, 8, 8]")


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple(replace(case, small=TOY) for case in cases.CASES if case.name == "deblur")
    monkeypatch.setattr(cases, "CASES", changed)


def test_a_table_of_every_loop():
    ended = CliRunner().invoke(app, ["bench", "deblur", "--rounds", "1", "--device", "cpu"])
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("| case | loop | s/step")
    assert [line.split(" | ")[1] for line in lines[2:4]] == ["plain fp32", "fp32"]


def test_json_lines():
    ended = CliRunner().invoke(app, ["bench", "--json", "--rounds", "1", "--device", "cpu"])
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert rows[0]["contender"] == "plain fp32"
    assert rows[0]["ratio"] == 1
    assert all(row["case"] == "deblur" and row["seconds_per_step"] > 0 for row in rows)


def test_an_unknown_case_is_refused():
    ended = CliRunner().invoke(app, ["bench", "debblur"])
    assert ended.exit_code == 2
    assert "no case debblur; there are deblur" in ended.stderr
