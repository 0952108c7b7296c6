"""``gantools bench``: a row for each precision and layout, as a table or as JSON Lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gantools import recipes

TOY = ("data.crop_px=32", "data.batch_images=2", "data.workers=0", "model.generator.channels=[8, 8, 8]")


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes.find("deblur"), "bench_settings", TOY)


def test_a_table_and_json_lines_of_the_same_steps(gantools: Any) -> None:
    ended = gantools("bench", "deblur", "--rounds", "1", "--device", "cpu")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("| case | setting | s/step")
    assert [line.split(" | ")[1] for line in lines[2:4]] == ["fp32 contiguous", "fp32 channels_last"]
    ended = gantools("bench", "deblur/compact", "--json", "--rounds", "1", "--device", "cpu")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert (rows[0]["case"], rows[0]["setting"], rows[0]["ratio"]) == ("deblur/compact", "fp32 contiguous", 1)
    assert all(row["images_per_second"] == pytest.approx(2 / row["seconds_per_step"]) for row in rows)
    assert len(rows) == len(lines) - 2
