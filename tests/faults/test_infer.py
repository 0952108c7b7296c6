"""The short form of every row of inference, and that each notices what it is there to notice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gantools import files
from gantools.images.image import Image
from gantools.images.io import writer
from tests.faults.harness import Row, Trial, find, run
from tests.faults.infer import ROWS
from tests.faults.processes import patched


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_guarantee_is_kept(row: Row, tmp_path: Path) -> None:
    outcome = run(row, Trial(tmp_path))
    assert outcome.cases > 0
    assert not outcome.failures, outcome.failures[:10]


# What new processes run before anything else.
PATCHES = {
    "exit code 0 after failures": (
        "mutated",
        "from gantools.cli.output import results\nresults.ResultPrinter.conclude = lambda self, facts: 0",
    ),
    "unreported failures": (
        "mutated",
        "from gantools.cli.output.results import ResultPrinter\n"
        "ResultPrinter._failure = lambda self, result: self.failure_codes.add(result.exit_code)",
    ),
    "a truncated image accepted": ("mutated", "from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True"),
    "sizes not checked": (
        "bombs",
        "from gantools.images.io import reader\nreader._require_size = lambda size, label, max_pixels: None",
    ),
    "memory kept for every image": (
        "creep",
        "from gantools.inference.pipeline import encode\n"
        "kept, original = [], encode.encode\n"
        "encode.encode = lambda image, options: (kept.append(b'x' * 100_000), original(image, options))[1]",
    ),
}


@pytest.mark.parametrize(("row", "source"), PATCHES.values(), ids=PATCHES)
def test_a_broken_program_is_noticed(row: str, source: str, tmp_path: Path) -> None:
    with patched(tmp_path, source):
        assert run(find(ROWS, [row])[0], Trial(tmp_path)).failures


@contextlib.contextmanager
def in_place(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path


def swallowing_errors(image: Image, path: Path, **options: Any) -> None:
    with contextlib.suppress(OSError):
        save(image, path, **options)


save = writer.save


@pytest.mark.parametrize(
    ("owner", "name", "broken"), [(files, "_staged", in_place), (writer, "save", swallowing_errors)]
)
def test_a_broken_write_is_noticed(owner: Any, name: str, broken: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(owner, name, broken)
    assert run(find(ROWS, ["disk"])[0], Trial(tmp_path)).failures
