"""``gantools demo``."""

from __future__ import annotations

from pathlib import Path

from gantools import api
from gantools.demonstration import tour


def test_it_leaves_pictures_and_a_page_that_shows_them(gantools, here, monkeypatch):
    monkeypatch.setattr(tour, "PICTURES", 40)
    done = gantools("demo", "-o", "d", "--steps", "1")
    assert (done.code, done.out) == (0, "d/index.html\n")
    page = (here / "d" / "index.html").read_text()
    for name in ("photos.png", "shoes.png"):
        assert (here / "d" / name).is_file()
        assert f'src="{name}"' in page


def test_a_signal_while_it_trains_ends_it(gantools, here, monkeypatch):
    monkeypatch.setattr(tour, "PICTURES", 1)
    stopped = api.TrainingRun(Path("d/run"), "interrupted", 3, {}, signal=15)
    monkeypatch.setattr(api, "train", lambda *_, **__: stopped)
    done = gantools("demo", "-o", "d")
    assert (done.code, done.out) == (143, "")
    assert done.err.splitlines()[-1].startswith("gantools: the demo was stopped while it trained")
