"""``gantools demo``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gantools import api
from gantools import demo as tour


def test_it_writes_images_and_a_page_that_shows_them(gantools, here, monkeypatch):
    monkeypatch.setattr(tour, "DRAWINGS", 40)
    monkeypatch.setattr(tour, "TRIED_STEPS", 4)
    monkeypatch.setattr(tour, "affordable_steps", lambda seconds: 2)
    done = gantools("demo", "-o", "d")
    assert (done.code, done.out) == (0, "d/index.html\n")
    assert re.search(r"^    \d+\.\d\d s per step: 2 steps instead of 1000, .*; eta 0:0\d:\d\d$", done.err, re.MULTILINE)
    assert json.loads((here / "d" / "run" / "run.json").read_bytes())["step"] == 2
    assert not list((here / "d").glob("trial-*"))
    page = (here / "d" / "index.html").read_text()
    for name in ("photos.png", "shoes.png", "deblur.png", "restore.png", "context_encoder.png"):
        assert (here / "d" / name).is_file()
        assert f'src="{name}"' in page


@pytest.mark.parametrize(("seconds", "steps"), [(0.01, 1000), (0.15, 1000), (0.3, 550), (0.33, 500), (60, 50)])
def test_the_training_is_as_long_as_fits(seconds, steps):
    assert tour.affordable_steps(seconds) == steps


def test_intervals_and_schedule_follow_the_number_of_steps(tmp_path, monkeypatch):
    tour.drawing.draw_dataset("shoes", tmp_path / "drawn", 2, 64, seed=0)
    configured = []
    stopped = api.TrainingRun(tmp_path, "finished", 3, {})
    monkeypatch.setattr(api, "train", lambda settings, **_: configured.append(settings.config) or stopped)
    tour._train(tmp_path, tmp_path / "run", tour.Silent(), 450)
    (config,) = configured
    stage = config.stages.adversarial
    assert (stage.steps, stage.epochs, stage.schedule.at) == (450, None, (0.6, 0.85))
    assert (config.train.log_every_steps, config.train.preview_every_steps) == (45, 90)


def test_a_signal_while_it_trains_ends_it(gantools, here, monkeypatch):
    monkeypatch.setattr(tour, "DRAWINGS", 1)
    stopped = api.TrainingRun(Path("d/run"), "interrupted", 3, {}, signal=15)
    monkeypatch.setattr(api, "train", lambda *_, **__: stopped)
    done = gantools("demo", "-o", "d")
    assert (done.code, done.out) == (143, "")
    assert done.err.splitlines()[-1].startswith("gantools: the demo was stopped while it trained")
