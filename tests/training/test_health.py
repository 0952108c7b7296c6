"""The health monitor: what it sees, what it warns of and when, and that a healthy run hears nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from gantools import api
from gantools.training.monitor import finite, health
from gantools.training.monitor.health import (
    KEPT_RATIOS,
    LASTING_STEPS,
    LOOK_EVERY,
    MARK_EVERY,
    ROWS_IN_A_ROW,
    THUMBNAILS,
    YOUNG_STEPS,
    Health,
    WeightUpdateRatio,
)
from gantools.training.run import metrics_log


class Watched:
    """A monitor that looks at images given to it, and remembers its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.network = nn.Linear(64, 64)
        self.health = Health(
            lambda batch, made: {"fake": (made, batch)}, self.warnings.append, {"generator": self.network}
        )
        self.step = 0

    def rows(self, make, count: int = ROWS_IN_A_ROW, **losses: float) -> dict[str, float]:
        """Rows of a run whose generator is ``make``; the last one."""
        row: dict[str, float] = {}
        for number in range(count):
            for look in range(THUMBNAILS // 2 * LOOK_EVERY):
                stream = torch.Generator().manual_seed(1000 * number + look)
                truth = torch.rand(2, 3, 16, 16, generator=stream) * 1.6 - 0.8
                self.health.see(truth, make(truth))
            self.step += YOUNG_STEPS - 1
            row = self.row(self.step, losses)
        return row

    def row(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """A row as the loop writes it."""
        return self.health.row(step, metrics, finite.read(self.health.scalars()))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda truth: -truth, "inverted"),
        (lambda truth: (100 * truth).clamp(-1, 1), "black or white"),
        (lambda truth: torch.zeros_like(truth) + torch.linspace(-1, 1, 16), "nearly the same image"),
    ],
    ids=["inverted", "saturated", "collapsed"],
)
def test_what_stays_wrong_is_reported_once(make, says):
    watched = Watched()
    watched.rows(make, count=ROWS_IN_A_ROW)
    assert watched.warnings == []  # the first row was of a young stage, saturation apart
    watched.rows(make, count=1)
    assert [line for line in watched.warnings if says in line]
    watched.rows(make, count=5)
    assert len(watched.warnings) == 1


def test_a_good_generator_is_left_alone():
    watched = Watched()
    row = watched.rows(lambda truth: truth * 0.9, count=8)
    assert watched.warnings == []
    assert row["health/correlation"] == pytest.approx(1, abs=1e-3)
    assert row["health/diversity"] == pytest.approx(0.9, abs=0.01)
    assert row["health/saturation"] == 0


ADVERSARIAL = {"loss/generator/adversarial": 1.0}


def judged(loss: float) -> dict[str, float]:
    return {**ADVERSARIAL, "loss/discriminator/adversarial": loss}


@pytest.mark.parametrize(
    ("losses", "warnings"),
    [
        # the distance grows to three times what it was
        ([{"loss/generator/pixel": loss} for loss in (1.0, 2.9)], []),
        ([{"loss/generator/pixel": loss} for loss in (1.0, 2.9, 3.1)], [health._DIVERGED]),
        # a logarithmic loss gets worse, which is no multiple of its best
        ([{"loss/generator/pixel": loss} for loss in (-3.0, -2.0, -0.5)], []),
        # the discriminator is never wrong
        ([judged(0.5), judged(0.0005)], [health._BEATEN]),
        # losses that exploded do not make a good loss look like a victory
        ([judged(1e6), judged(0.5)], []),
    ],
)
def test_losses_that_go_wrong_are_reported(losses, warnings):
    watched = Watched()
    for each in losses:
        row = watched.rows(lambda truth: truth, **each)
        if each == judged(0.5) and len(warnings) == 1:
            assert row["health/discriminator_share"] == pytest.approx(1 / 3)
    assert watched.warnings == warnings


def test_rows_that_come_often_count_only_when_they_last():
    watched = Watched()
    watched.rows(lambda truth: truth)
    start = watched.step
    for step in range(1, LASTING_STEPS + 1):
        watched.row(start + step, {"loss/generator/pixel": 1.0 if step == 1 else 5.0})
    assert watched.warnings == []
    watched.row(start + LASTING_STEPS + 2, {"loss/generator/pixel": 5.0})
    assert watched.warnings == [health._DIVERGED]


def test_metrics_are_those_of_all_looks_since_the_last_row():
    watched = Watched()
    bright = torch.rand(2, 3, 16, 16) * 1.6 - 0.8
    for made in (bright, -bright):
        for _ in range(LOOK_EVERY):
            watched.health.see(bright, made)
    assert watched.row(1, {})["health/correlation"] == pytest.approx(0, abs=1e-5)


