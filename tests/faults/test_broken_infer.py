"""The harness proves itself: with one thing broken, the row that is to notice turns red."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from gantools import files
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference import model as models
from gantools.inference.tiling import forward
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.grid import Grid, Tile
from gantools.inference.tiling.tile_io import TileIO
from tests.faults import ground
from tests.faults.harness import Trial, find, tried
from tests.faults.infer import ROWS

# Child processes run these before anything else; the product itself knows nothing of them.
SUCCESS_WHATEVER_FAILS = """
from gantools.cli.output import results
results.ResultPrinter.conclude = lambda self, facts: 0
"""
FAILURES_UNTOLD = """
from gantools.cli.output import results
results.ResultPrinter._failure = lambda self, result: self.failure_codes.add(result.exit_code)
"""
HALF_IS_WHOLE = """
from PIL import ImageFile
ImageFile.LOAD_TRUNCATED_IMAGES = True
"""
ORIENTATION_IGNORED = """
from gantools.images.io import samples
samples.upright = lambda pixels, turn: pixels
"""
SIXTEEN_BITS_TO_EIGHT = """
from gantools.images.io import reader
reader.largest_value = lambda image, head: 255
"""
SIZES_UNSEEN = """
from gantools.images.io import reader
reader._require_size = lambda size, label, max_pixels: None
"""
NAMES_CLEANED = """
from gantools.inference import plan
stem = plan.stem
plan.stem = lambda path: "".join(letter if letter.isprintable() else "_" for letter in stem(path))
"""
SOMETHING_HELD = """
from gantools.inference.pipeline import encode
held, encode_one = [], encode.encode
encode.encode = lambda translated, options: (held.append(b"x" * 100_000), encode_one(translated, options))[1]
"""
FULL_DEVICE_UNSEEN = """
import contextlib
from gantools.cli.output import console
from gantools.cli import start
result = console.result
start._write_out = lambda: 0

def forgiving(*line):
    with contextlib.suppress(OSError):
        result(*line)

console.result = forgiving
"""
DOUBLES = {
    "exit 0 whatever fails": ("one-bad", SUCCESS_WHATEVER_FAILS),
    "failures are not told": ("mutated", FAILURES_UNTOLD),
    "half a picture is a whole one": ("one-bad", HALF_IS_WHOLE),
    "orientation is ignored": ("matrix", ORIENTATION_IGNORED),
    "16 bits become 8": ("matrix", SIXTEEN_BITS_TO_EIGHT),
    "sizes are not looked at": ("bombs", SIZES_UNSEEN),
    "names are cleaned": ("names", NAMES_CLEANED),
    "something of every picture is held": ("creep", SOMETHING_HELD),
    "a full device is not seen": ("pipes", FULL_DEVICE_UNSEEN),
}


def broken(row: str, folder: Path) -> list[str]:
    """What a row says is broken, in its short form."""
    (found,) = find(ROWS, [row])
    return tried(found, Trial(folder)).broken


@pytest.mark.parametrize(("row", "source"), DOUBLES.values(), ids=DOUBLES)
def test_a_broken_program_is_noticed(row: str, source: str, tmp_path: Path) -> None:
    with ground.double(tmp_path, source):
        assert broken(row, tmp_path)


@contextlib.contextmanager
def written_in_place(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path


def errors_swallowed(picture: Image, path: Path, **options: Any) -> None:
    with contextlib.suppress(OSError):
        save(picture, path, **options)


def first_tile_again(io: TileIO, output: torch.Tensor, tile: Tile) -> None:
    """Every tile gets what the first one of its shape was."""
    kept = _tiles.setdefault((id(io), output.shape, tile.input_px), output)
    write(io, kept, tile)


def failed_tile_left(io: TileIO, tile: Tile, context: ExecutionContext) -> forward.TileStatus:
    status = compute_tile(io, tile, context)
    return "done" if status == "no memory" else status


def marked_by_order(io: TileIO, output: torch.Tensor, tile: Tile) -> None:
    """A result that depends on how many came before it."""
    write(io, output + (next(_count) % 7) / 50, tile)


def uncropped(pixels: np.ndarray, model: models.Model) -> TileIO:
    io = of(pixels, model)
    height, width = io.grid.height * io.scale, io.grid.width * io.scale
    return replace(io, result=np.zeros((height, width, 3), pixels.dtype))


save, write, compute_tile, of = writer.save, TileIO.write, forward._compute_tile, TileIO.of
_tiles: dict[object, torch.Tensor] = {}
_count = itertools.count()
Patch = Callable[[], AbstractContextManager[object]]
PATCHES: dict[str, tuple[str, Patch]] = {
    "written without rename": ("disk", lambda: mock.patch.object(files, "_staged", written_in_place)),
    "a swallowed error": ("disk", lambda: mock.patch.object(writer, "save", errors_swallowed)),
    "a stale tile": ("seams", lambda: mock.patch.object(TileIO, "write", first_tile_again)),
    "no halo": ("seams", lambda: mock.patch.object(Grid, "halo_px", 0)),
    "a failed tile left as it was": ("memory", lambda: mock.patch.object(forward, "_compute_tile", failed_tile_left)),
    "a result that depends on neighbours": ("neighbours", lambda: mock.patch.object(TileIO, "write", marked_by_order)),
    "sides not cropped": ("sizes", lambda: mock.patch.object(TileIO, "of", uncropped)),
    "infinity passes": ("overflow", lambda: mock.patch.object(torch, "isfinite", lambda made: made == made)),
    "shapes not compared": ("weights", lambda: mock.patch.object(models, "_require_equal_shapes", return_value=None)),
}


UNTRIED = {"killed", "large", "signals", "decoders"}
"""A single kill seldom meets a write, so that disk stands for it; of the others nothing broken is tried yet."""


@pytest.mark.parametrize(("row", "patch"), PATCHES.values(), ids=PATCHES)
def test_a_broken_function_is_noticed(row: str, patch: Patch, tmp_path: Path) -> None:
    with patch():
        assert broken(row, tmp_path)


def test_every_row_is_tried_by_something_broken() -> None:
    rows = {row for row, _ in (*DOUBLES.values(), *PATCHES.values())}
    assert {row.name for row in ROWS} - rows == UNTRIED
