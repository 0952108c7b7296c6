from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantools.inference.tiling.grid import Grid, Tile

grids = st.builds(
    lambda rows, columns, step_px, halo_px: Grid(rows * step_px, columns * step_px, step_px, halo_px),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(0, 40),
)
sides = st.integers(1, 400)


def made_once(grid: Grid, tiles: list[Tile]) -> bool:
    times = np.zeros((grid.height, grid.width), int)
    for tile in tiles:
        times[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += 1
    return bool((times == 1).all())


def check_context(grid: Grid, tile: Tile) -> None:
    assert grid.halo_px is not None
    for span, length in ((tile.rows, grid.height), (tile.columns, grid.width)):
        assert span.first == 0 or span.start - span.first >= grid.halo_px
        assert span.last == length or span.last - span.stop >= grid.halo_px
        assert span.first % grid.step_px == span.start % grid.step_px == span.last % grid.step_px == 0
        assert 0 <= span.first <= span.start < span.stop <= span.last <= length


@given(grids, sides)
def test_tiles_make_every_pixel_once_with_enough_context(grid: Grid, side_px: int) -> None:
    tiles = grid.tiles(side_px)
    assert made_once(grid, tiles)
    for tile in tiles:
        check_context(grid, tile)
        assert tile.side_px <= max(side_px, grid.step_px)


@given(grids, sides)
def test_a_tile_in_smaller_parts_is_the_same_tile(grid: Grid, side_px: int) -> None:
    first, *others = grid.tiles(side_px)
    parts = grid.halves(first)
    assert (parts == []) == (first.side_px <= grid.step_px)
    assert made_once(grid, [*(parts or [first]), *others])
    for part in parts:
        check_context(grid, part)
        assert part.side_px <= max(grid.step_px, first.side_px // 2)


@given(grids, st.integers(1, 90_000))
def test_the_largest_side_is_the_largest_that_fits(grid: Grid, input_px: int) -> None:
    side_px = grid.largest_side_px(input_px)
    most_px = max(tile.input_px for tile in grid.tiles(side_px))
    assert most_px <= input_px or side_px == grid.step_px
    assert side_px > 0 or grid.height * grid.width <= input_px


@pytest.mark.parametrize("side_px", [0, 1, 8, 64])
def test_what_cannot_be_cut_stays_whole(side_px: int) -> None:
    grid = Grid(24, 16, 8, None)
    assert grid.tiles(side_px) == [grid.whole()]
    assert grid.halves(grid.whole()) == []
    assert grid.largest_side_px(1) == 0


def test_tiles_are_even() -> None:
    assert [tile.columns.stop for tile in Grid(10, 100, 1, 3).tiles(30)] == [25, 50, 75, 100]