def stepped(watched: Watched, factor: float, steps: int = MARK_EVERY) -> float:
    """So many steps, in which the weights become ``factor`` times what they were; the row's movement."""
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        watched.network.weight.mul_(factor)
    for _ in range(steps):
        watched.health.see(image, image)
    watched.step += steps
    return watched.row(watched.step, {})["health/movement"]


def test_weights_that_run_away_are_reported_even_when_they_rest_afterwards():
    watched = Watched()
    assert stepped(watched, 3.0) == pytest.approx(2)
    assert stepped(watched, 1.0) == pytest.approx(2)
    assert watched.warnings == []
    stepped(watched, 1.0)
    assert watched.warnings == [health._UNSTABLE]
    later = [stepped(watched, 1.0) for _ in range(KEPT_RATIOS - 2)]
    assert [way > 1 for way in later] == [True] * (KEPT_RATIOS - 3) + [False]


def test_weights_that_walk_slowly_or_were_taken_from_elsewhere_are_left_alone():
    watched = Watched()
    assert max(stepped(watched, 1.4) for _ in range(20)) == pytest.approx(0.4, abs=1e-4)
    with torch.no_grad():
        watched.network.weight.mul_(10)  # a stage begins with other weights
    watched.health.begin(watched.step)
    assert stepped(watched, 1.0) == 0
    assert watched.warnings == []


def test_movement_is_of_a_sample_of_large_layers_and_of_the_network_that_moves_most():
    large, small = nn.Linear(1000, 1000), nn.Conv2d(3, 8, 3)
    movement = WeightUpdateRatio({"large": large, "small": small, "norm": nn.BatchNorm2d(3)})
    assert movement.largest() is None
    with torch.no_grad():
        large.weight.mul_(1.5)
        small.weight.mul_(1.2)
    movement.mark()
    assert movement.largest() == pytest.approx(0.5, abs=1e-5)
    assert sum(values.numel() for values in movement._sample().values()) < 10_000


def test_networks_without_matrices_or_with_nothing_in_them_do_not_move():
    zero = nn.Linear(4, 4)
    nn.init.zeros_(zero.weight)
    for movement in (WeightUpdateRatio({"norm": nn.BatchNorm2d(3), "zero": zero}), WeightUpdateRatio({})):
        nn.init.ones_(zero.weight)
        movement.mark()
        assert not movement.largest()


def test_logits_of_several_discriminators_are_averaged_under_health():
    row = Watched().row(1, {"figure/discriminator/real_logit": 0.5, "figure/critic/real_logit": 1.5, "x": 1})
    assert row == {"health/real_logit": 1.0, "health/movement": 0.0, "x": 1}


@pytest.mark.parametrize("spec", ["pix2pix/shoes-64", "srgan/compact", "cyclegan/apple2orange-64"])
def test_runs_write_health_into_the_log(spec, tiny, tmp_path):
    run = api.train(tiny(spec), run_dir=tmp_path / "run")
    every = metrics_log.read(run.path / "metrics.jsonl")
    rows = [row for row in every if {"loss/discriminator/a", "loss/discriminator/adversarial"} & row.keys()]
    assert rows
    for name in ("real_logit", "fake_logit", "discriminator_share"):
        assert all(f"health/{name}" in row for row in rows)
    assert not [key for row in rows for key in row if key.startswith("figure/") and key.endswith("_logit")]
    first = every[0]
    assert -1 <= first["health/correlation"] <= 1
    assert first["health/diversity"] == 1


def test_a_warning_stands_in_the_log(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(health, "DIVERGED_TIMES", 0.5)
    monkeypatch.setattr(health, "LASTING_STEPS", 2)
    run = api.train(tiny("pix2pix/shoes-64"), run_dir=tmp_path / "run")
    warnings = [row for row in metrics_log.read(run.path / "metrics.jsonl") if "warning" in row]
    assert [row["warning"] for row in warnings] == [health._DIVERGED]
    assert warnings[0]["step"] == ROWS_IN_A_ROW


@pytest.mark.parametrize("size", [(8, 8), (50, 33), (17, 24)])
def test_thumbnails_are_of_sides_that_metal_can_pool(size, monkeypatch):
    """Metal pools to 8 x 8 only what 8 divides."""
    pooled = []

    def pool(image, side_px):
        pooled.append(image.shape[2:])
        return adaptive_avg_pool2d(image, side_px)

    monkeypatch.setattr(health, "adaptive_avg_pool2d", pool)
    assert health._thumbnail(torch.rand(2, 3, *size)).shape == (3, 8, 8)
    assert all(side % 8 == 0 for side in pooled[0])
