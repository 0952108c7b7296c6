"""Which weights are the best, by the table's direction, and the advice when nothing gets better."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gantools import api
from gantools.errors import UsageError
from gantools.metrics.frechet import frechet
from gantools.training.recipe import Best
from gantools.training.recorder import PLATEAU_VALIDATIONS
from gantools.training.run import metrics_log
from gantools.training.validation import Validation, _distances
from tests.training.listening import Listener


def test_the_direction_is_the_tables():
    assert Best.by("psnr_y") == Best("psnr_y", higher=True)
    assert Best.by("l1_percent") == Best("l1_percent", higher=False)
    assert Best.by("perceptual").beats(1.0, 2.0)
    assert not Best.by("hole_psnr").beats(math.nan, 2.0)
    with pytest.raises(UsageError, match="psnr_z"):
        Best.by("psnr_z")


def test_validations_since_the_best_are_counted():
    validation = Validation(None, [], {}, None, None)
    best = Best.by("psnr_y")
    answers = [validation.is_best(best, {"psnr_y": value}) for value in (math.nan, 20, 21, 21, 20.5, math.nan, 22)]
    assert answers == [False, True, True, False, False, False, True]
    validation.is_best(best, {"psnr_y": 3})
    again = Validation(None, [], {}, None, None)
    again.load_state(validation.state())
    assert (again.best, again.stale) == (22, 1)
    again.forget_best()
    assert (again.best, again.stale) == (None, 0)
    assert not again.is_best(None, {})


def test_a_plateau_is_reported_once_and_the_run_goes_on(tiny, tmp_path):
    validations = PLATEAU_VALIDATIONS + 4
    still = [f"stages.adversarial.optimizers.{player}.lr=1e-30" for player in ("generator", "discriminator")]
    settings = tiny(
        "pix2pix/shoes-64",
        *still,
        "train.validate_every_steps=1",
        f"stages.adversarial.steps={validations}",
        "train.ema_decay=null",
        "model.generator.norm=none",
    )
    reporter = Listener()
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu", reporter=reporter)
    lines = [line for line in reporter.lines if "not become better" in line]
    rows = metrics_log.read(tmp_path / "run" / "metrics.jsonl")
    assert run.ending == "finished"
    assert len(lines) == 1
    assert lines[0].startswith(f"step {PLATEAU_VALIDATIONS + 1}: l1_percent")
    assert [row["advice"] in lines[0] for row in rows if "advice" in row] == [True]


def test_with_features_pix2pix_is_judged_by_both_metrics_and_cyclegan_has_best_weights(tiny, tmp_path):
    def trained(spec: str, *overrides: str) -> tuple[dict[str, float], bool]:
        run = api.train(tiny(spec, *overrides), run_dir=tmp_path / f"{spec}{len(overrides)}", device="cpu")
        return run.validation, (run.path / "weights" / "best.safetensors").exists()

    random = [f"model.perceptual.{each}" for each in ("network=squeezenet1_0", "weights=random", "layers=[features.1]")]
    metrics, has_best = trained("pix2pix/shoes-64", *random)
    assert metrics["perceptual"] > 0
    assert metrics["l1_and_features"] == pytest.approx(metrics["l1_percent"] + metrics["perceptual"], abs=0.2)
    assert has_best
    metrics, has_best = trained("cyclegan/apple2orange-64", *random)
    assert metrics["frechet"] > 0
    assert has_best
    metrics, has_best = trained("cyclegan/apple2orange-64")
    assert "frechet" not in metrics
    assert not has_best


def test_figures_of_the_whole_split_are_distances_of_sets():
    rng = np.random.default_rng(0)
    vectors = [torch.from_numpy(rng.normal(size=(5, 3)) + shift) for shift in (0, 0, 2, 0)]
    rows = [{"frechet": [(a, b), (c, d)]} for a, b, c, d in zip(*vectors, strict=True)]
    near, far = (frechet(vectors[one].numpy(), vectors[other].numpy()) for one, other in ((0, 1), (2, 3)))
    assert far > near + 5
    assert _distances(rows)["frechet"] == pytest.approx((near + far) / 2)
    assert _distances(rows[:1]) == _distances([]) == _distances([{}, {}]) == {}
