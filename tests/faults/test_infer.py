"""The short form of every row about inference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.harness import Row, Trial, tried
from tests.faults.infer import ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_promise_is_kept(row: Row, tmp_path: Path) -> None:
    outcome = tried(row, Trial(tmp_path))
    assert outcome.cases > 0
    assert not outcome.broken, outcome.broken[:10]
