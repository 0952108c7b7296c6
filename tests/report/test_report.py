"""A run's page: what it shows, that it needs nothing beside it, and that it stays small."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools import api
from gantools.config.describe import differences
from gantools.config.schema import TrainOptions
from gantools.errors import UsageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.report import curves, page, run_log
from gantools.report.run_log import Curve, Panel
from gantools.training.run.directory import RunLock


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two stages with a warning and a piece of advice, as its folder would look."""
    folder = tmp_path / "run <b>"
    (folder / "samples").mkdir(parents=True)
    settings = api.configure("srgan/compact")
    (folder / "config.yaml").write_text(Path(settings.tree.name).read_text())
    facts = {"status": "finished", "started": "2026-11-21T10:31:45+00:00", "device": "cpu", "versions": {"torch": "2"}}
    (folder / "run.json").write_text(json.dumps({**facts, "command": ["x", "train", "srgan", "--data", "a b"]}))
    with (folder / "metrics.jsonl").open("w") as log:
        for step in range(10, 1010, 10):
            log.write(json.dumps(row(step)) + "\n")
        log.write(json.dumps({"step": 1000, "stage": "adversarial", "warning": "the critic <wins>"}) + "\n")
        log.write(json.dumps({"step": 900, "stage": "adversarial", "advice": "psnr_y <stands> still"}) + "\n")
        log.write('{"step": 1010, "sta')
    for step in range(0, 1000, 50):
        pixels = np.random.default_rng(step).integers(0, 256, (600, 1400, 3), np.uint8)
        writer.write(Image(pixels), folder / "samples" / f"{step:06d}.png")
    return folder


def row(step: int) -> dict[str, Any]:
    found: dict[str, Any] = {"step": step, "stage": "pretraining" if step <= 500 else "adversarial"}
    found |= {"loss/generator/pixel": 0.01, "loss/generator/perceptual": 1.0 + step / 1000, "lr/generator": 1e-4}
    return found | ({"validation/psnr_y": 20 + step / 100} if step % 100 == 0 else {})


class Parsed(HTMLParser):
    """Every attribute of a page, its texts, and whether what it opens is closed."""

    VOID = frozenset({"meta", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_well_formed_and_needs_nothing_beside_it(run: Path) -> None:
    path = api.report(run)
    assert path == run / "report.html"
    text = path.read_text()
    parsed = Parsed(text)
    assert parsed.open_tags == []
    assert path.stat().st_size < 5_000_000
    sources = [value for name, value in parsed.attributes if name in ("src", "href", "action", "data")]
    assert sources
    assert all(value.startswith("data:image/webp;base64,") for value in sources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count('<div class="slider"') == 1  # the first samples and the last ones


def test_the_page_shows_the_run(run: Path) -> None:
    parsed = Parsed(api.report(run).read_text())
    said = " ".join(" ".join(parsed.texts).split())
    for text in (
        "srgan: run <b>",
        "finished",
        "2026-11-21 10:31 UTC",
        "Warnings step 1000: the critic <wins>",
        "Advice step 900: psnr_y <stands> still",
        "validation: psnr_y",
        "losses of the generator",
        "adversarial from step 500",
        "data.crop_px",
        "gantools train srgan --config",
        "gantools train srgan --data 'a b'",
        "step 950",
    ):
        assert text in said, text


def test_a_run_without_warnings_has_no_box_for_them_and_uses_its_own_schedule(run: Path) -> None:
    (run / "metrics.jsonl").write_text(json.dumps(row(10)) + "\n")
    text = api.report(run).read_text()
    assert "<h2>Warnings" not in text
    assert "<h2>Advice" not in text
    assert "the run stopped before step 1,000" in text  # the preset's validate_every_steps
    found = {one.key: one for one in differences(api.read_config(run / "config.yaml").config)}
    assert (found["data.crop_px"].value, found["data.crop_px"].paper) == (128, 96)
    assert "data.scale" not in found


def test_a_long_log_is_thinned_and_its_end_is_kept(run: Path) -> None:
    rows = [json.dumps({"step": step, "stage": "s", "loss/g/l1": float(step)}) for step in range(1, 5001)]
    (run / "metrics.jsonl").write_text("\n".join(rows))
    (panel,) = run_log.read(run).panels
    (curve,) = panel.curves
    assert len(curve.steps) <= run_log.MOST_POINTS
    assert curve.steps[-1] == 5000
    assert sum(curve.values) / len(curve.values) == pytest.approx(2500.5, rel=0.01)


def test_metrics_stand_beside_those_that_say_what_they_mean(run: Path) -> None:
    judged = {"validation/l1": 2.0, "validation/input_l1": 9.0}
    healthy = {"health/real_logit": 1.0, "health/fake_logit": 0.1, "health/movement": 0.2, "health/diversity": 1.0}
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, "stage": "s", **judged, **healthy}))
    found = {panel.title: [curve.name for curve in panel.curves] for panel in run_log.read(run).panels}
    assert found == {
        "validation: l1": ["model", "input"],
        "health: weight updates": ["movement"],
        "health: discriminator outputs": ["real logit", "fake logit"],
        "health: generated images": ["diversity"],
    }


