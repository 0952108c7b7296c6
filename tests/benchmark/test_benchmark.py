"""The benchmark measures equal work: our steps make the hand-written loop's losses, and gradients near float64's."""

from __future__ import annotations

import pytest
import torch

from benchmarks import by_hand, training
from benchmarks.steps import CASES, FP32, Case, Mode, our_step, plain_step

CPU = torch.device("cpu")
CHANNELS_LAST, BF16 = Mode("fp32", channels_last=True), Mode("bf16", channels_last=False)
MODES = (FP32, CHANNELS_LAST, BF16, Mode("bf16", channels_last=True))
STEPS = 3


def losses(step, count: int = STEPS) -> list[dict[str, float]]:
    return [{name: float(loss) for name, loss in step().items()} for _ in range(count)]


def test_every_case_is_a_stage_that_was_written_by_hand():
    assert {(case.preset.split("/")[0], case.stage) for case in CASES} == set(by_hand.known())


def test_our_steps_make_the_losses_of_the_hand_written_loop(case: Case):
    settings = case.settings(small=True)
    ours = losses(our_step(settings, case.stage, CPU, FP32))
    by_hand = losses(plain_step(settings, case.stage, CPU))
    assert [one.keys() for one in ours] == [one.keys() for one in by_hand]
    for mine, theirs in zip(ours, by_hand, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    assert ours[0] != ours[-1]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_gradients_stay_near_those_of_float64(case: Case, mode: Mode):
    """Loose bounds: rounding alone. A wrong backward pass has a relative error of 1."""
    bound, cosine = (1e-3, 0.99999) if mode.precision == "fp32" else (0.45, 0.9)
    rows = training.gradient_errors(case, CPU, [mode], small=True)
    assert {row.player for row in rows} <= {"generator", "discriminator"}
    for row in rows:
        assert row.relative_error < bound, row
        assert row.cosine > cosine, row


def test_timing_gives_a_row_for_every_contender(deblur: Case):
    rows = training.time_steps(deblur, CPU, [FP32, BF16], small=True, rounds=1)
    assert [row.contender for row in rows] == ["plain fp32", "fp32", "bf16"]
    assert rows[0].ratio == 1
    assert rows[1].loss_error < 1e-5
    assert all(row.teraflops > 0 and row.images_per_second * row.seconds_per_step == pytest.approx(2) for row in rows)
    table = training.speed_table(rows, peak_teraflops=1.0)
    assert table.count("\n") == 4
    assert "of the bf16 peak" in table


def test_losses_in_bf16_follow_those_in_fp32(deblur: Case, tmp_path):
    settings = training.drawn(deblur, tmp_path, small=True)
    wide, narrow = (training.curves(deblur, settings, CPU, mode, 12)["generator"] for mode in (FP32, BF16))
    assert len(wide) == 12
    assert narrow == pytest.approx(wide, rel=0.05)
    assert narrow != wide
    table = training.curve_table("deblur", {"fp32": {"generator": wide}, "bf16": {"generator": narrow}}, windows=3)
    assert table.count("| 4–8 |") == 1


def test_waiting_for_images_is_a_share(deblur: Case, tmp_path):
    settings = training.drawn(deblur, tmp_path, small=True)
    assert 0 < training.data_wait_share(deblur, settings, CPU, FP32, steps=2) < 1


def test_memory_is_measured_in_a_process_of_its_own(deblur: Case):
    assert training.peak_megabytes(deblur, "fp32", CPU, small=True) > 100
