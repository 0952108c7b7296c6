from __future__ import annotations

import numpy as np
import pytest

from gantools.images.ops.grid import GAP_PX, LABEL_PX, grid


def tile(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_tiles_stand_in_rows_with_white_between():
    sheet = grid([[tile(8, 10, 1), tile(8, 6, 2)], [tile(5, 10, 3), tile(4, 6, 4)]])
    assert sheet.shape == (8 + 5 + 3 * GAP_PX, 10 + 6 + 3 * GAP_PX, 3)
    assert (sheet[GAP_PX : GAP_PX + 8, GAP_PX : GAP_PX + 10] == 1).all()
    second = sheet[8 + 2 * GAP_PX :]
    assert (second[:4, 10 + 2 * GAP_PX : 16 + 2 * GAP_PX] == 4).all()
    assert (second[4, 10 + 2 * GAP_PX :] == 255).all()
    assert (sheet[:GAP_PX] == 255).all()


def test_a_short_row_leaves_white():
    sheet = grid([[tile(4, 4, 0), tile(4, 4, 0)], [tile(4, 4, 0)]])
    assert (sheet[4 + 2 * GAP_PX :, 4 + GAP_PX :] == 255).all()


def test_labels_are_drawn_above_the_columns():
    plain = grid([[tile(20, 60, 9), tile(20, 60, 9)]])
    labelled = grid([[tile(20, 60, 9), tile(20, 60, 9)]], ["input", "output"])
    assert labelled.shape[0] == plain.shape[0] + LABEL_PX
    assert np.array_equal(labelled[LABEL_PX:], plain)
    for start in (0, 60 + GAP_PX):
        assert (labelled[:LABEL_PX, start : start + 60] < 128).any()


def test_labels_must_match_the_columns():
    with pytest.raises(ValueError, match="shorter"):
        grid([[tile(4, 4, 0), tile(4, 4, 0)]], ["input"])


def test_titles_of_a_wide_sheet_grow_within_their_columns():
    def title_px(*widths):
        return (
            grid([[tile(20, width, 9) for width in widths]], ["low", "made"][: len(widths)]).shape[0] - 20 - 2 * GAP_PX
        )

    assert title_px(300, 300) == LABEL_PX
    assert title_px(700, 1400) == 3 * LABEL_PX
    assert LABEL_PX < title_px(40, 2060) < 3 * LABEL_PX
