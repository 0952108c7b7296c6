"""The table of metrics: names, directions, what is said of each, and what each needs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gantools.errors import ModelFileError, UsageError
from gantools.metrics import PAIR_METRICS, pair_metric, protocols
from gantools.metrics.loading import FeatureFiles, prepare

RNG = np.random.default_rng(3)
TRUTH = RNG.integers(40, 200, (40, 44, 3), np.uint8)
NEAR = (TRUTH + RNG.integers(0, 6, TRUTH.shape)).astype(np.uint8)
FAR = (TRUTH + RNG.integers(0, 55, TRUTH.shape)).astype(np.uint8)


@pytest.mark.parametrize("name", [name for name in PAIR_METRICS.names() if protocols.METRICS[name].better != "neither"])
def test_a_nearer_image_has_the_better_metric(name):
    protocol = protocols.METRICS[name]
    times = 5 if name == "ms_ssim" else 1
    truth, near, far = (np.tile(image, (times, times, 1)) for image in (TRUTH, NEAR, FAR))
    measure = pair_metric(name)
    assert protocol.beats(measure(near, truth), measure(far, truth))
    assert not protocol.beats(measure(far, truth), measure(near, truth))


def test_a_line_says_all_that_it_takes_to_repeat_a_metric():
    line = protocols.find("psnr_y").line()
    parts = ("psnr_y: ", "not rounded", "higher is better", "4 px border cut", "no resize", f"numpy {np.__version__}")
    for part in parts:
        assert part in line
    assert "features of vgg16" in protocols.find("frechet_distance").line("vgg16")
    assert "unknown" not in "".join(metric.line() for metric in protocols.METRICS.values())


def test_the_page_of_metrics_names_every_one_of_them():
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)(?::N)?`", page))
    assert {*protocols.METRICS, *protocols.ALIASES, "class_score"} <= named


def test_names_typed_short_and_wrong():
    found = protocols.find_all(["l1", "l1_percent", "lpips", "class_score:950"])
    assert [metric.name for metric in found] == ["l1_percent", "lpips_alex", "class_score:950"]
    with pytest.raises(UsageError, match=r"unknown metric 'psnr_z'; did you mean \"psnr_"):
        protocols.find("psnr_z")


def test_directions_come_from_the_table():
    directions = [protocols.higher_is_better(name) for name in ("psnr_y", "l1_percent", "perceptual")]
    assert directions == [True, False, False]
    with pytest.raises(UsageError, match="chooses no weights"):
        protocols.higher_is_better("colorfulness")


def test_every_metric_without_a_network_is_called_in_one_way():
    ready = [metric for metric in protocols.METRICS.values() if not metric.networks and metric.takes != "samples"]
    truth, near = (np.tile(image, (5, 5, 1)) for image in (TRUTH, NEAR))
    loaded = prepare(ready, FeatureFiles(), "cpu")
    hole = np.zeros(truth.shape[:2], np.bool_)
    hole[3:9, 4:20] = True
    values = {name: function(near, truth, hole) for name, function in loaded.functions.items()}
    assert values["psnr_rgb"] == pair_metric("psnr_rgb")(near, truth)
    assert values["hole_psnr"] != values["psnr_rgb"]
    assert len(loaded.lines()) == len(ready) == len(values)
    with pytest.raises(UsageError, match="nothing is missing here"):
        loaded.functions["hole_psnr"](NEAR, TRUTH, None)


def test_a_missing_network_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"feature_distance .*--feature-weights FILE.*weights fetch squeezenet1_0"):
        prepare([protocols.find("feature_distance")], FeatureFiles(), "cpu")
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"w\.safetensors"):
        FeatureFiles([tmp_path / "w.safetensors"])