def test_curves_lie_within_the_image() -> None:
    values = (1.0, float(10**6), 2.0, 0.5, *(float(i % 7) for i in range(200)))
    drawn = curves.svg(Panel("losses", (Curve("a", tuple(range(len(values))), values),)), [])
    points = re.search(r'points="([^"]+)"', drawn)
    assert points
    places = [tuple(map(float, pair.split(","))) for pair in points[1].split()]
    assert all(0 <= x <= curves.WIDTH and 0 <= y <= curves.HEIGHT for x, y in places)
    assert max(y for _, y in places) - min(y for _, y in places[10:]) > 50  # the outlier squeezes nothing


def test_magnitudes_apart_are_drawn_by_logarithms() -> None:
    steps = (1, 2)
    drawn = curves.svg(Panel("l", (Curve("a", steps, (0.01, 0.02)), Curve("b", steps, (1.0, 2.0)))), [])
    heights = [abs(float(a) - float(b)) for a, b in re.findall(r'points="[^,]+,(\S+) [^,]+,([^"]+)"', drawn)]
    assert heights[0] == pytest.approx(heights[1], abs=0.2)  # both double


@pytest.mark.parametrize("value", [0.0, -3.0, 7.5])
def test_a_flat_curve_is_drawn(value: float) -> None:
    assert "<polyline" in curves.svg(Panel("l", (Curve("a", (1, 2, 3), (value,) * 3),)), [])
    assert "<circle" in curves.svg(Panel("l", (Curve("a", (1,), (value,)),)), [])


def test_sheets_are_few_and_fit_their_budget(run: Path) -> None:
    sheets = page.strip(sorted(run.glob("samples/*.png")))
    assert len(sheets) == page.MOST_SHEETS
    assert (sheets[0].step, sheets[-1].step) == (0, 950)
    assert sum(len(sheet.uri) for sheet in sheets) < 1.4 * page.STRIP_BYTES


def test_small_sheets_are_drawn_larger(run: Path) -> None:
    for sheet in run.glob("samples/*"):
        sheet.unlink()
    writer.write(Image(np.zeros((90, 200, 3), np.uint8)), run / "samples" / "000050.png")
    text = page.render(run_log.read(run), "srgan", [])
    assert text.count('class="small"') == 2
    assert text.count('width="400" height="180"') == 2


@pytest.mark.parametrize(
    ("facts", "every", "said"),
    [
        ({"status": "limit"}, 1000, "No validation yet: the run stopped before step 1,000."),
        ({}, 1000, "No validation yet: the run stopped before step 1,000."),
        ({"status": "limit"}, None, "No validation yet: the run stopped before the end of its first stage."),
        ({"status": "running", "held": True}, 1000, "No validation yet: the run has not reached step 1,000."),
        ({"status": "limit", "validation_images": 0}, 1000, "No validation: the run has no validation images."),
        ({"status": "limit", "validation_images": 7}, 10, "No validation values were logged."),
    ],
)
def test_a_run_without_validation_says_why(run: Path, facts: dict[str, Any], every: int | None, said: str) -> None:
    (run / "metrics.jsonl").write_text(json.dumps({**row(10), "step": 120}))
    (run / "run.json").write_text(json.dumps(facts))
    held = RunLock(run) if facts.get("held") else None
    drawn = page.render(run_log.read(run), "srgan", [], TrainOptions(validate_every_steps=every))
    if held:
        held.release()
    assert said in drawn
    (run / "metrics.jsonl").write_text(json.dumps(row(100)))
    assert "No validation" not in page.render(run_log.read(run), "srgan", [])


def test_a_run_without_sample_sheets_says_why(run: Path) -> None:
    for sheet in run.glob("samples/*"):
        sheet.unlink()
    for facts, said in (
        ({"status": "limit", "validation_images": 0}, "No sample sheets: the run has no validation images."),
        ({"status": "limit", "validation_images": 3}, "No sample sheets yet: the run ended at step 1,000."),
        ({"status": "limit"}, "No sample sheets yet: the run ended at step 1,000."),
    ):
        (run / "run.json").write_text(json.dumps(facts))
        assert said in page.render(run_log.read(run), "srgan", [])
    (run / "run.json").unlink()
    assert "No sample sheets" in page.render(run_log.read(run), "srgan", [])


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a run directory"):
        run_log.read(tmp_path)
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"nothing is logged yet"):
        run_log.read(run)
