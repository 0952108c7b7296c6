"""What a failed job says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantools.jobs.result import failed


@dataclass(frozen=True)
class Planned:
    input: str = "a.png"
    output: Path = Path("out/a.png")


def test_an_error_of_the_system_is_told_without_its_class_and_number() -> None:
    found = failed(Planned(), PermissionError(13, "Permission denied", "out"), 0.0, None)
    assert found.error == "'out': Permission denied"
    assert failed(Planned(), ValueError("no\nnumber"), 0.0, None).error == "ValueError: no number"
